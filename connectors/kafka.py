"""Kafka for the worker: records from a topic, alerts and dead letters to two others."""

from .kafka_client import create_topics
from .kafka_options import check_option, client_option
from .kafka_security import KafkaProblem
from .kafka_sink import KafkaSink
from .kafka_source import KafkaSource

__all__ = ["KafkaProblem", "KafkaSink", "KafkaSource", "check_option", "client_option", "create_topics"]
