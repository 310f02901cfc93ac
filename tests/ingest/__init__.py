"""Ingest: what decides by tables, the rest on real servers."""
