"""The bus: Kafka. The only place that knows aiokafka."""
