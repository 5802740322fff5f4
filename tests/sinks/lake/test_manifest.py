"""Manifests as bytes: what goes in comes out, and damage is seen."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.connectors import DeadLetter, TopicPartition
from ingest.errors import OutputDamaged
from ingest.sinks.lake.manifest import DataFile, Entry, Range, StoredFile, Upload, decode, encode
from ingest.sinks.lake.names import (
    data_name,
    entry_path,
    entry_sequence,
    is_temporary_of,
    owner_name,
    temporary_name,
)

text = st.text(max_size=20)
count = st.integers(0, 2**53)
uploads = st.builds(Upload, text, st.lists(text, max_size=3).map(tuple))
stored = st.builds(StoredFile, text, count, text, temporary=text) | st.builds(
    StoredFile, text, count, text, upload=uploads
)
files = st.builds(DataFile, stored, count, text, count, count, count)
schemas = st.sampled_from(
    [
        pa.schema([("a", pa.int64()), ("b", pa.struct([("c", pa.string())]))]),
        pa.schema([("t", pa.timestamp("ms", "UTC"))]),
    ]
)
commits = st.builds(
    Entry,
    kind=st.just("commit"),
    sequence=count,
    writer=text,
    epoch=count,
    pipeline=text,
    sink=text,
    hub_id=text,
    written_ms=count,
    commit=count,
    commit_sequence=count,
    topic_ids=st.dictionaries(text, text, max_size=3),
    ranges=st.lists(st.builds(Range, text, count, count, count), max_size=3).map(tuple),
    offsets=st.dictionaries(st.builds(TopicPartition, text, count), count, max_size=3),
    files=st.lists(files, max_size=3).map(tuple),
    retires=st.lists(text, max_size=3).map(tuple),
    dead=st.lists(st.builds(DeadLetter, text, count, count, count, text, text, text), max_size=3).map(tuple),
    schemas=st.dictionaries(text, schemas, max_size=2),
    partition_by=st.lists(text, max_size=2).map(tuple),
)

SMALL = Entry("open", 3, "1-abc", 1, "site", "lake", "hub", 1_700_000_000_000, commit=1, commit_sequence=2)


@given(commits)
def test_a_commit_reads_back_as_it_was(entry: Entry) -> None:
    assert decode(encode(entry), "there") == entry


def test_every_flipped_byte_and_every_cut_is_seen() -> None:
    content = encode(SMALL)
    assert decode(content, "there") == SMALL
    for place in range(len(content) - 1):
        flipped = bytearray(content)
        flipped[place] ^= 0x01
        with pytest.raises(OutputDamaged):
            decode(bytes(flipped), "there")
        with pytest.raises(OutputDamaged):
            decode(content[:place], "there")


@given(st.integers(0, 10**19), st.integers(0, 10**19))
def test_the_order_of_paths_is_the_order_of_numbers(one: int, two: int) -> None:
    assert (entry_path("o", one) < entry_path("o", two)) == (one < two)
    assert entry_sequence(entry_path("o", one).rpartition("/")[2]) == one


@given(st.text(min_size=1, max_size=300), st.text(min_size=1, max_size=300), st.text(min_size=1, max_size=300))
def test_names_fit_into_file_systems_and_belong_to_one_sink(pipeline: str, sink: str, topic: str) -> None:
    name = data_name(owner_name(pipeline, sink), topic, 2**31 - 1, 10**12 - 1, 99_999)
    temporary = temporary_name(name, f"{2**31}-{'f' * 12}")
    assert "/" not in temporary
    assert len(temporary.encode()) <= 255
    assert is_temporary_of(owner_name(pipeline, sink), temporary)
    assert not is_temporary_of(owner_name(pipeline, sink + "x"), temporary)
    assert not is_temporary_of(owner_name(pipeline[:-1] or "other", sink), temporary) or len(pipeline) > 40
