"""Character sets of a server: columns are logged in their own, records are in UTF-8."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa

from ingest.sources.mysql.session import run

_UTF8 = {"utf8", "utf8mb3", "utf8mb4", "ascii"}
_CODECS = {
    "ucs2": "utf-16-be",
    "utf16": "utf-16-be",
    "utf16le": "utf-16-le",
    "utf32": "utf-32-be",
    "gbk": "gbk",
    "gb2312": "gb2312",
    "gb18030": "gb18030",
    "big5": "big5",
    "sjis": "shift_jis",
    "cp932": "cp932",
    "ujis": "euc_jp",
    "eucjpms": "euc_jp",
    "euckr": "euc_kr",
}
_COLLATIONS = "SELECT ID, CHARACTER_SET_NAME FROM information_schema.{} WHERE ID IS NOT NULL"
_APPLICABLE = "COLLATION_CHARACTER_SET_APPLICABILITY"

Transcode = Callable[[pa.Array], tuple[pa.Array, np.ndarray]]
"""From binary to string; the array marks values that are no text of the character set."""


def charsets_of(connection: Any) -> dict[int, str]:
    """The character set of each collation, by the number that the log has."""
    import pymysql

    try:
        rows = run(connection, _COLLATIONS.format(_APPLICABLE))
    except pymysql.Error:
        rows = run(connection, _COLLATIONS.format("COLLATIONS"))
    return {int(number): str(name) for number, name in rows}


def is_utf8(charset: str) -> bool:
    """Whether its texts are UTF-8 as they are."""
    return charset in _UTF8


def decoder_of(connection: Any, charset: str) -> Callable[[bytes], str]:
    """From bytes to text; raises ``UnicodeDecodeError``. What a byte means is asked of the server, which converts rows
    that are selected by the same table."""
    codec = _CODECS.get(charset)
    if codec is not None or is_utf8(charset):
        return lambda content: content.decode(codec or "utf-8")
    meanings = "".join(
        str(run(connection, f"SELECT CONVERT(_{charset} x'{byte:02x}' USING utf8mb4)")[0][0]) for byte in range(256)
    )
    table = dict(enumerate(meanings))
    return lambda content: content.decode("latin-1").translate(table)


def transcoder(decode: Callable[[bytes], str]) -> Transcode:
    """For a column; each value that occurs is decoded once per batch."""

    @cache
    def text_of(content: bytes) -> str | None:
        try:
            return decode(content)
        except UnicodeDecodeError:
            return None

    def transcode(column: pa.Array) -> tuple[pa.Array, np.ndarray]:
        encoded = column.dictionary_encode()
        texts = pa.array([text_of(content) for content in encoded.dictionary.to_pylist()], pa.string())
        text_of.cache_clear()
        found = texts.take(encoded.indices)
        bad = np.asarray(found.is_null()) & ~np.asarray(column.is_null())
        return found, bad

    return transcode
