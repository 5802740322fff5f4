"""The record codec without a compiler: the compiled kernel's oracle, and what runs where it could not be built.

Numbers are encoded and decoded a column at a time; Arrow's kernels interleave and cut the pieces. What a column cannot
tell, the chain of record lengths and headers that a record has of its own, is walked in Python.
"""

from ingest.wire.numpy_decode import decode_records
from ingest.wire.numpy_encode import encode_records, prepare
from ingest.wire.numpy_murmur2 import murmur2

__all__ = ["decode_records", "encode_records", "murmur2", "prepare"]
