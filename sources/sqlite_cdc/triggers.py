"""The triggers that write down each change of a table, and the tables that they write to.

A table ``orders`` gets ``_ingest_changes_orders``: one row a change, with the values before (``b0``, ``b1``, …) and
after (``a0``, …). Its columns have no type, so that SQLite keeps each value as it was stored. A trigger runs in the
transaction of the change, whoever makes it.

``REPLACE`` removes rows without running their delete triggers (unless ``recursive_triggers`` is set): a trigger before
each insert and update notes the rows that stand in its way in ``_ingest_replaced_orders``, and the one after it writes
down those that are gone (https://www.sqlite.org/lang_createtrigger.html, https://www.sqlite.org/lang_conflict.html).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ingest.sources.databases.tables import quoted

PREFIX = "_ingest_"
_NOW_MS = "CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER)"
_ROW_IDS = ("rowid", "_rowid_", "oid")


@dataclass(frozen=True, slots=True)
class Captured:
    """A table whose changes are written down. ``unique`` are the column lists of its unique indexes, its key's too."""

    name: str
    columns: Sequence[str]
    key: Sequence[str]
    unique: Sequence[Sequence[str]]
    has_rowid: bool

    @property
    def changes(self) -> str:
        """The table of its changes, quoted."""
        return quoted(f"{PREFIX}changes_{self.name}")

    @property
    def replaced(self) -> str:
        """The table of rows that may be replaced, quoted."""
        return quoted(f"{PREFIX}replaced_{self.name}")

    @property
    def identity(self) -> Sequence[str]:
        """Columns that tell a row from every other, quoted: the rowid, whatever it is called here, or the key."""
        if not self.has_rowid:
            return [quoted(name) for name in self.key]
        taken = {name.lower() for name in self.columns}
        return [next(name for name in _ROW_IDS if name not in taken)]


def installing(table: Captured) -> list[str]:
    """The statements that make tables and triggers."""
    count = range(len(table.columns))
    values = [*(f"b{n}" for n in count), *(f"a{n}" for n in count)]
    changes = ["id INTEGER PRIMARY KEY AUTOINCREMENT", "at_ms", "op", *values]
    replaced = [*(f"i{n}" for n in range(len(table.identity))), *(f"r{n}" for n in count)]
    return [
        f"CREATE TABLE {table.changes} ({', '.join(changes)})",
        f"CREATE TABLE {table.replaced} ({', '.join(replaced)})",
        *(f"CREATE TRIGGER {_trigger(table, name)} {text}" for name, text in _triggers(table)),
    ]


def removing(name: str) -> list[str]:
    """The statements that take them away; what was not read is lost."""
    table = Captured(name, (), (), (), has_rowid=True)
    triggers = [f"DROP TRIGGER IF EXISTS {_trigger(table, each)}" for each in _NAMES]
    return [*triggers, f"DROP TABLE IF EXISTS {table.changes}", f"DROP TABLE IF EXISTS {table.replaced}"]


_NAMES = ("before_insert", "after_insert", "before_update", "after_update", "after_delete")


def _trigger(table: Captured, name: str) -> str:
    return quoted(f"{PREFIX}{name}_{table.name}")


def _triggers(table: Captured) -> list[tuple[str, str]]:
    on = f"ON {quoted(table.name)} FOR EACH ROW BEGIN"
    bodies = {
        "before_insert": [*_note_replaced(table, "")],
        "after_insert": [
            *_log_replaced(table, unless_same_key=True),
            _log_insert(table),
            f"DELETE FROM {table.replaced}",
        ],
        "before_update": [*_note_replaced(table, f" AND NOT ({_same(table.identity, _of('OLD', table.identity))})")],
        "after_update": [
            *_log_replaced(table, unless_same_key=False),
            _log(table, "u", old=True, new=True),
            f"DELETE FROM {table.replaced}",
        ],
        "after_delete": [_log(table, "d", old=True, new=False), _forget_old(table)],
    }
    return [
        (name, f"{name.replace('_', ' ').upper()} {on} {'; '.join(body)}; END") for name, body in bodies.items() if body
    ]


