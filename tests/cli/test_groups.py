"""``ingest groups``: what is kept for whom, and letting go of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hubs import open_hub, records

from ingest.cli.main import main
from ingest.connectors import TopicPartition

PLACE = TopicPartition("t", 0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A hub whose retention would keep next to nothing, but for a sink that is no more."""
    hub = open_hub(tmp_path)
    hub.create_topic("t", config={"retention.bytes": "1"})
    for number in range(6):
        hub.append(records(f"r{number}"), 0).result(10)
        hub._store.partition("t", 0).roll()
    hub.hold_retention("p/sink/gone", {PLACE: 2})
    hub.hold_retention("p/sink/here", {PLACE: 5})
    hub.commit_group("p.here", {PLACE: 5})
    hub.close()
    return tmp_path


def start_after_cleaning(folder: Path) -> int:
    hub = open_hub(folder)
    hub._store.clean()
    start = hub.start_offset("t", 0)
    hub.close()
    return start


def test_what_is_kept_for_a_sink_is_listed_also_if_it_never_reported(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["groups", "list", "--data", str(folder), "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert rows == [
        {"group": "p.gone", "offsets_behind": 0, "offsets_kept": 4},
        {"group": "p.here", "offsets_behind": 1, "offsets_kept": 1},
    ]


def test_deleting_the_group_of_a_removed_sink_lets_retention_go_on(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start_after_cleaning(folder) == 2
    assert main(["groups", "delete", "p.gone", "--data", str(folder)]) == 0
    assert "4 offsets are no longer kept for it" in capsys.readouterr().err
    assert start_after_cleaning(folder) == 5
    assert main(["groups", "delete", "p.gone", "--data", str(folder)]) == 2
    assert "groups: p.here" in capsys.readouterr().err


def test_a_group_that_keeps_nothing_is_just_deleted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hub = open_hub(folder)
    hub.commit_group("readers", {PLACE: 1})
    hub.close()
    assert main(["groups", "delete", "readers", "--data", str(folder)]) == 0
    assert capsys.readouterr().err == "deleted readers\n"
    hub = open_hub(folder)
    assert (hub.groups(), sorted(hub.retention_holds())) == (["p.here"], ["p/sink/gone", "p/sink/here"])
    hub.close()


def test_a_mistyped_group_is_not_made_by_a_reset(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["groups", "reset", "p.hree", "--topic", "t", "--to", "earliest", "--data", str(folder)]
    assert main(command) == 2
    assert "did you mean p.here? (--create makes a new one)" in capsys.readouterr().err
    hub = open_hub(folder)
    assert hub.groups() == ["p.here"]
    hub.close()
    assert main([*command, "--create"]) == 0
    hub = open_hub(folder)
    assert hub.group_offsets("p.hree") == {PLACE: 0}
    hub.close()


def test_a_reset_refuses_a_mistyped_topic(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hub = open_hub(folder)
    hub.create_topic("payments")
    hub.close()
    assert main(["groups", "reset", "p.here", "--topic", "paymets", "--to", "latest", "--data", str(folder)]) == 2
    assert "there is no topic paymets\n  hint: did you mean payments?" in capsys.readouterr().err
