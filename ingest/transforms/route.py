"""``route``: each record to the topic that an expression names."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
from pydantic import Field

from ingest.config import Settings
from ingest.connectors import Records, State, Transform, Transformed
from ingest.errors import ConfigError, TopicInvalid
from ingest.log.topic_names import check_name
from ingest.transforms.refusals import Refusals
from ingest.transforms.sql import Expression

ERROR = "RouteFailed"


class RouteSettings(Settings):
    """Settings of ``route``."""

    topic: str = Field(description="SQL that gives a topic's name: `'app.' || level`.")


class Route(Transform):
    """Sends each record to the topic that an SQL expression names.

    Topics come out in the order of their first record; within a topic the order is kept. A record
    without a topic, or with a name that no topic can have, is a dead letter.
    """

    Settings = RouteSettings
    reads_headers = False

    def __init__(self, settings: RouteSettings) -> None:
        self._topic = Expression(settings.topic, "topic")

    def apply(self, records: Records, state: State) -> Transformed:
        found = self._topic.rows(records)
        names = found.column
        if not (pa.types.is_string(names.type) or pa.types.is_large_string(names.type) or pa.types.is_null(names.type)):
            raise ConfigError(f"topic: the expression is {names.type}, and must be a text", setting="topic")
        refusals = Refusals()
        for rejected in found.rejected:
            refusals.add(rejected.rows.to_pylist(), rejected.reasons)
        encoded = names.cast(pa.string()).dictionary_encode(null_encoding="encode")
        codes = np.asarray(encoded.indices)
        routed = []
        for code, name in enumerate(encoded.dictionary.to_pylist()):
            reason = _refused(name)
            if reason is None:
                part = records if len(encoded.dictionary) == 1 else records.filter(pa.array(codes == code))
                routed.append(replace(part, topic=name))
            else:
                rows = np.flatnonzero(codes == code)
                refusals.add(rows, [reason] * len(rows))
        return Transformed(routed, refusals.rejected(ERROR))


def _refused(name: str | None) -> str | None:
    if name is None:
        return "the expression names no topic"
    try:
        check_name(name)
    except TopicInvalid as error:
        return error.message
    return None
