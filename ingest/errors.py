"""Every error that Ingest raises, as one tree.

    IngestError                        what happened, where, and a hint
    ├── ConfigError                    the user's file or setting is wrong (exit code 78)
    ├── UsageError                     the command line is wrong (exit code 2)
    ├── WireError                      bytes that are not what they claim to be
    │   ├── CorruptBatch               a record batch fails its CRC or its own lengths
    │   ├── UnsupportedBatch           a magic or compression codec that is not spoken here
    │   └── TooLarge                   a size above the limit: refused before memory is taken
    ├── LogError                       the partitioned log
    │   ├── StorageFailed (Retriable)  the disk refused: an I/O error, too many open files
    │   │   ├── StorageFull                no room: it may come without anybody's help
    │   │   └── StorageDenied (Permanent)  read-only, no permission, no such folder, a name that cannot be
    │   ├── FolderLocked               another process owns the data folder
    │   ├── FolderInvalid              not a data folder, or of another version
    │   ├── TopicMissing               no such topic or partition
    │   ├── TopicExists                a topic of that name is already there
    │   ├── TopicInvalid               a name or setting that the log refuses
    │   ├── OffsetOutOfRange           below the log start or above the end
    │   ├── RecordInvalid              records that the log or the topic's settings refuse
    │   ├── SequenceOutOfOrder         an idempotent producer skipped a batch
    │   ├── Fenced                     a newer epoch of the same writer exists
    │   ├── TransactionInvalid         a call that the transaction's state forbids
    │   └── Closed                     the log, hub or client was closed
    ├── FormatError                    values and schemas
    │   ├── SchemaClash                a change that the topic's contract refuses
    │   └── DecodeFailed               a value is not in the topic's format
    ├── ConnectorError                 sources, transforms and sinks
    │   ├── MissingDependency          an extra is not installed
    │   ├── SystemUnavailable (Retriable)  the outside system does not answer
    │   ├── PositionLost               the outside system no longer has what comes next
    │   ├── IdentityMismatch           a position of another hub or topic, or beyond its log
    │   ├── SinkFenced                 another writer has taken over this target
    │   ├── OutputDamaged              a committed file is neither published nor redoable
    │   └── RecordRefused              a record cannot go on, and dead letters are not allowed
    ├── RunStopped                     somebody asked for the end before the work was done
    └── BudgetExhausted                a task failed more often than its retry budget allows

``Retriable`` and ``Permanent`` are mixins: a loop retries by type and needs no list of cases.
"""

from __future__ import annotations


class IngestError(Exception):
    """Base of all: ``message`` says what happened and where, ``hint`` what to do about it.

    ``facts`` are the machine-readable part (topic, partition, offset, path, line, ...).
    """

    def __init__(self, message: str, *, hint: str | None = None, **facts: object) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.facts = facts

    def __str__(self) -> str:
        return f"{self.message} (hint: {self.hint})" if self.hint else self.message


class Retriable:
    """Mixin: the same call may succeed later, with nothing changed by the caller."""


class Permanent:
    """Mixin: no attempt succeeds before somebody has changed something. A task stops at once, although the error
    may be ``Retriable``, by which the caller who holds on can go on once that is done."""


class ConfigError(IngestError):
    """The pipeline file or a setting is wrong; facts ``path``, ``line``, ``column`` where known."""


class UsageError(IngestError):
    """The command line is wrong."""


class WireError(IngestError):
    """Bytes that are not what they claim to be."""


class CorruptBatch(WireError):
    """A record batch fails its CRC or its own lengths; fact ``position`` is the batch's first byte."""


class UnsupportedBatch(WireError):
    """A record batch of a magic or compression codec that is not spoken here."""


class TooLarge(WireError):
    """A size above the limit, refused before memory is taken for it."""


class LogError(IngestError):
    """The partitioned log."""


class StorageFailed(LogError, Retriable):
    """The disk refused; facts: ``path`` names the file, ``errno`` the reason.

    Nothing that was readable before is lost; the same call succeeds once the cause is gone.
    """


class StorageFull(StorageFailed):
    """There is no room, or the quota is used up. A run that goes on waits for room, however long."""


class StorageDenied(StorageFailed, Permanent):
    """The disk is read-only, or the path is not to be written: permission, a missing folder, a file for a folder."""


class FolderLocked(LogError):
    """Another process owns the data folder; the message says which."""


class FolderInvalid(LogError):
    """The folder is no data folder of Ingest, or one of another version."""


class TopicMissing(LogError):
    """No such topic or partition."""


class TopicExists(LogError):
    """A topic of that name is already there."""


class TopicInvalid(LogError):
    """A topic name or setting that the log refuses."""


class OffsetOutOfRange(LogError):
    """The offset lies below the log start or above the log end; facts ``start``, ``end``."""


class RecordInvalid(LogError):
    """Records that the log or the topic's settings refuse: a time too far off, a client's control batch."""


class SequenceOutOfOrder(LogError):
    """An idempotent producer's batch does not follow its last one (KIP-98)."""


class Fenced(LogError):
    """A newer epoch of the same writer or producer exists: this one must stop."""


class TransactionInvalid(LogError):
    """A call that the state of the transaction forbids."""


class Closed(LogError):
    """The log, hub or client was closed before or during the call."""


class FormatError(IngestError):
    """Values and schemas."""


class SchemaClash(FormatError):
    """A schema change that the topic's contract refuses."""


class DecodeFailed(FormatError):
    """A value is not in the topic's format."""


class ConnectorError(IngestError):
    """Sources, transforms and sinks; connectors of users raise this or a subclass."""


class MissingDependency(ConnectorError):
    """An optional library is not installed; the hint says which extra brings it."""


class SystemUnavailable(ConnectorError, Retriable):
    """The outside system does not answer, or says that it is busy."""


class PositionLost(ConnectorError):
    """The outside system, or the hub, no longer has what comes after the position."""


class IdentityMismatch(ConnectorError):
    """A position that belongs to another hub or topic, or lies beyond the end of its log."""


class SinkFenced(ConnectorError):
    """Another writer has taken over this target."""


class OutputDamaged(ConnectorError):
    """A committed file is neither published nor there as a temporary."""


class RecordRefused(ConnectorError):
    """A record cannot go on, and the pipeline tolerates none."""


class BudgetExhausted(IngestError):
    """A task failed more often than its retry budget allows; ``__cause__`` is the last failure."""


class RunStopped(IngestError):
    """Somebody asked the run to end, and it did so before its work was done; the next one goes on."""
