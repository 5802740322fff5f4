"""Where the JSON objects of a text are: the kernel against its twin, both against Python's own parser."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingest.formats import json_events, json_events_twin
from ingest.formats.json_events import bad_object, find

kernels = [json_events_twin]
if json_events.COMPILED:
    from ingest.formats import _json_events

    kernels.append(_json_events)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text(max_size=5), JSON, max_size=4)
NEARLY_JSON = st.lists(
    st.sampled_from(
        [
            *(b"{", b"}", b"[", b"]", b",", b":", b'"', b'"a"', b"\\", b"\\u12", b"\\ud83d\\ude00", b"\\ud83d", b"1"),
            *(
                b"-",
                b"0",
                b".5",
                b"e9",
                b"true",
                b"null",
                b" ",
                b"\n",
                b"\r",
                b"\xc3\xa9",
                b"\xff",
                b"\x00",
                b'{"a":1}',
            ),
        ]
    ),
    max_size=14,
).map(b"".join)


def lines(kernel: Any, text: bytes) -> tuple[Any, ...]:
    starts, stops = np.empty(text.count(b"\n") + 1, np.int64), np.empty(text.count(b"\n") + 1, np.int64)
    count, trouble, at = kernel.find_lines(text, 5, starts, stops)
    return starts[:count].tolist(), stops[:count].tolist(), trouble, at if not trouble else None


def items(kernel: Any, text: bytes) -> tuple[Any, ...]:
    starts, stops = np.empty(20, np.int64), np.empty(20, np.int64)
    count, trouble, at = kernel.find_items(text, 5, starts, stops)
    return starts[:count].tolist(), stops[:count].tolist(), trouble, at if not trouble else None


@given(NEARLY_JSON)
@example(b'{"a":1}\n\n {"b":[]} \r\n{}')
@example(b'[{"a":{}},{"b":[[],[1]]}]')
@example(b'{"a":[[[[[1]]]]]}')
@example(b'{"\\\\ud83d":"\\\\\\\\"}')
def test_the_kernel_finds_what_its_twin_finds(text: bytes) -> None:
    for kernel in kernels:
        assert kernel.find_object(text, 5)[0] == json_events_twin.find_object(text, 5)[0]
        assert lines(kernel, text) == lines(json_events_twin, text)
        assert items(kernel, text) == items(json_events_twin, text)


@pytest.mark.parametrize("kernel", kernels)
@given(st.data())
def test_whatever_a_json_writer_writes_is_found(kernel: Any, data: st.DataObject) -> None:
    objects = data.draw(st.lists(OBJECTS, max_size=5))
    ascii_only = data.draw(st.booleans())
    texts = [json.dumps(one, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass") for one in objects]
    lone = [one for one, text in zip(objects, texts, strict=True) if not _is_sound(text)]
    if lone:
        return
    assert [kernel.find_object(text, 64) for text in texts] == [(0, 0)] * len(texts)
    for layout, text in (("lines", b"\n".join(texts)), ("list", b"[" + b", ".join(texts) + b"]")):
        found = find(text, layout, max_depth=64)  # type: ignore[arg-type]
        assert found.bad is None
        data, sizes = found.cut_from(text)
        ends = sizes.cumsum()
        assert [bytes(data[end - size : end]) for size, end in zip(sizes, ends, strict=True)] == texts


def _is_sound(text: bytes) -> bool:
    """Whether strings hold no half of a surrogate pair, which is no Unicode."""
    try:
        json.dumps(json.loads(text.decode("utf-8")), ensure_ascii=False).encode("utf-8")
    except UnicodeError:
        return False
    return True


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "not JSON at byte 0"),
        (b"{", "not JSON at byte 1"),
        (b'{"a":01}', "not JSON at byte 6"),
        (b'{"a":NaN}', "not JSON at byte 5"),
        (b'{"a":1,}', "not JSON at byte 7"),
        (b'{"a":"\xff"}', "not JSON at byte"),
        (b'{"a":"\\ud800"}', "not JSON at byte"),
        (b"[1]", "JSON, but no object"),
        (b"17", "JSON, but no object"),
        (b'{"a":{"b":{"c":1}}}', "nested too deep: more than 2 levels"),
        (b"{} x", "not JSON at byte 3"),
    ],
)
def test_a_bad_object_is_refused_with_its_reason(text: bytes, reason: str) -> None:
    bad = bad_object(text, max_depth=2)
    assert bad is not None
    assert bad.reason.startswith(reason)


def test_the_bad_line_is_named_and_blank_lines_count_as_lines() -> None:
    bad = find(b'{"a":1}\n\n{"a":2}\n{"a":\n{}', "lines", max_depth=64).bad
    assert bad is not None
    assert (bad.number, bad.line) == (2, 4)


def test_a_list_with_more_items_than_expected_is_found_whole() -> None:
    text = b"[" + b",".join([b"{}"] * 5000) + b"]"
    assert len(find(text, "list", max_depth=64)) == 5000


def test_nesting_far_beyond_any_stack_is_refused() -> None:
    bad = find(b"[" * 1_000_000, "lines", max_depth=10_000).bad
    assert bad is not None
    assert bad.reason.startswith("nested too deep")
