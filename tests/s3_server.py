"""An S3 server of the tests' own, on loopback."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

BUCKET = "lake"


@contextmanager
def s3_server() -> Iterator[dict[str, Any]]:
    """Yields the ``storage_options`` that reach it; the bucket ``BUCKET`` is there, and empty."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        options = {
            "key": "testing",
            "secret": "testing",
            "endpoint_url": f"http://{host}:{port}",
            "client_kwargs": {"region_name": "us-east-1"},
        }
        _s3(options).call_s3("create_bucket", Bucket=BUCKET)
        yield options
    finally:
        server.stop()


def _s3(options: dict[str, Any]) -> Any:
    import s3fs

    return s3fs.S3FileSystem(**options)
