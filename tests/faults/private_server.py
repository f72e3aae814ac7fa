"""A PostgreSQL server of our own, which may be stopped and started: the machine's one is used by others."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

INSTALLED = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))


@dataclass(frozen=True)
class Server:
    """Its data, and the port on which it listens (127.0.0.1, no password)."""

    bin: Path
    data: Path
    port: int

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def run(self, tool: str, *options: str) -> None:
        """As the user `postgres` where we are root, since the server refuses to be."""
        user = (
            ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.getuid() == 0 else []
        )
        command = [*user, str(self.bin / tool), "-D", str(self.data), *options]
        done = subprocess.run(command, capture_output=True, text=True, cwd=self.data.parent)
        if done.returncode:
            raise RuntimeError(f"{tool}: {done.stderr.strip() or done.stdout.strip()}")

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        self.run("pg_ctl", "start", "-w", "-o", options, "-l", str(self.data / "log"))

    def stop(self, mode: str) -> None:
        """`immediate` is a crash: it recovers when it starts; `fast` breaks off connections in good order."""
        self.run("pg_ctl", "stop", "-w", "-m", mode)


@contextmanager
def private_server() -> Iterator[Server]:
    """A running server in a temporary folder; skips the test, saying why, where there can be none."""
    if not INSTALLED:
        pytest.skip("no PostgreSQL server is installed in /usr/lib/postgresql")
    folder = Path(tempfile.mkdtemp(prefix="liqtruth-postgresql-"))
    server = Server(INSTALLED[-1].parent, folder / "data", _free_port())
    try:
        if os.getuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        server.run("initdb", "-A", "trust", "-U", "postgres", "--no-sync")
        server.start()
    except (OSError, RuntimeError, LookupError) as error:
        shutil.rmtree(folder)
        pytest.skip(f"no PostgreSQL server of our own: {error}")
    try:
        yield server
    finally:
        server.stop("immediate")
        shutil.rmtree(folder)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
