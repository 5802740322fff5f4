"""The format and schema history of topics, on a hub that only keeps what this needs."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from ingest.connectors import Records
from ingest.errors import FormatError, SchemaClash, TopicMissing
from ingest.formats import format_named
from ingest.hub.topic_formats import TOPIC, TopicFormats

A = pa.schema([("a", pa.int64())])
B = pa.schema([("b", pa.string())])


class CompactedTopic:
    """The part of a hub that ``TopicFormats`` calls."""

    def __init__(self) -> None:
        self.log: list[tuple[bytes, bytes]] = []
        self.ids = {"access": "1", "errors": "2", TOPIC: "0"}

    def topic(self, name: str) -> Any:
        if name not in self.ids:
            raise TopicMissing(name)
        return SimpleNamespace(name=name, id=self.ids[name])

    def topics(self) -> list[Any]:
        return [self.topic(name) for name in self.ids]

    def append(self, records: Records, partition: int) -> Future[None]:
        assert (records.topic, partition) == (TOPIC, 0)
        assert records.key is not None
        self.log += list(zip(records.key.to_pylist(), records.value.to_pylist(), strict=True))
        done: Future[None] = Future()
        done.set_result(None)
        return done

    def end_offset(self, topic: str, partition: int) -> int:
        return len(self.log)

    def compacted(self, topic: str) -> Iterable[tuple[bytes, bytes]]:
        return dict(self.log).items()

    def reopened(self) -> CompactedTopic:
        again = CompactedTopic()
        again.log, again.ids = list(self.log), dict(self.ids)
        return again


def formats(hub: CompactedTopic, **options: Any) -> TopicFormats:
    return TopicFormats(hub, **options)  # type: ignore[arg-type]


@pytest.fixture
def hub() -> CompactedTopic:
    return CompactedTopic()


def test_an_undeclared_or_missing_topic_has_no_format(hub: CompactedTopic) -> None:
    assert formats(hub).get("access") is None
    assert formats(hub).get("nowhere") is None


def test_a_declared_format_survives_a_restart(hub: CompactedTopic) -> None:
    formats(hub).declare("access", "json")
    found = formats(hub.reopened()).get("access")
    assert found is not None
    assert (found.format, found.schema, found.version) == ("json", None, 0)


def test_a_topic_keeps_its_first_format(hub: CompactedTopic) -> None:
    formats(hub).declare("access", "json")
    with pytest.raises(FormatError, match="holds json, and cannot hold arrow"):
        formats(hub).declare("access", "arrow")
    assert formats(hub).declare("access", "json").format == "json"


def test_an_unknown_format_names_the_nearest(hub: CompactedTopic) -> None:
    with pytest.raises(FormatError, match="did you mean json"):
        formats(hub).declare("access", "jsno")


def test_schemas_grow_and_their_history_survives_a_restart(hub: CompactedTopic) -> None:
    one = formats(hub)
    one.declare("access", "json")
    one.evolve("access", A)
    one.evolve("access", B)
    again = formats(hub.reopened())
    found = again.get("access")
    assert found is not None
    assert found.schema == pa.schema([("a", pa.int64()), ("b", pa.string())])
    assert found.version == 2
    assert [item.schema for item in again.history("access")] == [A, found.schema]
    assert again.version("access", 1) == again.history("access")[0]


def test_evolving_to_what_is_there_already_writes_nothing(hub: CompactedTopic) -> None:
    one = formats(hub)
    one.declare("access", "arrow")
    one.evolve("access", A)
    before = len(hub.log)
    assert one.evolve("access", A).version == 1
    assert len(hub.log) == before


def test_evolving_to_a_clash_is_refused_and_changes_nothing(hub: CompactedTopic) -> None:
    one = formats(hub)
    one.declare("access", "arrow")
    one.evolve("access", A)
    with pytest.raises(SchemaClash, match="a is int64, not string"):
        one.evolve("access", pa.schema([("a", pa.string())]))
    assert formats(hub.reopened()).get("access") == one.get("access")


def test_evolving_an_undeclared_topic_is_refused(hub: CompactedTopic) -> None:
    with pytest.raises(FormatError, match="no declared format"):
        formats(hub).evolve("access", A)


def test_schema_ids_are_unique_over_all_topics(hub: CompactedTopic) -> None:
    one = formats(hub)
    for topic in ("access", "errors"):
        one.declare(topic, "avro")
        one.evolve(topic, A)
        one.evolve(topic, B)
    ids = [item.id for topic in ("access", "errors") for item in one.history(topic)]
    assert ids == [1, 2, 3, 4]


def test_a_topic_made_again_forgets_the_schema_of_its_namesake(hub: CompactedTopic) -> None:
    one = formats(hub)
    one.declare("access", "json")
    one.evolve("access", A)
    hub.ids["access"] = "another"
    assert one.get("access") is None
    assert one.declare("access", "arrow").format == "arrow"
    assert one.evolve("access", B).version == 1
    assert [item.schema for item in formats(hub.reopened()).history("access")] == [B]


def test_instances_in_many_threads_widen_one_schema_and_lose_no_column(hub: CompactedTopic) -> None:
    formats(hub).declare("access", "json")

    def widen(number: int) -> None:
        formats(hub).evolve("access", pa.schema([(f"c{number}", pa.int64())]))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(widen, range(40)))
    found = formats(hub.reopened()).get("access")
    assert found is not None
    assert found.schema is not None
    assert sorted(found.schema.names) == sorted(f"c{n}" for n in range(40))
    assert found.version == 40


def test_a_reader_learns_in_memory_only(hub: CompactedTopic) -> None:
    formats(hub).declare("access", "json")
    before = list(hub.log)
    reader = formats(hub.reopened(), writable=False)
    assert reader.evolve("access", A).schema == A
    assert hub.log == before


def test_an_avro_topic_reads_what_its_older_schemas_wrote(hub: CompactedTopic) -> None:
    one = formats(hub)
    one.declare("access", "avro")
    avro = format_named("avro")
    first = avro.encode(Records(value=pa.array([{"a": 1}])), schema=one.evolve("access", A).schema).records.value
    one.evolve("access", B)
    again = formats(hub.reopened()).get("access")
    assert again is not None
    second = avro.encode(Records(value=pa.array([{"a": 2, "b": "x"}])), schema=again.schema).records.value
    decoded = avro.decode(Records(value=pa.concat_arrays([first, second])), schema=again.schema)
    assert decoded.records.value.to_pylist() == [{"a": 1, "b": None}, {"a": 2, "b": "x"}]
