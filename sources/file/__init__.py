"""Log files, tailed by content identity."""
