"""The connection to HDFS over HTTP, against a server that answers as datanodes do when they cannot."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ingest.errors import ConfigError
from ingest.webhdfs import connect


class _Hadoop(BaseHTTPRequestHandler):
    """A namenode that knows one file, and a datanode that has lost it."""

    def do_GET(self) -> None:
        if "namenoderpcaddress" in self.path:
            self._answer(500, {"RemoteException": {"exception": "BlockMissingException", "message": "no blocks"}})
        elif "GETFILESTATUS" in self.path:
            self._answer(200, {"FileStatus": {"length": 100, "type": "FILE"}})
        else:
            self.send_response(307)
            self.send_header("Location", f"http://{self.headers['Host']}/data?namenoderpcaddress=x")
            self.send_header("Content-Length", "0")
            self.end_headers()

    def _answer(self, status: int, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def place() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Hadoop)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_error_page_of_a_datanode_is_no_content(place: str) -> None:
    connection = connect(place, {"user": "root"})
    with connection.open("/file", "rb") as file, pytest.raises(OSError, match="500"):
        file.read()
    connection.session.close()


def test_the_user_is_that_of_the_url_the_options_or_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HADOOP_USER_NAME", "from-environment")
    assert connect("alice@host", {}).pars == {"user.name": "alice"}
    assert connect("host", {"user": "bob"}).pars == {"user.name": "bob"}
    assert connect("host", {}).pars == {"user.name": "from-environment"}
    assert connect("host", {"token": "abc"}).pars == {"delegation": "abc"}


def test_the_port_is_that_of_hadoop_3() -> None:
    assert connect("namenode", {"user": "x"}).url == "http://namenode:9870/webhdfs/v1"


@pytest.mark.parametrize("authority", ["", "alice@", "host:port"])
def test_a_url_without_a_host_is_refused(authority: str) -> None:
    with pytest.raises(ConfigError):
        connect(authority, {})
