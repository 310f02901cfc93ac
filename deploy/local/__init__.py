"""The one-machine deployment that `make run` is: the real Kafka and MongoDB, and the services beside them.

`fetch` gets what no package brings, `kafka` and `mongod` start one node each (the tests use the same classes),
`supervise` keeps processes alive, `up` puts it together.
"""
