"""The contract that connectors are written against; imports nothing of the engine.

``source``, ``transform`` and ``sink`` each tell a life story; ``records`` is what flows.
"""

from ingest.connectors.dead_letters import MAX_HELD_BYTES, DeadLetter, DeadRecords, Rejected, held_bytes
from ingest.connectors.records import HEADERS, TIMESTAMP, Origin, Records
from ingest.connectors.sink import (
    Commit,
    Delivery,
    SinkConnector,
    SinkContext,
    SinkTask,
    Standing,
    TopicPartition,
)
from ingest.connectors.source import (
    EndOfInput,
    Polled,
    Position,
    SourceConnector,
    SourceContext,
    SourceTask,
)
from ingest.connectors.transform import State, Transform, Transformed

__all__ = [
    "HEADERS",
    "MAX_HELD_BYTES",
    "TIMESTAMP",
    "Commit",
    "DeadLetter",
    "DeadRecords",
    "Delivery",
    "EndOfInput",
    "Origin",
    "Polled",
    "Position",
    "Records",
    "Rejected",
    "SinkConnector",
    "SinkContext",
    "SinkTask",
    "SourceConnector",
    "SourceContext",
    "SourceTask",
    "Standing",
    "State",
    "TopicPartition",
    "Transform",
    "Transformed",
    "held_bytes",
]
