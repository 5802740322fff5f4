"""The lattice of column types: which type holds every value of two others, and which pairs clash.

The table is docs/formats/schemas.md. A join never rounds, truncates or reinterprets by itself; where the
wider type cannot hold every value of the narrower one (``int64`` in ``double``, seconds in nanoseconds),
values are checked one by one when they are cast, and those that would change are refused.
"""

from __future__ import annotations

import pyarrow as pa
from pyarrow import types as t

_UNITS = ("s", "ms", "us", "ns")
_MAX_DIGITS = 76

MAX_FIELDS = 2000
"""Columns that a topic may grow to, nested ones included: objects that use data as names end here."""


class Clash(Exception):
    """No type holds both; ``path`` names the column, with dots and ``[]`` for nested ones."""

    def __init__(self, path: str, old: pa.DataType, new: pa.DataType) -> None:
        super().__init__(f"{path or 'value'}: {old} and {new} have no common type")
        self.path, self.old, self.new = path, old, new


def plain(kind: pa.DataType) -> pa.DataType:
    """The type without its encoding: dictionary, run-end, view and extension types become what they stand for."""
    if t.is_dictionary(kind) or t.is_run_end_encoded(kind):
        return plain(kind.value_type)
    if isinstance(kind, pa.BaseExtensionType):
        return plain(kind.storage_type)
    if t.is_nested(kind):
        return _plain_nested(kind)
    if t.is_string_view(kind):
        return pa.string()
    return pa.binary() if t.is_binary_view(kind) else kind


def _plain_nested(kind: pa.DataType) -> pa.DataType:
    if t.is_struct(kind):
        return pa.struct([field.with_type(plain(field.type)) for field in kind])
    if t.is_map(kind):
        return pa.map_(plain(kind.key_type), kind.item_field.with_type(plain(kind.item_type)))
    if not is_list(kind):
        return kind
    element = kind.value_field.with_type(plain(kind.value_type))
    if t.is_fixed_size_list(kind):
        return pa.list_(element, kind.list_size)
    return pa.large_list(element) if t.is_large_list(kind) or t.is_large_list_view(kind) else pa.list_(element)


def join(old: pa.DataType, new: pa.DataType, path: str = "") -> pa.DataType:
    """The narrowest type that holds both; raises ``Clash``. Symmetric but for the order of struct fields."""
    old, new = plain(old), plain(new)
    if old.equals(new) or t.is_null(new):
        return old
    if t.is_null(old):
        return new
    for same_kind, joined in _NESTED:
        if same_kind(old) and same_kind(new):
            return joined(old, new, path)
    for join_kind in (_join_number, _join_text, _join_time):
        found = join_kind(old, new)
        if found is not None:
            return found
    raise Clash(path, old, new)


def join_fields(old: pa.Field, new: pa.Field, path: str) -> pa.Field:
    """The join of two columns of one name; null is allowed if either allows it."""
    kind = join(old.type, new.type, path)
    return old.with_type(kind).with_nullable(old.nullable or new.nullable)


def is_list(kind: pa.DataType) -> bool:
    """A list of any layout (views are taken as plain lists)."""
    return bool(
        t.is_list(kind)
        or t.is_large_list(kind)
        or t.is_fixed_size_list(kind)
        or t.is_list_view(kind)
        or t.is_large_list_view(kind)
    )


def below(path: str, name: str) -> str:
    """The path of the field ``name`` of the struct at ``path``."""
    return f"{path}.{name}" if path else name


def count_fields(kind: pa.DataType) -> int:
    """How many columns a type has, itself and all nested ones."""
    return 1 + sum(count_fields(kind.field(index).type) for index in range(kind.num_fields))


def _join_struct(old: pa.StructType, new: pa.StructType, path: str) -> pa.DataType:
    fields = []
    for field in old:
        index = new.get_field_index(field.name)
        if index < 0:
            fields.append(field.with_nullable(True))
        else:
            fields.append(join_fields(field, new.field(index), below(path, field.name)))
    added = [field.with_nullable(True) for field in new if old.get_field_index(field.name) < 0]
    return pa.struct(fields + added)


