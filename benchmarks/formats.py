"""What each format costs: encoding and decoding an access log's columns, and nested events.

    python benchmarks/formats.py [--rows 200000] [--batch 16384] [--rounds 5]

Formats are measured in turn within each round, so that a busy machine is unfair to all alike; the numbers are CPU
seconds per million rows (median of the rounds), rows per CPU second, and bytes of value per row. ``pyarrow`` and
``orjson`` stand beside them as what one would use without us.
"""

from __future__ import annotations

import argparse
import io
import random
import statistics
import time
from collections.abc import Callable

import orjson
import pyarrow as pa
import pyarrow.json

from ingest.connectors import Records
from ingest.formats import format_named
from ingest.formats.avro_schema import with_writers

Work = Callable[[], int]
AGENTS = [f"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/{n}.0.0.0 Safari/537.36" for n in range(90, 120)]


def access_log(rows: int, dice: random.Random) -> pa.StructArray:
    """The eleven columns of the combined format, about 230 bytes a line."""
    numbers = range(rows)
    columns = {
        "host": pa.array([".".join(str(dice.randrange(256)) for _ in range(4)) for _ in numbers]),
        "ident": pa.array(["-"] * rows),
        "user": pa.array(["-"] * rows),
        "time": pa.array([1_700_000_000_000_000 + n // 50 * 1_000_000 for n in numbers], pa.timestamp("us", "UTC")),
        "method": pa.array([dice.choice(["GET", "POST"]) for _ in numbers]),
        "path": pa.array([f"/api/v1/items/{dice.randrange(10**6)}/details?page={dice.randrange(99)}" for _ in numbers]),
        "protocol": pa.array(["HTTP/1.1"] * rows),
        "status": pa.array([dice.choice([200, 200, 301, 404]) for _ in numbers], pa.int32()),
        "bytes": pa.array([dice.randrange(10**6) for _ in numbers]),
        "referer": pa.array([dice.choice(["-", "https://example.com/search?q=abc"]) for _ in numbers]),
        "user_agent": pa.array([dice.choice(AGENTS) for _ in numbers]),
    }
    return pa.StructArray.from_arrays(list(columns.values()), names=list(columns))


def events(rows: int, dice: random.Random) -> pa.StructArray:
    """Nested JSON events: floats, lists, a struct, nulls and text beyond ASCII."""
    return pa.array(
        [
            {
                "id": dice.getrandbits(62),
                "kind": dice.choice(["click", "view", "buy"]),
                "user": {"name": dice.choice(["Zoë", "李"]), "score": dice.random(), "tags": ["a", "b"][: n % 3]},
                "amount": round(dice.uniform(0, 1000), 2),
                "note": None if n % 2 else 'said "no"\n',
                "ok": n % 7 == 0,
            }
            for n in range(rows)
        ]
    )


def works(column: pa.StructArray, batch: int) -> dict[str, Work]:
    """Name -> a run over all rows, which returns the bytes of values that it made or read."""
    batches = [Records(value=column.slice(start, batch)) for start in range(0, len(column), batch)]
    schema = with_writers(pa.schema(list(column.type)), 1, {})
    found: dict[str, Work] = {}
    for name in ("json", "arrow", "avro"):
        form = format_named(name)
        encoded = [form.encode(records, schema=schema).records for records in batches]
        found[f"{name} encode"] = lambda form=form: sum(
            form.encode(records, schema=schema).records.value.nbytes for records in batches
        )
        found[f"{name} decode"] = lambda form=form, encoded=encoded: sum(
            form.decode(records, schema=schema).records.value.nbytes for records in encoded
        )
    texts = [format_named("json").encode(records, schema=schema).records.value for records in batches]
    files = [b"\n".join(text.to_pylist()) for text in texts]
    options = pa.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="error")
    reading = pa.json.ReadOptions(use_threads=False, block_size=1 << 26)
    found["pyarrow.json decode"] = lambda: sum(
        pa.json.read_json(io.BytesIO(file), read_options=reading, parse_options=options).nbytes for file in files
    )
    found["orjson encode"] = lambda: sum(
        len(orjson.dumps(row)) for records in batches for row in records.value.to_pylist()
    )
    found["orjson decode"] = lambda: sum(len(orjson.loads(text)) for each in texts for text in each.to_pylist())
    return found


def measure(title: str, column: pa.StructArray, batch: int, rounds: int) -> None:
    todo = works(column, batch)
    seconds: dict[str, list[float]] = {name: [] for name in todo}
    sizes: dict[str, int] = {}
    for _ in range(rounds):
        for name, work in todo.items():
            start = time.process_time()
            sizes[name] = work()
            seconds[name].append(time.process_time() - start)
    in_memory = column.nbytes / len(column)
    print(f"\n{title}: {len(column):,} rows in batches of {batch:,}, {in_memory:.0f} B a row in memory")
    print(f"{'':22}{'CPU s per M rows':>18}{'M rows per CPU s':>18}{'B per row':>11}")
    for name, taken in seconds.items():
        each = statistics.median(taken) / len(column)
        print(f"{name:22}{each * 1e6:18.3f}{1e-6 / each:18.2f}{sizes[name] / len(column):11.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--batch", type=int, default=16_384)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    dice = random.Random(1)
    measure("access log", access_log(given.rows, dice), given.batch, given.rounds)
    measure("nested events", events(given.rows, dice), given.batch, given.rounds)


if __name__ == "__main__":
    main()
