"""TLS as this side speaks it."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

from ingest.errors import ConnectorError
from ingest.sources.listening.settings import TlsSettings


def server_context(settings: TlsSettings, base_folder: Path) -> ssl.SSLContext:
    """Raises ``ConnectorError`` for files that are missing or do not fit together."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    certificate, key = base_folder / settings.certificate, base_folder / settings.key
    try:
        context.load_cert_chain(certificate, key, password=_no_passphrase)
        if settings.client_ca is not None:
            context.load_verify_locations(base_folder / settings.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ValueError) as error:
        raise ConnectorError(
            f"the TLS files cannot be used: {error}",
            hint="certificate, key and client_ca are PEM files that this user may read; key belongs to certificate",
            certificate=str(certificate),
            key=str(key),
        ) from error
    return context


def subject_of(certificate: dict[str, Any] | None) -> str:
    """The common name in a sender's certificate, "" if there is none."""
    names = [value for part in (certificate or {}).get("subject", ()) for key, value in part if key == "commonName"]
    return str(names[0]) if names else ""


def _no_passphrase() -> str:
    raise ValueError("the key has a passphrase")
