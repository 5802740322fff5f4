"""The settings of the sink ``sql``."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, model_validator

from ingest.config import ByteSize, DurationMs, Secret, Settings
from ingest.database_url import kind_of, masked, with_login

Mode = Literal["insert", "upsert", "update", "apply"]
Load = Literal["direct", "staged", "replace"]


def _checked(url: str) -> str:
    kind_of(url)
    return url


def _listed(value: Any) -> Any:
    return [name.strip() for name in value.split(",")] if isinstance(value, str) else value


class BatchSettings(Settings):
    """What is pending becomes a commit, one transaction of the database: whichever comes first."""

    rows: int = Field(default=100_000, ge=1, description="Rows in a transaction, about.")
    bytes: ByteSize = Field(default=8 * 1024 * 1024, ge=1, description="Their bytes in memory, about.")
    interval: DurationMs = Field(default=1_000, ge=1, description="Wall time since the oldest row that waits.")


class SqlSinkSettings(Settings):
    """Which database, which table, and what a record does to it."""

    url: Annotated[str, AfterValidator(_checked), PlainSerializer(masked)] = Field(
        description="`postgresql://user:password@host:5432/database`, `mysql://` or `mariadb://` likewise (port 3306), "
        "or `sqlite:///file.db` (four slashes for an absolute path; a relative one starts at the pipeline file). "
        "Write the password as `${VAR}`: it is never shown."
    )
    username: str | None = Field(default=None, description="The user, in place of the URL's.")
    password: Secret | None = Field(
        default=None,
        description="The password as it is, in place of the URL's; e.g. `${file:/run/secrets/database}`.",
    )
    table: str = Field(
        default="{topic}",
        min_length=1,
        description="The table. `{topic}` stands for the record's topic, `{table}` for what follows its last dot; a "
        "dot in the result divides the schema (in MariaDB and MySQL the database) from the table.",
        examples=["orders", "sales.{table}"],
    )
    mode: Mode = Field(
        default="insert",
        description="`insert` adds a row for each record. `upsert` changes the row that has the record's `key`, or "
        "adds it; a tombstone deletes it. `update` only changes rows that are there. `apply` follows changes (in "
        "Debezium's envelope, or the flat form), so that the table equals their source.",
    )
    key: Annotated[list[str], BeforeValidator(_listed)] = Field(
        default_factory=list,
        description="The columns that identify a row: a primary key or a unique index of the table has to consist of "
        "them. For `apply` it may be left out: then the table's primary key, or the names in the records' keys.",
        examples=[["id"], ["order_id", "line"]],
    )
    create: bool = Field(
        default=True,
        description="Make a table that is not there, add columns that it lacks, and widen types where the database "
        "can. `false`: the table is as it is; a value that has no column there makes a dead letter.",
    )
    columns: list[str] = Field(
        default_factory=list, description="Only these columns of the values are written; without it, all."
    )
    load: Load = Field(
        default="direct",
        description="`direct` writes to the table. `staged` and `replace` write to `staging_table`; when a run with "
        "`--until-caught-up` has read everything, its rows go to the table in one transaction: to those that are "
        "there (`staged`), or in their place (`replace`).",
    )
    staging_table: str = Field(
        default="",
        description="Where rows wait, for `load: staged` and `replace`; without it, the table's name with `_staging` "
        "behind it. It is made, and emptied at the end.",
    )
    clear_staging: bool = Field(
        default=False, description="Rows that somebody else has left in the staging table are deleted, and no error."
    )
    lock_wait: DurationMs = Field(
        default=30_000,
        ge=1,
        description="How long somebody else may keep a row, a table or the file from the sink before its commit is "
        "given up, and made anew after a pause; MariaDB and MySQL count whole seconds.",
    )
    batch: BatchSettings = Field(default_factory=BatchSettings, description="When a commit is made.")

    @property
    def address(self) -> str:
        """The URL with user and password."""
        secret = None if self.password is None else self.password.get_secret_value()
        return with_login(self.url, self.username, secret)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.mode in ("upsert", "update") and not self.key:
            raise ValueError(f"mode {self.mode} needs key, the columns that identify a row")
        if self.load != "direct" and self.mode not in ("insert", "upsert"):
            raise ValueError(f"load {self.load} goes with the modes insert and upsert")
        if self.staging_table and self.load == "direct":
            raise ValueError("staging_table needs load: staged or replace")
        return self
