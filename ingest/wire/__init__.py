"""Kafka's bytes: record batches, compression, columns <-> records. No I/O, no clock."""
