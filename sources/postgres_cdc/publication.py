"""The publication: what the server sends, made if it is not there, and checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ingest.errors import ConnectorError, PositionLost
from ingest.sources.databases.tables import quoted
from ingest.sources.postgres.failures import failure
from ingest.sources.postgres_cdc.catalogue import Capturable

_PUBLICATION = """
SELECT puballtables, pubinsert, pubupdate, pubdelete, pubtruncate, pubviaroot FROM pg_publication WHERE pubname = %s"""
_MEMBERS = "SELECT schemaname, tablename FROM pg_publication_tables WHERE pubname = %s"


@dataclass(frozen=True, slots=True)
class _Publication:
    all_tables: bool
    inserts: bool
    updates: bool
    deletes: bool
    truncates: bool
    via_root: bool


def published(connection: Any, name: str, tables: Sequence[Capturable], url: str, *, begun: bool) -> list[str]:
    """Sees to it that the changes of ``tables`` are published; returns what the user should know, a sentence each.

    Raises ``PositionLost`` if it is gone although its stream has ``begun``, and ``ConnectorError``, before anything is
    changed, if a table's updates could not be told apart: the server would refuse them to everybody from then on.
    """
    import psycopg

    try:
        row = connection.execute(_PUBLICATION, [name]).fetchone()
        publication = None if row is None else _Publication(*row)
        if publication is None and begun:
            raise PositionLost(
                f"the publication {name} is gone: the server can no longer tell what was changed before",
                hint="somebody dropped it. Drop the slot, too; `ingest positions reset` makes the next run begin anew",
            )
        _check_identity(publication, tables)
        if publication is None:
            _make(connection, name, tables)
            return []
        return _checked(connection, name, publication, tables)
    except psycopg.errors.InsufficientPrivilege as error:
        raise ConnectorError(
            f"this user may not make or change the publication {name}: {str(error).strip()}",
            hint=f"let the owner of the tables run: {_statement(name, tables)}",
        ) from None
    except psycopg.Error as error:
        raise failure(error, url) from None


def _check_identity(publication: _Publication | None, tables: Sequence[Capturable]) -> None:
    if publication is not None and not (publication.updates or publication.deletes):
        return
    for each in tables:
        if not each.identified:
            name = each.table.stream
            raise ConnectorError(
                f"{name} has no primary key, nor another replica identity: once it is published, PostgreSQL refuses "
                "every UPDATE and DELETE of it",
                hint=f"ALTER TABLE {each.table.relation} REPLICA IDENTITY FULL; or give it a primary key; or leave it "
                "out by `exclude`; or, if it only ever grows, make the publication yourself WITH (publish = 'insert')",
                table=name,
            )


def _make(connection: Any, name: str, tables: Sequence[Capturable]) -> None:
    connection.execute(_statement(name, tables))


def _statement(name: str, tables: Sequence[Capturable]) -> str:
    listed = ", ".join(each.table.relation for each in tables)
    return f"CREATE PUBLICATION {quoted(name)} FOR TABLE {listed} WITH (publish_via_partition_root = true)"


def _checked(connection: Any, name: str, publication: _Publication, tables: Sequence[Capturable]) -> list[str]:
    for each in tables:
        if each.partitioned and not publication.via_root:
            raise ConnectorError(
                f"the publication {name} sends the changes of {each.table.stream} as those of its partitions",
                hint=f"ALTER PUBLICATION {quoted(name)} SET (publish_via_partition_root = true)",
            )
    members = {(schema, table) for schema, table in connection.execute(_MEMBERS, [name])}
    missing = [each for each in tables if (each.table.schema, each.table.name) not in members]
    for each in missing:
        connection.execute(f"ALTER PUBLICATION {quoted(name)} ADD TABLE {each.table.relation}")
    return [*_left_out(name, publication), *_filtered(connection, name), *(_added(name, each) for each in missing)]


def _added(name: str, each: Capturable) -> str:
    return f"{each.table.stream} was added to the publication {name}: its changes from now on are read"


def _filtered(connection: Any, name: str) -> list[str]:
    if connection.info.server_version < 150_000:
        return []
    return [
        f"the publication {name} leaves out rows of {schema}.{table}, which the first snapshot reads"
        for schema, table in connection.execute(f"{_MEMBERS} AND rowfilter IS NOT NULL", [name])
    ]


def _left_out(name: str, publication: _Publication) -> list[str]:
    kinds = ("inserts", "updates", "deletes", "truncates")
    missing = [kind for kind in kinds if not getattr(publication, kind)]
    return [f"the publication {name} leaves out: {', '.join(missing)}"] if missing else []
