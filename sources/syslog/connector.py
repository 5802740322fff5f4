"""The ``syslog`` source."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from pathlib import Path

from ingest.connectors import SourceConnector, SourceTask
from ingest.sources.listening.connection import Connection
from ingest.sources.listening.connections import ConnectionDoor, NewConnection
from ingest.sources.listening.datagrams import DatagramDoor
from ingest.sources.listening.door import Door
from ingest.sources.listening.intake import Intake
from ingest.sources.listening.reception import Outside, Reception
from ingest.sources.listening.task import ListeningTask
from ingest.sources.listening.tls import server_context
from ingest.sources.messages.cut import Framing, LongMessages
from ingest.sources.messages.lines import Lines
from ingest.sources.messages.octets import Octets, OctetsOrLines
from ingest.sources.syslog.relp import RelpConnection
from ingest.sources.syslog.settings import SyslogSettings

__all__ = ["SyslogSettings", "SyslogSource"]


class SyslogSource(SourceConnector):
    """Messages that devices and programs send by syslog, each a record as it came (`parse: syslog` makes columns).

    Headers: `ingest.peer` (address and port of the sender), `ingest.received` (when it came in, also the record's
    timestamp until `parse` sets the message's own), with `tls.client_ca` also `ingest.peer.name` (the common name in
    the sender's certificate). Over RELP at least once: a message is acknowledged when it is on disk. UDP and TCP
    cannot acknowledge: what is on its way when this side is killed is lost. With `--until-caught-up` it does not
    listen.
    """

    Settings = SyslogSettings
    needs_topic = True

    def __init__(self, settings: SyslogSettings) -> None:
        self._settings = settings
        kind = socket.SOCK_DGRAM if settings.protocol == "udp" else socket.SOCK_STREAM
        self._reception = Reception(settings, kind, self._door)

    def check(self, base_folder: Path) -> None:
        if self._settings.tls is not None:
            server_context(self._settings.tls, base_folder)
        self._reception.check(base_folder)

    def tasks(self, most: int) -> Sequence[SourceTask]:
        return [ListeningTask("syslog", self._settings, self._reception)]

    def _door(self, bound: socket.socket, intake: Intake, outside: Outside, base_folder: Path) -> Door:
        settings = self._settings
        if settings.protocol == "udp":
            return DatagramDoor(bound, intake, _long(settings))
        return ConnectionDoor(
            bound,
            intake,
            _relp(settings, intake, outside) if settings.protocol == "relp" else _tcp(settings, intake),
            tls=server_context(settings.tls, base_folder) if settings.tls else None,
            most=settings.connections,
            idle_ms=settings.idle,
        )


def _tcp(settings: SyslogSettings, intake: Intake) -> NewConnection:
    def new(peer: str, lost: Callable[[Connection], None]) -> Connection:
        return Connection(peer, lost, intake, _framing(settings))

    return new


def _relp(settings: SyslogSettings, intake: Intake, outside: Outside) -> NewConnection:
    def new(peer: str, lost: Callable[[Connection], None]) -> Connection:
        return RelpConnection(peer, lost, intake, _long(settings), outside)

    return new


def _long(settings: SyslogSettings) -> LongMessages:
    return LongMessages(settings.max_message, split=settings.split)


def _framing(settings: SyslogSettings) -> Framing:
    if settings.framing == "octets":
        return Octets(settings.max_message, split=settings.split)
    if settings.framing == "auto":
        return OctetsOrLines(settings.max_message, split=settings.split)
    end = b"\0" if settings.framing == "nuls" else b"\n"
    return Lines(settings.max_message, split=settings.split, blank=False, end=end)
