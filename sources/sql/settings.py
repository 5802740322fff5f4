"""The settings of the source ``sql``."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from ingest.config import Settings
from ingest.sources.databases.reader import Selection
from ingest.sources.databases.url import DatabaseUrl


class SqlSettings(Settings):
    """Which database, which of its tables, and how many connections read them."""

    url: DatabaseUrl = Field(
        description="`postgresql://user:password@host:5432/database` or `sqlite:///file.db` (four slashes for an "
        "absolute path; a relative one starts at the pipeline file). Write the password as `${VAR}`: it is never shown."
    )
    tables: list[str] = Field(
        default_factory=list,
        description="Tables and views by name, `orders` or `sales.orders`; patterns such as `sales.*` too. Without a "
        "schema, `public` is meant (SQLite: `main`). A partition of a table is read only where its full name stands.",
    )
    exclude: list[str] = Field(default_factory=list, description="Names and patterns of those that are left out.")
    query: str | None = Field(
        default=None, min_length=1, description="A SELECT instead of `tables`, read by one connection."
    )
    columns: list[str] | None = Field(
        default=None, min_length=1, description="The columns to read, in this order; without it, all."
    )
    where: str | None = Field(
        default=None, min_length=1, description="A condition in the database's own SQL, for each of the tables."
    )
    splits: int = Field(
        default=2,
        ge=1,
        le=64,
        description="How many connections read at the same time, in PostgreSQL: each a range of a table's pages. One "
        "more holds the snapshot that all of them see. SQLite is read by one.",
    )

    @model_validator(mode="after")
    def _one_selection(self) -> Self:
        if bool(self.tables) == (self.query is not None):
            raise ValueError("either tables or query is needed")
        if self.exclude and not self.tables:
            raise ValueError("exclude needs tables")
        return self

    @property
    def selection(self) -> Selection:
        """What is read, for the readers."""
        return Selection(self.tables, self.exclude, _bare(self.query), self.columns, self.where)


def _bare(query: str | None) -> str | None:
    """Without the semicolon that people end a statement with: the query becomes part of another."""
    return None if query is None else query.strip().rstrip(";").rstrip()
