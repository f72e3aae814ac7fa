"""A server that speaks S3 on loopback, one for all tests of a process, and buckets in it."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

KEYS = {"AWS_ACCESS_KEY_ID": "desk", "AWS_SECRET_ACCESS_KEY": "hunter2-hunter2", "AWS_REGION": "us-east-1"}


@contextmanager
def serving() -> Iterator[str]:
    """Its address, which this process and those that it starts find by `AWS_*` variables; skips the test without it."""
    server = pytest.importorskip("moto.server", reason="no S3 server: pip install 'liqtruth[dev]'")
    pytest.importorskip("obstore", reason="no client of object stores: pip install 'liqtruth[s3]'")
    import logging

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    served = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    served.start()
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