def _note_replaced(table: Captured, except_for: str) -> list[str]:
    """What was noted for a statement that came to nothing (``INSERT OR IGNORE``) is forgotten first."""
    conflicts = [f"({_same(each, _of('NEW', each))})" for each in _quoted(table.unique)]
    if not conflicts:
        return []
    columns = ", ".join([*table.identity, *map(quoted, table.columns)])
    found = f"SELECT {columns} FROM {quoted(table.name)} WHERE ({' OR '.join(conflicts)}){except_for}"
    return [f"DELETE FROM {table.replaced}", f"INSERT INTO {table.replaced} {found}"]


def _log_replaced(table: Captured, *, unless_same_key: bool) -> list[str]:
    if not table.unique:
        return []
    noted = [f"i{n}" for n in range(len(table.identity))]
    still = f"EXISTS (SELECT 1 FROM {quoted(table.name)} WHERE {_same(table.identity, noted)})"
    gone = f"(NOT {still} OR {_same(noted, _of('NEW', table.identity))})"
    condition = f"{gone} AND NOT ({_key_matches(table)})" if unless_same_key and table.key else gone
    before = ", ".join(f"b{n}" for n in range(len(table.columns)))
    values = ", ".join(f"r{n}" for n in range(len(table.columns)))
    target = f"INSERT INTO {table.changes} (at_ms, op, {before})"
    return [f"{target} SELECT {_NOW_MS}, 'd', {values} FROM {table.replaced} WHERE {condition}"]


def _log_insert(table: Captured) -> str:
    """An insert that has replaced the row of its key is an update of it."""
    if not table.key:
        return _log(table, "c", old=False, new=True)
    count = range(len(table.columns))
    into = ", ".join(["at_ms", "op", *(f"b{n}" for n in count), *(f"a{n}" for n in count)])
    before = ", ".join(f"r{n}" for n in count)
    op = "CASE WHEN was THEN 'u' ELSE 'c' END"
    joined = f"(SELECT 1) LEFT JOIN (SELECT 1 AS was, {before} FROM {table.replaced} WHERE {_key_matches(table)})"
    after = ", ".join(_of("NEW", map(quoted, table.columns)))
    return f"INSERT INTO {table.changes} ({into}) SELECT {_NOW_MS}, {op}, {before}, {after} FROM {joined}"


def _log(table: Captured, op: str, *, old: bool, new: bool) -> str:
    count, names = range(len(table.columns)), [quoted(name) for name in table.columns]
    columns = ["at_ms", "op", *(f"b{n}" for n in count if old), *(f"a{n}" for n in count if new)]
    values = [_NOW_MS, f"'{op}'", *(_of("OLD", names) if old else []), *(_of("NEW", names) if new else [])]
    return f"INSERT INTO {table.changes} ({', '.join(columns)}) VALUES ({', '.join(values)})"


def _forget_old(table: Captured) -> str:
    noted = [f"i{n}" for n in range(len(table.identity))]
    return f"DELETE FROM {table.replaced} WHERE {_same(noted, _of('OLD', table.identity))}"


def _key_matches(table: Captured) -> str:
    places = [f"r{list(table.columns).index(name)}" for name in table.key]
    return _same(places, _of("NEW", [quoted(name) for name in table.key]))


def _quoted(lists: Sequence[Sequence[str]]) -> list[list[str]]:
    return [[quoted(name) for name in each] for each in lists]


def _of(row: str, names: Sequence[str] | map[str]) -> list[str]:
    return [f"{row}.{name}" for name in names]


def _same(left: Sequence[str], right: Sequence[str]) -> str:
    return " AND ".join(f"{a} = {b}" for a, b in zip(left, right, strict=True))
