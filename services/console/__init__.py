"""The command `understudy`: a client of the HTTP API, and the starter of services."""
