"""JSON values in plain Python, one at a time: the oracle of the compiled kernel, its stand-in where there is
no compiler, and the voice that says why a value does not fit.

The mapping of types is docs/formats/record-values.md.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable
from decimal import Context, Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import types as t

from ingest.errors import FormatError
from ingest.formats import iso_time
from ingest.formats.exact_values import counts, exact_values
from ingest.formats.json_text import Fraction, NotJson, kind_of, parse_object
from ingest.formats.widening import below, is_list

Writer = Callable[[Any], str]
Reader = Callable[[Any, str], Any]

_SPECIAL = {"nan": '"NaN"', "inf": '"Infinity"', "-inf": '"-Infinity"'}
_FLOATS = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
_WIDE = Context(prec=160)
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


NO_COLUMN = "the topic has no such column"


class Unfit(ValueError):
    """A value that its column, or JSON, cannot hold; the message is the reason."""


def encode(value: pa.StructArray) -> tuple[pa.Array, dict[int, str]]:
    """The JSON text of each row (null where it is null, or refused), and the reasons of refused rows.

    ``value`` must hold plain types (see ``widening.plain``). Raises ``FormatError`` for types without JSON.
    """
    write = _writer(value.type, "")
    texts: list[bytes | None] = []
    reasons: dict[int, str] = {}
    for row, item in enumerate(exact_values(value, _leaf)):
        try:
            texts.append(None if item is None else write(item).encode())
        except Unfit as error:
            texts.append(None)
            reasons[row] = str(error)
    return pa.array(texts, type=pa.large_binary()), reasons


def decode(values: pa.Array, kind: pa.StructType) -> tuple[pa.StructArray, dict[int, str]]:
    """The struct that each JSON object is, null where it is null or refused, and the reasons."""
    read = _reader(kind)
    rows: list[Any] = []
    reasons: dict[int, str] = {}
    for row, value in enumerate(values.to_pylist()):
        try:
            rows.append(None if value is None else read(parse_object(value), ""))
        except (NotJson, Unfit) as error:
            rows.append(None)
            reasons[row] = str(error)
    return pa.array(rows, type=kind), reasons


def fits(value: Any, kind: pa.DataType) -> bool:
    """Whether a parsed value, not null, can stand in a column of that type."""
    try:
        _cached_reader(kind)(value, "")
    except (Unfit, FormatError):
        return False
    return True


def _leaf(array: pa.Array) -> pa.Array:
    """Floats as the text of their double, else as counts and bytes."""
    return array.cast(pa.float64()).cast(pa.string()) if t.is_floating(array.type) else counts(array)


def _writer(kind: pa.DataType, path: str) -> Writer:
    if t.is_struct(kind):
        return _struct_writer(kind, path)
    if t.is_map(kind):
        entry = pa.struct([kind.key_field.with_name("key"), kind.item_field.with_name("value")])
        write_entry = _nullable(_writer(entry, path))
        return lambda pairs: "[" + ",".join(write_entry({"key": k, "value": v}) for k, v in pairs) + "]"
    if is_list(kind):
        write_item = _nullable(_writer(kind.value_type, f"{path}[]"))
        return lambda items: "[" + ",".join(map(write_item, items)) + "]"
    for is_kind, write in _WRITERS:
        if is_kind(kind):
            return write
    if t.is_temporal(kind) and not t.is_interval(kind):
        return lambda count: _time_text(count, kind, path)
    raise refuse_type(path, kind)


def label_of(name: str) -> bytes:
    """What stands before a value in its object."""
    return f",{json.dumps(name, ensure_ascii=False)}:".encode()


def refuse_type(path: str, kind: pa.DataType) -> FormatError:
    """The error for a column that JSON cannot carry, whatever its values."""
    return FormatError(f"column {path!r}: JSON has no form for {kind}", hint="leave it out or cast it", column=path)


def _struct_writer(kind: pa.StructType, path: str) -> Writer:
    fields = [(f.name, label_of(f.name).decode()[1:], f.type) for f in kind]
    writers = [(name, label, _nullable(_writer(k, below(path, name)))) for name, label, k in fields]
    if len({name for name, _, _ in writers}) != len(writers):
        raise FormatError(f"two columns of {path or 'the value'} have one name", column=path)
    return lambda item: "{" + ",".join(label + write(item[name]) for name, label, write in writers) + "}"


def _nullable(write: Writer) -> Writer:
    return lambda value: "null" if value is None else write(value)


def _float_text(literal: str) -> str:
    if literal in _SPECIAL:
        return _SPECIAL[literal]
    return literal if any(mark in literal for mark in ".e") else literal + ".0"


def _string_text(value: bytes) -> str:
    try:
        return json.dumps(value.decode("utf-8"), ensure_ascii=False)
    except UnicodeDecodeError:
        raise Unfit("a text that is not UTF-8") from None


def _time_text(count: int, kind: pa.DataType, path: str) -> str:
    try:
        return iso_time.text_of(count, kind)
    except ValueError as error:
        raise Unfit(f"{path}: {error}") from None


_WRITERS: tuple[tuple[Callable[[pa.DataType], bool], Writer], ...] = (
    (t.is_null, lambda value: "null"),
    (t.is_boolean, lambda value: "true" if value else "false"),
    (t.is_integer, str),
    (t.is_floating, _float_text),
    (t.is_decimal, str),
    (t.is_string, _string_text),
    (t.is_large_string, _string_text),
    (t.is_binary, lambda value: f'"{base64.b64encode(value).decode()}"'),
    (t.is_large_binary, lambda value: f'"{base64.b64encode(value).decode()}"'),
    (t.is_fixed_size_binary, lambda value: f'"{base64.b64encode(value).decode()}"'),
    (t.is_duration, str),
)


@lru_cache(maxsize=256)
def _cached_reader(kind: pa.DataType) -> Reader:
    return _reader(kind)


def _reader(kind: pa.DataType) -> Reader:
    if t.is_struct(kind):
        return _struct_reader(kind)
    if t.is_map(kind):
        entry = pa.struct([kind.key_field.with_name("key"), kind.item_field.with_name("value")])
        read_entries = _reader(pa.list_(pa.field("entry", entry, nullable=False)))
        return lambda value, path: [(pair["key"], pair["value"]) for pair in read_entries(value, path)]
    if is_list(kind):
        return _list_reader(kind)
    for is_kind, make in _READERS:
        if is_kind(kind):
            return make(kind)
    raise refuse_type("", kind)


def _struct_reader(kind: pa.StructType) -> Reader:
    readers = {field.name: (_reader(field.type), field.nullable) for field in kind}

    def read(value: Any, path: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise Unfit(f"{path}: {kind_of(value)} where an object is expected")
        extra = next((name for name in value if name not in readers), None)
        if extra is not None:
            raise Unfit(f"{below(path, extra)}: {NO_COLUMN}")
        found = {}
        for name, (read_field, nullable) in readers.items():
            item = value.get(name)
            if item is None and not nullable:
                raise Unfit(f"{below(path, name)}: null or missing where the topic has none")
            found[name] = None if item is None else read_field(item, below(path, name))
        return found

    return read


def _list_reader(kind: pa.DataType) -> Reader:
    read_item, nullable = _reader(kind.value_type), kind.value_field.nullable
    size = kind.list_size if t.is_fixed_size_list(kind) else None

    def read(value: Any, path: str) -> list[Any]:
        if not isinstance(value, list):
            raise Unfit(f"{path}: {kind_of(value)} where a list is expected")
        if size is not None and len(value) != size:
            raise Unfit(f"{path}: {len(value)} elements where {size} are expected")
        if not nullable and None in value:
            raise Unfit(f"{path}[]: null where the topic has none")
        return [None if item is None else read_item(item, f"{path}[]") for item in value]

    return read


def _read_nothing(value: Any, path: str) -> Any:
    raise Unfit(f"{path}: {kind_of(value)} where only null is expected")


def _read_bool(value: Any, path: str) -> bool:
    if not isinstance(value, bool):
        raise Unfit(f"{path}: {kind_of(value)} where true or false is expected")
    return value


def _integer_reader(kind: pa.DataType) -> Reader:
    low, high = 0, 2**kind.bit_width - 1
    if not t.is_unsigned_integer(kind):
        low, high = -(2 ** (kind.bit_width - 1)), 2 ** (kind.bit_width - 1) - 1

    def read(value: Any, path: str) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise Unfit(f"{path}: {kind_of(value)} where {kind} is expected")
        if not low <= value <= high:
            raise Unfit(f"{path}: {kind_of(value)} is beyond {kind}")
        return value

    return read


def _float_reader(kind: pa.DataType) -> Reader:
    exact = {16: 2**11, 32: 2**24, 64: 2**53}[kind.bit_width]

    def read(value: Any, path: str) -> Any:
        if isinstance(value, Fraction):
            found = float(value)
        elif isinstance(value, int) and not isinstance(value, bool):
            if abs(value) > exact:
                raise Unfit(f"{path}: {kind_of(value)} is not exact as {kind}")
            found = float(value)
        elif isinstance(value, str) and value in _FLOATS:
            return _as_float(_FLOATS[value], kind)
        else:
            raise Unfit(f"{path}: {kind_of(value)} where {kind} is expected")
        narrow = _as_float(found, kind)
        if narrow in _INFINITE:
            raise Unfit(f"{path}: {kind_of(value)} is beyond {kind}")
        return narrow

    return read


_INFINITE = (float("inf"), float("-inf"))


def _as_float(value: float, kind: pa.DataType) -> Any:
    with np.errstate(over="ignore"):
        return np.float16(value) if t.is_float16(kind) else np.float32(value) if t.is_float32(kind) else value


def _decimal_reader(kind: pa.DataType) -> Reader:
    unit = Decimal(1).scaleb(-kind.scale)

    def read(value: Any, path: str) -> Decimal:
        if not isinstance(value, int | Fraction) or isinstance(value, bool):
            raise Unfit(f"{path}: {kind_of(value)} where {kind} is expected")
        try:
            number = Decimal(value)
        except InvalidOperation:
            raise Unfit(f"{path}: {kind_of(value)} is beyond {kind}") from None
        if not _fits_decimal(number, kind.precision, kind.scale):
            raise Unfit(f"{path}: {kind_of(value)} is not exact as {kind}")
        # Arrow is given the digits as the column has them: it stumbles over exponents.
        return number.quantize(unit, context=_WIDE) if number else Decimal(0)

    return read


def _fits_decimal(number: Decimal, precision: int, scale: int) -> bool:
    _, digits, exponent = number.as_tuple()
    significant = list(digits)
    while len(significant) > 1 and significant[-1] == 0:
        significant.pop()
        exponent = int(exponent) + 1
    if significant == [0]:
        return True
    return -int(exponent) <= scale and len(significant) + int(exponent) <= precision - scale


def _text_reader(kind: pa.DataType) -> Reader:
    def read(value: Any, path: str) -> str:
        if not isinstance(value, str) or isinstance(value, Fraction):
            raise Unfit(f"{path}: {kind_of(value)} where a text is expected")
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise Unfit(f"{path}: a text with half of a surrogate pair") from None
        return value

    return read


def _binary_reader(kind: pa.DataType) -> Reader:
    read_text = _text_reader(kind)
    size = kind.byte_width if t.is_fixed_size_binary(kind) else None

    def read(value: Any, path: str) -> bytes:
        text = read_text(value, path)
        try:
            found = base64.b64decode(text, validate=True) if _BASE64.fullmatch(text) else None
        except binascii.Error:
            found = None
        if found is None or base64.b64encode(found).decode() != text:
            raise Unfit(f"{path}: {kind_of(value)} where base64 is expected")
        if size is not None and len(found) != size:
            raise Unfit(f"{path}: {len(found)} bytes where {size} are expected")
        return found

    return read


def _time_reader(kind: pa.DataType) -> Reader:
    read_text = _text_reader(kind)

    def read(value: Any, path: str) -> int:
        try:
            return iso_time.count_of(read_text(value, path), kind)
        except ValueError as error:
            raise Unfit(f"{path}: {error}" if not isinstance(error, Unfit) else str(error)) from None

    return read


_READERS: tuple[tuple[Callable[[pa.DataType], bool], Callable[[pa.DataType], Reader]], ...] = (
    (t.is_null, lambda kind: _read_nothing),
    (t.is_boolean, lambda kind: _read_bool),
    (t.is_integer, _integer_reader),
    (t.is_floating, _float_reader),
    (t.is_decimal, _decimal_reader),
    (t.is_string, _text_reader),
    (t.is_large_string, _text_reader),
    (t.is_binary, _binary_reader),
    (t.is_large_binary, _binary_reader),
    (t.is_fixed_size_binary, _binary_reader),
    (t.is_duration, lambda kind: _integer_reader(pa.int64())),
    (lambda kind: t.is_temporal(kind) and not t.is_interval(kind), _time_reader),
)
