"""IMAP as it goes over the wire."""
