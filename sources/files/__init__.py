"""Objects that appear in a folder or bucket: each row exactly once."""
