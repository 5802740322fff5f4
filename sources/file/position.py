"""Where a stream stands, as the hub keeps it. Drawn in docs/formats/file-position.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast, get_args

from ingest.errors import ConnectorError
from ingest.sources.file.fingerprint import Fingerprint
from ingest.sources.file.rules import Carry

VERSION = 1


@dataclass(frozen=True, slots=True)
class FilePosition:
    """One stream: the content that was first met at ``path``, whatever file holds it now.

    ``fingerprint.offset`` counts decompressed bytes. ``lost_ms`` is when the file was found to be gone or
    overwritten: only another file with the same content can continue it. ``done`` marks a spool file
    that was read to its end and waits to be put away. ``told`` is the file's size when a dead letter told
    that its compressed data is damaged: it is told once.
    """

    path: str
    device: int
    inode: int
    compression: str = "none"
    encoding: str = ""
    carry: Carry = ""
    fingerprint: Fingerprint = field(default_factory=Fingerprint)
    lost_ms: int | None = None
    done: bool = False
    told: int | None = None

    @property
    def key(self) -> tuple[int, int]:
        """Device and inode."""
        return self.device, self.inode

    def as_json(self) -> dict[str, Any]:
        """JSON values only."""
        return {
            "version": VERSION,
            "path": self.path,
            "device": self.device,
            "inode": self.inode,
            "compression": self.compression,
            "encoding": self.encoding,
            "carry": self.carry,
            **self.fingerprint.as_json(),
            "lost_ms": self.lost_ms,
            "done": self.done,
            "told": self.told,
        }

    @classmethod
    def from_json(cls, stream: str, value: Mapping[str, Any]) -> FilePosition:
        """Raises ``ConnectorError`` on a position that this version cannot read."""
        try:
            if value["version"] != VERSION:
                raise ValueError(f"version {value['version']!r}")
            if value["carry"] not in get_args(Carry):
                raise ValueError(f"carry {value['carry']!r}")
            return cls(
                path=str(value["path"]),
                device=int(value["device"]),
                inode=int(value["inode"]),
                compression=str(value["compression"]),
                encoding=str(value["encoding"]),
                carry=cast(Carry, value["carry"]),
                fingerprint=Fingerprint.from_json(value),
                lost_ms=value["lost_ms"],
                done=bool(value["done"]),
                told=value["told"],
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ConnectorError(
                f"the position of stream {stream!r} cannot be read: {error!r}",
                hint="it was changed by hand or by another version; `ingest positions reset` forgets it",
                stream=stream,
            ) from None
