"""The settings of the source ``sql``."""

from __future__ import annotations

from typing import Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator, model_validator

from ingest.config import ByteSize, DurationMs, Secret, Settings
from ingest.database_url import with_login
from ingest.sources.databases.reader import Selection
from ingest.sources.databases.tables import TableInfo
from ingest.sources.databases.url import AnyDatabaseUrl
from ingest.sources.sql.cron import parse_cron


class IncrementalSettings(Settings):
    """How to find what is new in a table."""

    column: str = Field(
        min_length=1,
        description="The column that grows: an id, or the time of the last change. Rows where it is null are not read. "
        "It needs an index in a table of any size.",
    )
    mode: Literal["append", "modified"] = Field(
        description="`append`: rows are only added; each is delivered once, and known again by its key. `modified`: "
        "rows change, too, and `column` with them; each version that is seen is delivered."
    )
    key: list[str] = Field(
        default_factory=list, description="Columns that identify a row; without it, those of the primary key."
    )
    start: int | str | None = Field(
        default=None, description="The first round begins above this value, and not with the whole table."
    )
    lag: DurationMs | None = Field(
        default=None,
        ge=0,
        description="Leave rows that are newer than this, by the server's clock, for a later round (columns of dates "
        "and timestamps; those without a zone are taken as UTC). Without it, all rows are read.",
    )
    window: int = Field(
        default=10_000,
        ge=0,
        description="So many of the newest rows are read again each round, for the sake of transactions that took a "
        "value and commit late: one that is overtaken by more rows than that is not seen.",
    )
    window_time: DurationMs | None = Field(
        default=None,
        ge=0,
        description="Read again, too, what lies this far below the newest value (columns of dates and timestamps): "
        "longer than the longest transaction.",
    )
    remember: ByteSize = Field(
        default=4 * 1024 * 1024,
        ge=1024,
        le=32 * 1024 * 1024,
        description="How much may be kept to know rows again: 16 bytes for each row of the window. It is written with "
        "each commit.",
    )

    def key_of(self, table: TableInfo) -> list[str]:
        """The columns that identify a row; empty if nobody knows."""
        return list(self.key or table.key)


class SqlSettings(Settings):
    """Which database, which of its tables, and how many connections read them."""

    url: AnyDatabaseUrl = Field(
        description="`postgresql://user:password@host:5432/database` or `sqlite:///file.db` (four slashes for an "
        "absolute path; a relative one starts at the pipeline file), `mysql://`, `mariadb://`; or any other URL of "
        "SQLAlchemy, such as `oracle+oracledb://...`, read row by row. Write the password as `${VAR}`: it is not shown."
    )
    username: str | None = Field(default=None, description="The user, in place of the URL's.")
    password: Secret | None = Field(
        default=None,
        description="The password as it is, in place of the URL's; e.g. `${file:/run/secrets/database}`.",
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
        description="How many connections read at the same time, in PostgreSQL (one more holds the snapshot that all "
        "of them see) and in MariaDB; SQLite and other databases are read by one.",
    )

    mode: Literal["once", "full"] = Field(
        default="once",
        description="`once`: a table is imported whole, once. `full`: whole, in each round: each round is a step of "
        "its own behind the last.",
    )
    incremental: IncrementalSettings | None = Field(
        default=None, description="Only what is new since the last round: `{column: id, mode: append}`."
    )
    every: DurationMs | None = Field(
        default=None,
        ge=1,
        description="From the beginning of a round to that of the next. Without `every` and `cron` there is one round "
        "each time the pipeline is started; with `--until-caught-up` as well.",
    )
    cron: str | None = Field(
        default=None, description="When rounds begin: minute, hour, day, month, weekday, e.g. `*/5 * * * *`; `@daily`."
    )
    timezone: str = Field(default="UTC", description="The zone of `cron`, such as `Europe/Berlin`.")
    primary_key: bool = Field(
        default=False,
        description="Give each record the primary key of its row as its key: a JSON object, as Debezium's.",
    )

    split_by: list[str] = Field(
        default_factory=list,
        description="Divide a table by ranges of this column (or of several, such as a composite key) with about equal "
        "numbers of rows, found by a sample. Without it, PostgreSQL's tables are divided by their pages.",
    )
    boundary_query: str | None = Field(
        default=None,
        min_length=1,
        description="Where `split_by` divides: a SELECT of one column, a boundary a row; or of the least and the "
        "greatest value, for ranges of equal width.",
    )
    resume: bool = Field(
        default=False,
        description="Splits that are done commit by themselves, and after a failure the import goes on with the rest: "
        "rows are then from several moments, which is reported. Splits are ranges of `split_by`, or else of the "
        "primary key.",
    )

    @field_validator("split_by", mode="before")
    @classmethod
    def _split_by(cls, value: object) -> object:
        return [value] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _splits_fit(self) -> Self:
        if self.incremental is not None and (self.split_by or self.resume):
            raise ValueError("incremental reads in the order of its column: split_by and resume do not go with it")
        if self.boundary_query is not None and len(self.split_by) != 1:
            raise ValueError("boundary_query needs split_by with one column")
        return self

    @field_validator("cron")
    @classmethod
    def _cron(cls, value: str | None) -> str | None:
        if value is not None:
            parse_cron(value)
        return value

    @field_validator("timezone")
    @classmethod
    def _timezone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, OSError, ValueError):  # names may be folders, or lead out of the database of zones
            raise ValueError(f"there is no time zone {value}") from None
        return value

    @model_validator(mode="after")
    def _one_schedule(self) -> Self:
        if self.every is not None and self.cron is not None:
            raise ValueError("either every or cron, not both")
        if self.incremental is not None and self.mode == "full":
            raise ValueError("either incremental or mode: full")
        scheduled = self.every is not None or self.cron is not None
        if scheduled and self.incremental is None and self.mode == "once":
            raise ValueError("a table is imported once: a schedule needs `incremental`, or `mode: full`")
        return self

    @model_validator(mode="after")
    def _one_selection(self) -> Self:
        if bool(self.tables) == (self.query is not None):
            raise ValueError("either tables or query is needed")
        if self.exclude and not self.tables:
            raise ValueError("exclude needs tables")
        return self

    @property
    def address(self) -> str:
        """The URL with user and password."""
        secret = None if self.password is None else self.password.get_secret_value()
        return with_login(self.url, self.username, secret)

    @property
    def selection(self) -> Selection:
        """What is read, for the readers."""
        return Selection(self.tables, self.exclude, _bare(self.query), self.columns, self.where)


def _bare(query: str | None) -> str | None:
    """Without the semicolon that people end a statement with: the query becomes part of another."""
    return None if query is None else query.strip().rstrip(";").rstrip()
