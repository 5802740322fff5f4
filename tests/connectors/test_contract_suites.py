"""The contract suites find what they are for: each of these mistakes in the guide's connectors fails a test."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

import pytest

from ingest.connectors.testing import SourceContract

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "write-your-own-connector.md"
BLOCKS = {
    source.splitlines()[0].removeprefix("# ").removesuffix(".py"): source
    for source in re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text(), re.DOTALL | re.MULTILINE)
}

MISTAKES = {
    "a position one row too far": ("notes_source", '"notes": {"id": self._last}', '"notes": {"id": self._last + 1}'),
    "a position one row too short": ("notes_source", '"notes": {"id": self._last}', '"notes": {"id": self._last - 1}'),
    "positions are forgotten": ("notes_source", 'positions.get("notes", {"id": 0})["id"]', "0"),
    "a position that is no JSON": ("notes_source", '{"id": self._last}}', '{"id": self._last, "seen": {1}}}'),
    "the end of the input is never told": ("notes_source", "if self._context.until_caught_up:", "if False:"),
    "it sleeps instead of waiting": ("notes_source", "self._context.wait(200)", "__import__('time').sleep(5)"),
    "the bound of a batch is ignored": ("notes_source", ">= self._context.max_batch_bytes", "< 0"),
    "bad notes vanish": ("notes_source", "dead=[self._dead(*note)", "dead=[] and [self._dead(*note)"),
    "a bad row takes all with it": (
        "shorten",
        "filter(pc.invert(missing))",
        "slice(0, len(missing) * (not cut.null_count))",
    ),
    "rows are not tracked": (
        "shorten",
        "records.with_value(value)",
        "type(records)(value=value, stream=records.stream)",
    ),
    "bad rows are not refused": ("shorten", "rejected=self._rejected(missing)", "rejected=[]"),
    "rows without their position": ("table_sink", "INSERT OR REPLACE INTO standing VALUES (1, ?, ?)", "SELECT ?, ?"),
    "the position before its rows": (
        "table_sink",
        "self._offsets[TopicPartition(delivery.topic, delivery.partition)] = delivery.end",
        "self._offsets[TopicPartition(delivery.topic, delivery.partition)] = delivery.end + 1",
    ),
    "no transaction": ("table_sink", '"BEGIN IMMEDIATE"', '"SELECT 1"'),
    "no fencing": ("table_sink", "row[0] > self._context.epoch", "False"),
    "fencing at the start only": ("table_sink", 'IMMEDIATE")\n            self._check_epoch()', 'IMMEDIATE")'),
    "a number is skipped": ("table_sink", "self._number = commit.number", "self._number = commit.number + 1"),
    "numbers start again": ("table_sink", "standing.last.number if standing.last else 0", "0"),
    "dead letters are forgotten": ("table_sink", "self._dead += delivery.dead", "pass"),
    "bad rows are let through in silence": ("table_sink", "if offsets and not self._context.tolerate:", "if False:"),
    "identities are lost": ("table_sink", 'topic_ids": dict(self._context.topic_ids)', 'topic_ids": {}'),
    "a force that does nothing": ("table_sink", "not (force or self._rows", "not (self._rows"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_fails_a_test_of_its_suite(mistake, tmp_path, monkeypatch):
    module, right, wrong = MISTAKES[mistake]
    assert right in BLOCKS[module], "the guide has changed"
    for name, source in BLOCKS.items():
        loaded = types.ModuleType(name)
        monkeypatch.setitem(sys.modules, name, loaded)
        exec(source.replace(right, wrong) if name == module else source, loaded.__dict__)
    monkeypatch.setattr(sys.modules[SourceContract.__module__], "_PATIENCE_S", 3)
    suite = {"notes_source": "TestNotesSource", "shorten": "TestShorten", "table_sink": "TestTableSink"}[module]
    assert failures(getattr(sys.modules["test_notes"], suite), tmp_path), f"nothing noticed: {mistake}"


def failures(suite, tmp_path):
    """The names of the suite's tests that fail."""
    failed = []
    for name in [name for name in dir(suite) if name.startswith("test_")]:
        folder = tmp_path / name
        folder.mkdir()
        test = getattr(suite(), name)
        try:
            test(folder) if "tmp_path" in test.__code__.co_varnames[: test.__code__.co_argcount] else test()
        except pytest.skip.Exception:
            continue
        except (Exception, pytest.fail.Exception):
            failed.append(name)
            break
    return failed
