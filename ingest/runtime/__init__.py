"""Tasks: the source loop, the sink loop, and their supervision."""
