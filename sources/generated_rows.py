"""Made-up rows: the row at an index is always the same, whatever came before it.

Every field is a hash of the seed, the field and the index, so any range can be made at once, by columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

_U64 = NDArray[np.uint64]

_METHODS = (("GET", 84), ("POST", 11), ("HEAD", 2), ("PUT", 2), ("DELETE", 1))
_STATUSES = (("200", 82), ("304", 6), ("404", 5), ("301", 3), ("302", 2), ("500", 1), ("403", 1))
_PAGES = (
    *(("/", 12), ("/index.html", 8), ("/login", 4), ("/search?q=", 9), ("/products/", 22), ("/cart", 4)),
    *(("/static/app.js", 10), ("/static/site.css", 10), ("/images/", 12), ("/api/v1/items/", 8), ("/robots.txt", 1)),
)
_REFERERS = (
    *(("-", 45), ("https://www.example.com/products/", 25), ("https://search.example.net/?q=shoes", 20)),
    ("https://news.example.org/2026/story", 10),
)
_AGENTS = (
    ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36", 15),
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/131.0.0.0 Safari/537.36",
        30,
    ),
    ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:133.0) Gecko/20100101 Firefox/133.0", 12),
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
        "Version/18.1 Mobile/15E148 Safari/604.1",
        30,
    ),
    ("curl/8.11.0", 5),
    ("ExampleBot/2.1 (+https://bot.example.com/info)", 8),
)
_ACTIONS = (("view", 60), ("click", 25), ("add", 8), ("buy", 4), ("leave", 3))


@dataclass(frozen=True, slots=True)
class Generated:
    """Rows of one seed. ``step_us`` lies between two rows' times; the first is at ``start_ms``."""

    seed: int
    start_ms: int
    step_us: int

    def access_log(self, first: int, count: int) -> pa.Array:
        """Lines of a web server's log in the combined format."""
        index = _indices(first, count)
        octets = [_numbers(self._hash(index, field), 1, 255) for field in ("a", "b", "c")]
        host = _joined("10.", octets[0], ".", octets[1], ".", octets[2])
        user = pc.if_else(_chance(self._hash(index, "known"), 0.03), _joined("user", self._user(index)), "-")
        size = pc.if_else(
            _chance(self._hash(index, "empty"), 0.05), "-", _numbers(self._hash(index, "size"), 120, 90_000)
        )
        return _joined(
            *(host, " - ", user, " [", self._clf_times(index), '] "', self._pick(index, _METHODS), " "),
            *(self._paths(index), ' HTTP/1.1" ', self._pick(index, _STATUSES), " ", size),
            *(' "', self._pick(index, _REFERERS), '" "', self._pick(index, _AGENTS), '"'),
        )

    def json(self, first: int, count: int) -> pa.Array:
        """Events, one JSON object a row."""
        index = _indices(first, count)
        cents = _numbers(self._hash(index, "cents"), 10, 100)
        return _joined(
            *('{"id":', _strings(index), ',"time":"', self._iso_times(index), '","user":"u', self._user(index)),
            *('","action":"', self._pick(index, _ACTIONS), '","amount":'),
            *(_numbers(self._hash(index, "amount"), 0, 500), ".", cents, ',"path":"', self._paths(index)),
            *('","ok":', pc.if_else(_chance(self._hash(index, "ok"), 0.97), "true", "false"), "}"),
        )

    def rows(self, first: int, count: int) -> pa.Array:
        """Typed rows."""
        index = _indices(first, count)
        amount = (self._hash(index, "amount") % np.uint64(50_000)).astype(np.int64) / 100
        return pa.StructArray.from_arrays(
            [
                pa.array(index.astype(np.int64)),
                pa.array(self._times_us(index) // 1000, pa.timestamp("ms", tz="UTC")),
                _joined("u", self._user(index)),
                self._pick(index, _ACTIONS),
                pa.array(amount),
                _chance(self._hash(index, "ok"), 0.97),
            ],
            names=["id", "time", "user", "action", "amount", "ok"],
        )

    def _hash(self, index: _U64, field: str) -> _U64:
        """SplitMix64 of the index, in a sequence of its own for each seed and field."""
        salt = np.uint64(int.from_bytes(f"{self.seed}/{field}".encode()[-8:].rjust(8, b"\0"), "big"))
        mixed = _mix(index * np.uint64(0x9E3779B97F4A7C15) + _mix(np.full(1, salt ^ np.uint64(self.seed & _LOW))))
        return mixed ^ (mixed >> np.uint64(31))

    def _pick(self, index: _U64, weighted: Sequence[tuple[str, int]]) -> pa.Array:
        names, weights = zip(*weighted, strict=True)
        bounds = np.cumsum(weights)
        draw = (self._hash(index, names[0] + names[-1]) % np.uint64(bounds[-1])).astype(np.int64)
        return pa.array(names).take(pa.array(np.searchsorted(bounds, draw, side="right")))

    def _user(self, index: _U64) -> pa.Array:
        """Few users do most: the square of a uniform draw."""
        draw = (self._hash(index, "user") >> np.uint64(40)).astype(np.float64) / (1 << 24)
        return _strings((draw * draw * 10_000).astype(np.int64))

    def _paths(self, index: _U64) -> pa.Array:
        page = self._pick(index, _PAGES)
        number = _numbers(self._hash(index, "page"), 1, 5_000)
        takes_number = pc.or_(pc.ends_with(page, "s/"), pc.ends_with(page, "="))
        return pc.if_else(takes_number, _joined(page, number), page)

    def _times_us(self, index: _U64) -> NDArray[np.int64]:
        return self.start_ms * 1000 + index.astype(np.int64) * self.step_us

    def _clf_times(self, index: _U64) -> pa.Array:
        return _formatted(self._times_us(index) // 1_000_000, "%d/%b/%Y:%H:%M:%S +0000")

    def _iso_times(self, index: _U64) -> pa.Array:
        times_ms = self._times_us(index) // 1_000
        millis = _texts(1_000, 2_000).take(pa.array(times_ms % 1_000))
        return _joined(_formatted(times_ms // 1_000, "%Y-%m-%dT%H:%M:%S"), ".", pc.utf8_slice_codeunits(millis, 1), "Z")


_LOW = (1 << 64) - 1


def _mix(value: _U64) -> _U64:
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def _indices(first: int, count: int) -> _U64:
    return np.arange(first, first + count, dtype=np.uint64)


@cache
def _texts(low: int, beyond: int) -> pa.Array:
    return _strings(np.arange(low, beyond))


def _numbers(hashes: _U64, low: int, beyond: int) -> pa.Array:
    return _texts(low, beyond).take(pa.array((hashes % np.uint64(beyond - low)).astype(np.int64)))


def _strings(numbers: NDArray[np.int64] | _U64) -> pa.Array:
    return pa.array(numbers).cast(pa.string())


def _chance(hashes: _U64, share: float) -> pa.Array:
    return pa.array((hashes >> np.uint64(11)).astype(np.float64) / (1 << 53) < share)


def _formatted(seconds: NDArray[np.int64], pattern: str) -> pa.Array:
    """Times as text; each distinct second (they ascend) is formatted once."""
    new = np.append(True, np.diff(seconds) != 0)
    texts = pc.strftime(pa.array(seconds[new], pa.timestamp("s", tz="UTC")), pattern)
    return texts.take(pa.array(np.cumsum(new) - 1))


def _joined(*parts: pa.Array | str) -> pa.Array:
    return pc.binary_join_element_wise(*parts, "")
