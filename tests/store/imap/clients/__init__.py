"""Real mail programs at our doors, while the main server is away and when it is back."""
