"""The one-machine deployment that `make run` is: the real Kafka and MongoDB fetched, started and watched, and the services beside them."""
