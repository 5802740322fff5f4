"""The ``exec`` source: the output of a command."""
