"""A server that speaks S3 on loopback, one for all tests of a process, and buckets in it."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

KEYS = {"AWS_ACCESS_KEY_ID": "desk", "AWS_SECRET_ACCESS_KEY": "hunter2-hunter2", "AWS_REGION": "us-east-1"}


@dataclass
class Counted:
    """What the server was asked and what it answered with."""

    requests: int = 0
    bytes: int = 0

    def answering(self, app: Any) -> Any:
        """The application, with its answers counted."""

        def counted(environ: Any, start_response: Any) -> Any:
            self.requests += 1
            for piece in app(environ, start_response):
                self.bytes += len(piece)
                yield piece

        return counted


@contextmanager
def serving(counts: Counted | None = None) -> Iterator[str]:
    """Its address, which this process and those that it starts find by `AWS_*` variables; skips the test without it."""
    server = pytest.importorskip("moto.server", reason="no S3 server: pip install 'liqtruth[dev]'")
    pytest.importorskip("obstore", reason="no client of object stores: pip install 'liqtruth[s3]'")
    import logging

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    served = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    served.start()
    if counts is not None:
        served._server.app = counts.answering(served._server.app)
    host, port = served.get_host_and_port()
    before = dict(os.environ)
    os.environ.update(KEYS, AWS_ENDPOINT_URL=f"http://{host}:{port}")
    try:
        yield f"http://{host}:{port}"
    finally:
        os.environ.clear()
        os.environ.update(before)
        served.stop()


def new_bucket() -> str:
    """The URL of an empty lake."""
    from urllib.request import Request, urlopen

    name = f"lake-{secrets.token_hex(6)}"
    with urlopen(Request(f"{os.environ['AWS_ENDPOINT_URL']}/{name}", method="PUT")):
        return f"s3://{name}/desk/one"
