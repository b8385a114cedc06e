"""Kafka for the worker: records from a topic, alerts and dead letters to two others."""

from .kafka_client import KafkaProblem, client_option, create_topics
from .kafka_sink import KafkaSink
from .kafka_source import KafkaSource

__all__ = ["KafkaProblem", "KafkaSink", "KafkaSource", "client_option", "create_topics"]
