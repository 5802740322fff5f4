"""A program for kill tests: the connectors of the guide, carried through a hub below the folder it is given."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

from ingest.hub.embedded import EmbeddedHub
from ingest.runtime.plan import Plan, SinkPlan, SourcePlan
from ingest.runtime.worker import Worker

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "write-your-own-connector.md"


def guide_module(name: str) -> types.ModuleType:
    """One of the modules that the guide prints."""
    blocks = re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text(), re.DOTALL | re.MULTILINE)
    source = next(block for block in blocks if block.startswith(f"# {name}.py"))
    module = types.ModuleType(name)
    exec(compile(source, name, "exec"), module.__dict__)
    return module


def notes_plan(folder: Path) -> Plan:
    """Notes, shortened, into a table."""
    source, transform, sink = (guide_module(name) for name in ("notes_source", "shorten", "table_sink"))
    reads = source.NotesSource(source.NotesSource.Settings(path="notes.db"))
    shortens = transform.Shorten(transform.Shorten.Settings(most=12))
    writes = sink.TableSink(sink.TableSink.Settings(path="target.db", rows=10))
    return Plan(
        pipeline="notes",
        base_folder=folder,
        sources=[SourcePlan("notes", reads, topic="notes", transforms=[shortens], max_batch_bytes=300)],
        sinks=[SinkPlan("copy", writes, topics=["notes"])],
    )


if __name__ == "__main__":
    place = Path(sys.argv[1])
    hub = EmbeddedHub.open(place / "data")
    outcome = Worker(hub, notes_plan(place), until_caught_up=True).run()
    hub.close()
    print(outcome)
    sys.exit(outcome.exit_code)
