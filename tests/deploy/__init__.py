"""The one-machine deployment, with the real things."""
