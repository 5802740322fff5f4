"""Transforms one after the other; refused rows are traced to where they entered."""

from __future__ import annotations

import pyarrow as pa
import pytest

from ingest.connectors import Records, Transformed
from ingest.errors import ConnectorError
from ingest.runtime.transform_chain import TransformChain


def batch(*values):
    return Records(value=pa.array(values, pa.string()), topic="t", stream="s")


def test_no_transforms_change_nothing():
    result = TransformChain([]).apply(batch("a", "b"))
    assert [records.value.to_pylist() for records in result.records] == [["a", "b"]]
    assert not result.refused


def test_refused_rows_are_named_as_they_entered_however_many_steps_later(world):
    chain = TransformChain([world.Upper(), Exclaim(world), world.Upper()])
    result = chain.apply(batch("-gone", "a", "!bad", "b"))
    assert [records.value.to_pylist() for records in result.records] == []
    refused = [(refusal.rows.to_pylist(), refusal.stage, refusal.error) for refusal in result.refused]
    assert refused == [([2], "upper", "Shouting"), ([1, 3], "upper", "Shouting")]


class Exclaim:
    """Puts ``!`` before every value, so that a second ``Upper`` rejects it."""

    stateful = False

    def __init__(self, world):
        self.world = world

    def apply(self, records, state):
        return Transformed([records.with_value(pa.array([f"!{v}" for v in records.value.to_pylist()]))])


def test_state_goes_from_batch_to_batch_and_through_the_batches_of_one_call(world):
    chain = TransformChain([world.Upper(), world.Numbered()])
    first = chain.apply(batch("a", "b"))
    second = chain.apply(batch("c"), first.states)
    assert [r.value.to_pylist() for r in [*first.records, *second.records]] == [["0:A", "1:B"], ["2:C"]]
    assert second.states == [None, {"count": 3}]


def test_an_earlier_state_is_not_changed_in_place(world):
    chain = TransformChain([world.Numbered()])
    states = chain.apply(batch("a")).states
    chain.apply(batch("b"), states)
    assert states == [{"count": 1}]


def test_states_follow_their_transforms_when_the_pipeline_was_edited(world):
    stored = TransformChain([world.Numbered()]).apply(batch("a")).states
    edited = TransformChain([world.Upper(), world.Numbered(), world.Upper()])
    assert edited.restored(stored) == [None, {"count": 1}, None]
    assert edited.restored([]) == [None, None, None]


def test_a_transform_that_loses_track_of_its_rows_is_told_so():
    class Careless:
        stateful = False

        def apply(self, records, state):
            return Transformed([Records(value=records.value)])

    with pytest.raises(ConnectorError, match="careless lost track"):
        TransformChain([Careless()]).apply(batch("a"))


def test_a_step_after_one_that_filtered_all_out_is_not_called(world):
    class Never:
        stateful = False

        def apply(self, records, state):
            raise AssertionError("called with nothing")

    assert TransformChain([world.Upper(), Never()]).apply(batch("-a")).records == []
