"""POP3 as it goes over the wire."""
