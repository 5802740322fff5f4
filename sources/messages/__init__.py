"""Runs of bytes cut into messages, and messages made into records: what comes by sockets and pipes."""
