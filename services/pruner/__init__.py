"""Decides what has been kept long enough, and takes it away."""
