"""Kafka for the worker: records from a topic, alerts and dead letters to two others."""

from .kafka_client import KafkaProblem, create_topics
from .kafka_sink import KafkaSink
from .kafka_source import KafkaSource

__all__ = ["KafkaProblem", "KafkaSink", "KafkaSource", "create_topics"]
