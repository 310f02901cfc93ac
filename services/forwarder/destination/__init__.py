"""Is the main server there, who asks, and how many connections at once."""
