"""SMTP as it goes over the wire, in scripts that a postmaster can read (language: script.py), on the real ingest."""
