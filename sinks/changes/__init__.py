"""Changes of a table as steps: what sinks that keep a table equal to its source share."""
