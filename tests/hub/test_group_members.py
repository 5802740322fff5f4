"""How members of a group share partitions."""

from __future__ import annotations

from collections.abc import Set

from hypothesis import given
from hypothesis import strategies as st

from ingest.connectors import TopicPartition
from ingest.hub.group_members import Member, share_out

PLACES = [TopicPartition(topic, partition) for topic in "ab" for partition in range(4)]


def member(number: int, target: Set[TopicPartition] = frozenset()) -> Member:
    return Member(number, lambda: set(), 0, 0, target=set(target))


@given(
    wanted=st.lists(st.sets(st.sampled_from(PLACES)), min_size=1, max_size=5),
    before=st.lists(st.sets(st.sampled_from(PLACES)), min_size=5, max_size=5),
)
def test_every_partition_has_exactly_one_member_that_wants_it(
    wanted: list[set[TopicPartition]], before: list[set[TopicPartition]]
) -> None:
    members = {member(n, before[n]): places for n, places in enumerate(wanted)}
    share_out(members)
    given_out = [place for one in members for place in one.target]
    assert len(given_out) == len(set(given_out))
    assert set(given_out) == set().union(*wanted)
    assert all(one.target <= places for one, places in members.items())


@given(count=st.integers(1, 6), places=st.sets(st.sampled_from(PLACES)))
def test_shares_differ_by_one_at_most_when_all_want_the_same(count: int, places: set[TopicPartition]) -> None:
    members = {member(n): places for n in range(count)}
    share_out(members)
    sizes = sorted(len(one.target) for one in members)
    assert sizes[-1] - sizes[0] <= 1


def test_what_can_stay_stays() -> None:
    places = set(PLACES)
    members = {member(n): places for n in range(3)}
    share_out(members)
    before = {one: set(one.target) for one in members}
    joined = member(3)
    share_out({**members, joined: places})
    moved = sum(len(before[one] - one.target) for one in before)
    assert moved == len(joined.target) == 2
    left = dict(list(members.items())[1:])
    kept = {one: set(one.target) for one in left}
    share_out(left)
    assert all(kept[one] <= one.target for one in left)
