"""The connection type ``ingest``: where a hub is, and what the variables of pipeline files stand for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from airflow.sdk import BaseHook, Connection
from airflow.sdk.log import mask_secret

from ingest.errors import ConfigError, IngestError
from ingest.hub.client import Client
from ingest.hub.connect import connect
from ingest.hub.embedded import EmbeddedHub


class IngestHook(BaseHook):
    """Reads a connection. Its fields are described in ``ingest.pipelines.airflow.provider``."""

    conn_name_attr = "conn_id"
    default_conn_name = "ingest_default"
    conn_type = "ingest"
    hook_name = "Ingest"

    def __init__(self, conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.conn_id = conn_id

    @property
    def hub(self) -> str | None:
        """The hub's folder, if the connection names one."""
        value = self._connection().extra_dejson.get("hub")
        return str(value) if value else None

    @property
    def variables(self) -> dict[str, str]:
        """What ``${NAME}`` means. The values are masked in logs from here on."""
        given = self._connection().extra_dejson.get("variables") or {}
        try:
            values = json.loads(given) if isinstance(given, str) else given
        except ValueError as error:
            raise self._wrong(f"are no JSON: {error}") from None
        if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
            raise self._wrong("are no JSON object of texts")
        for value in values.values():
            mask_secret(value)
        return values

    def get_conn(self) -> Client:
        """A client that reads, beside whoever writes to the hub. Close it after use."""
        return connect(self._folder(), writable=False)

    def test_connection(self) -> tuple[bool, str]:
        """Called by the button in Airflow's UI."""
        try:
            hub = EmbeddedHub.open(Path(self._folder()), writable=False)
        except IngestError as error:
            return False, str(error)
        try:
            topics = sum(not topic.internal for topic in hub.topics())
            return True, f"hub {hub.id} with {topics} topics"
        finally:
            hub.close()

    def _connection(self) -> Connection:
        return self.get_connection(self.conn_id)

    def _folder(self) -> str:
        hub = self.hub
        if hub is None:
            raise ConfigError(f"the connection {self.conn_id} names no hub", hint="set its field Hub")
        return hub

    def _wrong(self, what: str) -> ConfigError:
        hint = 'write for example: {"PASSWORD": "..."}'
        return ConfigError(f"the variables of the connection {self.conn_id} {what}", hint=hint)
