"""Hands letters to the main server, and remembers what it could not hand over."""