def _join_list(old: pa.DataType, new: pa.DataType, path: str) -> pa.DataType:
    element = join_fields(old.value_field, new.value_field, f"{path}[]")
    if t.is_fixed_size_list(old) and t.is_fixed_size_list(new) and old.list_size == new.list_size:
        return pa.list_(element, old.list_size)
    large = any(t.is_large_list(kind) for kind in (old, new))
    return pa.large_list(element) if large else pa.list_(element)


def _join_map(old: pa.MapType, new: pa.MapType, path: str) -> pa.DataType:
    key = join(old.key_type, new.key_type, f"{path}{{key}}")
    return pa.map_(key, join_fields(old.item_field, new.item_field, f"{path}{{value}}"))


_NESTED = ((t.is_struct, _join_struct), (t.is_map, _join_map), (is_list, _join_list))


def _join_text(old: pa.DataType, new: pa.DataType) -> pa.DataType | None:
    pair = (old, new)
    if all(t.is_string(k) or t.is_large_string(k) for k in pair):
        return pa.large_string()
    if all(t.is_binary(k) or t.is_large_binary(k) or t.is_fixed_size_binary(k) for k in pair):
        return pa.large_binary() if any(t.is_large_binary(k) for k in pair) else pa.binary()
    return None


def _join_time(old: pa.DataType, new: pa.DataType) -> pa.DataType | None:
    pair = (old, new)
    if all(t.is_date(k) for k in pair):
        return pa.date64()
    if all(t.is_timestamp(k) for k in pair):
        if (old.tz is None) != (new.tz is None):
            return None
        return pa.timestamp(_finer(old, new), tz=old.tz if old.tz == new.tz else "UTC")
    if all(t.is_time(k) for k in pair):
        unit = _finer(old, new)
        return pa.time32(unit) if unit in ("s", "ms") else pa.time64(unit)
    if all(t.is_duration(k) for k in pair):
        return pa.duration(_finer(old, new))
    return None


def _finer(old: pa.DataType, new: pa.DataType) -> str:
    return _UNITS[max(_UNITS.index(old.unit), _UNITS.index(new.unit))]


def _join_number(old: pa.DataType, new: pa.DataType) -> pa.DataType | None:
    pair = (old, new)
    if all(t.is_integer(k) for k in pair):
        return _join_integers(old, new)
    if all(t.is_floating(k) or t.is_integer(k) for k in pair):
        return _join_floats(old, new)
    if all(t.is_decimal(k) or t.is_integer(k) for k in pair):
        return _join_decimals(old, new)
    return None


def _join_integers(old: pa.DataType, new: pa.DataType) -> pa.DataType:
    signed = [k for k in (old, new) if t.is_signed_integer(k)]
    unsigned = [k for k in (old, new) if t.is_unsigned_integer(k)]
    if not signed or not unsigned:
        return max(old, new, key=lambda k: k.bit_width)
    bits = max(signed[0].bit_width, 2 * unsigned[0].bit_width)
    return {8: pa.int8(), 16: pa.int16(), 32: pa.int32(), 64: pa.int64()}.get(bits, pa.decimal128(20, 0))


def _join_floats(old: pa.DataType, new: pa.DataType) -> pa.DataType:
    """The float with enough bits for both; int64 goes to double, whose values are checked one by one."""
    bits = max(_float_bits(old), _float_bits(new))
    return {16: pa.float16(), 32: pa.float32()}.get(bits, pa.float64())


def _float_bits(kind: pa.DataType) -> int:
    if t.is_floating(kind):
        return int(kind.bit_width)
    return {8: 16, 16: 32}.get(kind.bit_width, 64)


def _join_decimals(old: pa.DataType, new: pa.DataType) -> pa.DataType | None:
    shapes = [_decimal_shape(old), _decimal_shape(new)]
    scale = max(scale for _, scale in shapes)
    digits = max(precision - scale for precision, scale in shapes) + scale
    if digits > _MAX_DIGITS:
        return None
    wide = digits > 38 or any(t.is_decimal256(k) for k in (old, new))
    return pa.decimal256(digits, scale) if wide else pa.decimal128(digits, scale)


def _decimal_shape(kind: pa.DataType) -> tuple[int, int]:
    if t.is_decimal(kind):
        return kind.precision, kind.scale
    digits = {8: 3, 16: 5, 32: 10, 64: 19 if t.is_signed_integer(kind) else 20}[kind.bit_width]
    return digits, 0
