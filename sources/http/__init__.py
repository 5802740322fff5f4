"""The ``http`` source: others post, and are answered once the hub has it on disk."""
