"""What PostgreSQL says when it refuses, as errors with hints."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ingest.errors import ConnectorError, SystemUnavailable
from ingest.sources.databases.url import masked

_HINTS = {
    "28P01": "the user or the password is wrong",
    "28000": "the server does not let this user in: see its pg_hba.conf",
    "3D000": "the database is not there: the URL ends in its name",
    "42501": "grant it: GRANT USAGE ON SCHEMA ... TO ...; GRANT SELECT ON ... TO ...;",
    "42P01": "a table that is named is not there, or not in the search path",
    "42703": "a column that is named is not there",
    "42601": "the query or the setting `where` is not SQL that PostgreSQL reads",
    "55P03": "a lock was not given in time: something holds the table, perhaps an ALTER TABLE",
}
_PASSING = ("08", "53", "57P0", "55P03", "40", "25P03")
"""Connection lost, too many clients, shutdown, lock not given, serialization, idle transaction ended."""


def failure(error: Exception, url: str) -> ConnectorError:
    """``error`` is psycopg's; what may pass is ``SystemUnavailable``."""
    code = getattr(error, "sqlstate", None) or ""
    return said(str(error).strip(), code, url)


@contextmanager
def judged(url: str) -> Iterator[None]:
    """What psycopg raises inside is raised as ``failure`` has it."""
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        raise failure(error, url) from error


def said(text: str, code: str, url: str) -> ConnectorError:
    """As ``failure``, from the server's message and SQLSTATE. Without a code it did not answer, unless it says so."""
    if not code:
        code = next((known for words, known in _BEFORE_THE_PROTOCOL if words in text), "")
    kind = SystemUnavailable if not code or code.startswith(_PASSING) else ConnectorError
    return kind(f"PostgreSQL at {masked(url)}: {text}", hint=_HINTS.get(code), sqlstate=code)


_BEFORE_THE_PROTOCOL = (
    ("password authentication failed", "28P01"),
    ("no password supplied", "28P01"),
    ("no pg_hba.conf entry", "28000"),
    ("does not exist", "3D000"),
)
"""libpq keeps no SQLSTATE of a connection that failed; its texts in English are all there is."""
