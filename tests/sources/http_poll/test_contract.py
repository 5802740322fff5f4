"""The source keeps the contract of all sources, with each kind of pages, against a real server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from web_server import Asked, Reply, WebServer

from ingest.connectors.testing import SourceContract
from ingest.sources.http_poll.connector import HttpPollSettings, HttpPollSource

SIZE = 7


def page_of(rows: Sequence[Any], begin: int) -> list[Any]:
    return list(rows[begin : begin + SIZE])


def by_page(rows: Sequence[Any], asked: Asked) -> Reply:
    return reply({"data": {"items": page_of(rows, (int(asked.query["page"]) - 1) * SIZE)}})


def by_offset(rows: Sequence[Any], asked: Asked) -> Reply:
    return reply({"data": {"items": page_of(rows, int(asked.query["offset"]))}})


def by_cursor(rows: Sequence[Any], asked: Asked) -> Reply:
    begin = int(asked.query.get("cursor", "0"))
    following = str(begin + SIZE) if begin + SIZE < len(rows) else None
    return reply({"data": {"items": page_of(rows, begin)}, "meta": {"next": following}})


def by_next(rows: Sequence[Any], asked: Asked) -> Reply:
    begin = int(asked.query.get("from", "0"))
    following = f"/rows?from={begin + SIZE}" if begin + SIZE < len(rows) else None
    return reply({"data": {"items": page_of(rows, begin)}, "meta": {"next": following}})


def by_link(rows: Sequence[Any], asked: Asked) -> Reply:
    begin = int(asked.query.get("from", "0"))
    links = '</rows>; rel="first"'
    if begin + SIZE < len(rows):
        links += f', </rows?from={begin + SIZE}>; rel="last next"'
    return reply({"data": {"items": page_of(rows, begin)}}, Link=links)


def since_number(rows: Sequence[Any], asked: Asked) -> Reply:
    newer = [row for row in rows if row["id"] // 3 >= int(asked.query.get("since", "0"))]
    return reply({"data": {"items": page_of([{**row, "group": row["id"] // 3} for row in newer], 0)}})


def reply(body: Any, **headers: str) -> Reply:
    return Reply(json.dumps(body).encode(), headers=headers)


class PagesContract(SourceContract):
    answer: ClassVar[Callable[[Sequence[Any], Asked], Reply]]
    pages: ClassVar[dict[str, Any]]
    batch_bytes = 300

    @pytest.fixture(autouse=True)
    def _server(self) -> Iterator[None]:
        self.rows: list[dict[str, Any]] = []
        with WebServer(lambda asked: type(self).answer(self.rows, asked)) as self.server:
            yield

    def source(self, folder: Path) -> HttpPollSource:
        return HttpPollSource(
            HttpPollSettings(url=f"{self.server.url}/rows", records="data.items", pages=self.pages, every="100ms")
        )

    def fill(self, folder: Path, rows: Sequence[str]) -> None:
        self.rows += [{"id": len(self.rows) + at, "row": row} for at, row in enumerate(rows)]

    def text(self, value: Any) -> str:
        return str(json.loads(value)["row"])


class TestByPage(PagesContract):
    answer = by_page
    pages = {"type": "page", "size": SIZE}


class TestByOffset(PagesContract):
    answer = by_offset
    pages = {"type": "offset"}


class TestByCursor(PagesContract):
    answer = by_cursor
    pages = {"type": "cursor", "path": "meta.next"}


class TestByNext(PagesContract):
    answer = by_next
    pages = {"type": "next", "path": "meta.next"}


class TestByLink(PagesContract):
    answer = by_link
    pages = {"type": "link"}
