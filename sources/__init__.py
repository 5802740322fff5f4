"""Sources: data in."""
