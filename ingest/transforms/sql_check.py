"""What a piece of SQL may be, as far as that can be told before a column is known.

An expression gives one value per row from that row alone. It is parsed against a table that gets each
column it asks for, of no type; so its syntax, its functions and its columns are known when the pipeline
is loaded, and only types are left for the first batch.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import pyarrow as pa

from ingest.errors import ConfigError

MAX_LENGTH = 64 * 1024
_MAX_COLUMNS = 1000
_MISSING = re.compile(r'No field named ((?:"(?:[^"]|"")*"|[^\s".,]+)(?:\.(?:"(?:[^"]|"")*"|[^\s".,]+))*)')
_PART = re.compile(r'"((?:[^"]|"")*)"|([^".]+)')
_LAYER = re.compile(
    r"^(?:(?:DataFusion|Arrow|SQL|Schema|Execution|External) error|Error during planning"
    r"|Optimizer rule \S+ failed|Invalid regex caused by External error): ?(?=\S)"
)
_PARSER = re.compile(r'^(?:ParserError|TokenizerError)\("?(.*?)"?\)$')
_MOST_SHOWN = 300
_LEAVES = {"Literal", "Column"}
_OVER_ROWS = {
    "AggregateFunction": "an aggregate, which needs many rows",
    "GroupingSet": "an aggregate, which needs many rows",
    "WindowFunction": "a window function, which needs other rows",
    "Unnest": "unnest, which makes several rows of one",
    "ScalarSubquery": "a subquery",
    "InSubquery": "a subquery",
    "SetComparison": "a subquery",
    "Exists": "a subquery",
    "Placeholder": "a placeholder",
    "Wildcard": "a wildcard",
}


@dataclass(frozen=True, slots=True)
class Checked:
    """``columns`` are the names that the expression asks for, the part before a dot; ``name`` is its
    alias, or the column's own name if it is nothing but a column; else None."""

    sql: str
    columns: frozenset[str]
    name: str | None


@cache
def session() -> Any:
    """The DataFusion session of this process, imported on first use. Names are taken as they are written:
    with capitals, or without. Thread-safe: tables are never registered in it."""
    from datafusion import SessionConfig, SessionContext

    config = SessionConfig().with_target_partitions(1)
    config = config.set("datafusion.sql_parser.enable_ident_normalization", "false")
    return SessionContext(config.set("datafusion.sql_parser.map_string_types_to_utf8view", "false"))


def check(sql: str, setting: str) -> Checked:
    """Raises ``ConfigError`` that blames ``setting`` and says what is wrong with the SQL."""
    if not sql.strip():
        raise ConfigError(
            f"{setting}: the expression is empty", hint="write for example: status >= 400", setting=setting
        )
    if len(sql) > MAX_LENGTH or "\0" in sql:
        raise ConfigError(f"{setting}: this is no SQL expression", setting=setting)
    columns: dict[str, pa.DataType] = {}
    while True:
        try:
            parsed = _parse(sql, columns)
            break
        except Exception as error:  # DataFusion raises nothing more particular
            missing = _missing(str(error))
            if missing is None or len(columns) >= _MAX_COLUMNS or not _add(columns, missing):
                raise ConfigError(f"{setting}: {reason(error)}", hint=_hint(sql), setting=setting) from None
    _refuse_other_rows(parsed, setting)
    return Checked(sql, frozenset(columns), _name(parsed))


def reason(error: BaseException) -> str:
    """DataFusion's words in one line, without the names of its layers."""
    text = " ".join(str(error).split("backtrace:")[0].replace("\ncaused by\n", ": ").split())
    while (shorter := _LAYER.sub("", text)) != text:
        text = shorter
    text = _PARSER.sub(r"\1", text).replace("RecursionLimitExceeded", "nested too deeply")
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"


def _parse(sql: str, columns: dict[str, pa.DataType]) -> Any:
    batch = pa.RecordBatch.from_arrays([pa.nulls(0, kind) for kind in columns.values()], names=list(columns))
    return session().read_batches([batch]).parse_sql_expr(sql)


def _missing(message: str) -> list[str] | None:
    found = _MISSING.search(message)
    if found is None:
        return None
    name = found[1].rstrip(".")
    return [quoted.replace('""', '"') if quoted else plain for quoted, plain in _PART.findall(name)]


def _add(columns: dict[str, pa.DataType], path: list[str]) -> bool:
    """Adds what is asked for: a column, or a struct that holds it. False if it was there already."""
    name, *below = path
    before = columns.get(name)
    columns[name] = _with(before or pa.null(), below)
    return bool(columns[name] != before)


def _with(kind: pa.DataType, path: list[str]) -> pa.DataType:
    if not path:
        return kind
    name, *below = path
    fields = {field.name: field.type for field in kind} if pa.types.is_struct(kind) else {}
    fields[name] = _with(fields.get(name, pa.null()), below)
    return pa.struct(list(fields.items()))


def _refuse_other_rows(expression: Any, setting: str) -> None:
    waiting = [expression]
    while waiting:
        node = waiting.pop()
        kind = node.variant_name()
        if kind in _LEAVES:
            continue
        if kind not in _OVER_ROWS:
            try:
                waiting += node.rex_call_operands()
                continue
            except Exception:  # "Unimplemented": subqueries and the like, whose names DataFusion does not tell
                kind = str(node)
        raise ConfigError(
            f"{setting}: the expression holds {_what(kind)}",
            hint="a transform sees one row at a time; `ingest sql` answers questions about many",
            setting=setting,
        )


def _what(kind: str) -> str:
    if kind in _OVER_ROWS:
        return _OVER_ROWS[kind]
    words = {"<subquery>": "a subquery", "UNNEST": _OVER_ROWS["Unnest"], "$": "a placeholder"}
    return next((what for word, what in words.items() if word in kind), "something that is not made of one row alone")


def _name(expression: Any) -> str | None:
    if expression.variant_name() in ("Alias", "Column"):
        name: str = expression.schema_name()
        return name
    return None


def _hint(sql: str) -> str | None:
    if sql.lstrip().lower().startswith(("select ", "where ")):
        return "write the expression alone, without SELECT or WHERE"
    if "==" in sql:
        return "equality is one sign in SQL: status = 200"
    return None
