"""What a question costs over an object store: requests, bytes and CPU time beside the same lake in a folder.

The store is a server on loopback in this process, so that its own work is in neither clock nor figures of the network:
what counts is how often a machine asks and how much it is sent. Positions are synthetic.
"""

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from benchmarks.bench_storage import ACCOUNTS, NOON, drawn_snapshot
from liqtruth.storage.database.tables import Reading, Scope
from liqtruth.storage.store import Settings, Store
from tests.storage.object_store import Counted, new_bucket, serving

COIN = "COIN7"


def measured(work: Callable[[], Any], counts: Counted) -> dict[str, float]:
    before, begun = replace(counts), time.thread_time()
    work()
    return {
        "requests": counts.requests - before.requests,
        "megabytes": round((counts.bytes - before.bytes) / 1e6, 3),
        "cpu_s": round(time.thread_time() - begun, 4),
    }


def main() -> None:
    frame = drawn_snapshot()
    reading = Reading(
        id="book", venue="hyperliquid", source="synthetic", scope=Scope.BOOK, as_of=NOON,
        accounts=ACCOUNTS, positions=frame.height,
    )  # fmt: skip
    counts = Counted()
    with tempfile.TemporaryDirectory() as folder, serving(counts):
        for kind, place in (("bucket", new_bucket()), ("folder", f"{folder}/data")):
            settings = Settings(data_dir=place, database_url=f"sqlite:///{folder}/{kind}.db")
            with Store.open(settings) as store:
                work = {
                    "writing the book": lambda store=store: store.lake.write_reading(
                        reading, {"positions": frame}
                    ),
                    "opening the store": lambda settings=settings: Store.open(settings).close(),
                    "one coin": lambda store=store: store.lake.read_snapshots("positions", ["book"], COIN),
                    "all coins": lambda store=store: store.lake.read_snapshots("positions", ["book"]),
                }
                found = {name: measured(one, counts) for name, one in work.items()}
                [file] = store.lake.place.files()
                print(json.dumps({"lake": kind, "file_megabytes": round(file.bytes / 1e6, 3), **found}))  # noqa: T201


if __name__ == "__main__":
    main()
