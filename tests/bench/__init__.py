"""Speed, shown as a ratio against a peer in the same run. Nothing here passes or fails by the clock."""
