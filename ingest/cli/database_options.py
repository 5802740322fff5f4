"""How commands name a database: with Sqoop's options."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ingest.errors import UsageError

if TYPE_CHECKING:
    from ingest.sources.sql.settings import SqlSettings

F = TypeVar("F", bound=Callable[..., Any])
PASSWORD = "INGEST_PASSWORD"  # noqa: S105  the name of a variable

_SECRET_PARAMETER = re.compile(r"[?&](ssl)?password=", re.IGNORECASE)
_OPTIONS = (
    click.option("--connect", required=True, metavar="URL", help="postgresql://, mysql://, sqlite:///, or jdbc:..."),
    click.option("--username", help="The database's user, unless the URL has one."),
    click.option(
        "--password-file",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="A file that holds the password, and may end in one line feed.",
    ),
    click.option("-P", "ask_password", is_flag=True, help="Ask for the password on the terminal."),
    click.option("--password", help="The password; others see it in the list of processes. Better: " + PASSWORD + "."),
)


def database_options(command: F) -> F:
    """Adds the options; the command gets them as one ``Database``, by ``taken``."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@dataclass(frozen=True, slots=True)
class Database:
    """``url`` has no password; ``password`` is what a pipeline file may say for it, and ``variables`` resolve that."""

    url: str
    username: str | None
    password: str | None
    variables: Mapping[str, str]

    def settings(self, **more: Any) -> SqlSettings:
        """Of the source ``sql``, with the password itself."""
        from ingest.sources.sql.settings import SqlSettings

        return SqlSettings(url=self.url, username=self.username, password=self._secret(), **more)

    @property
    def address(self) -> str:
        """The URL with user and password."""
        from ingest.database_url import with_login

        return with_login(self.url, self.username, self._secret())

    def _secret(self) -> str | None:
        from ingest.pipelines.variables import substitute

        return None if self.password is None else substitute(self.password, self.variables)


def taken(given: dict[str, Any]) -> Database:
    """Takes the options out of what click has read."""
    from ingest.database_url import parted

    url, user, secret = parted(_plain(given.pop("connect")))
    if _SECRET_PARAMETER.search(url):
        raise UsageError("a password stands behind the ? of the URL", hint="--password-file keeps it out of sight")
    user = given.pop("username") or user
    file, asked, typed = given.pop("password_file"), given.pop("ask_password"), given.pop("password")
    if asked:
        typed = click.prompt("Password", hide_input=True, err=True)
    secret = typed if typed is not None else secret
    if file is not None and typed is not None:
        raise UsageError("either --password-file or another password, not both")
    if file is not None:
        return Database(url, user, f"${{file:{file.absolute()}}}", os.environ)
    if secret is None and PASSWORD not in os.environ:
        return Database(url, user, None, os.environ)
    variables = os.environ if secret is None else {**os.environ, PASSWORD: secret}
    return Database(url, user, f"${{{PASSWORD}}}", variables)


def _plain(url: str) -> str:
    """``jdbc:postgresql://host/db`` and ``jdbc:sqlite:file`` as SQLAlchemy has them; paths from here."""
    url = url.removeprefix("jdbc:")
    if url.startswith("sqlite:") and not url.startswith("sqlite://"):
        url = f"sqlite:///{url.removeprefix('sqlite:')}"
    if url.startswith("sqlite:///") and len(url) > len("sqlite:///"):
        return f"sqlite:///{Path(url.removeprefix('sqlite:///')).absolute()}"
    if "://" not in url:
        raise UsageError(f"{url.partition(':')[0]} is no URL", hint="--connect postgresql://host/database")
    return url
