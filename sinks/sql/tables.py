"""Tables of the target, as its catalogue tells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa


class TableName(NamedTuple):
    """``schema`` is empty where the connection's own is meant."""

    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}" if self.schema else self.name


@dataclass(frozen=True, slots=True)
class Column:
    """``holds`` is the Arrow type of which the column holds every value; None where only the database knows what it
    takes (enums, uuid, domains): then it gets the text, and decides."""

    name: str
    declared: str
    holds: pa.DataType | None


@dataclass(frozen=True, slots=True)
class Table:
    """``columns`` by name, in their order; ``key`` is the primary key, empty where there is none."""

    name: TableName
    columns: Mapping[str, Column]
    key: Sequence[str] = ()


def staging_named(template: str, table: TableName, topic: str) -> TableName:
    """Beside ``table`` where ``template`` is empty."""
    return table_named(template, topic) if template else table._replace(name=f"{table.name}_staging")


def table_named(template: str, topic: str) -> TableName:
    """``{topic}`` stands for the topic, ``{table}`` for what follows its last dot; one dot in the result divides the
    schema from the table."""
    text = template.replace("{topic}", topic).replace("{table}", topic.rpartition(".")[2])
    schema, _, name = text.rpartition(".")
    return TableName(schema, name)
