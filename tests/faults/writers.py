"""What processes of their own run, and how they are started."""

import asyncio
import ctypes
import multiprocessing
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import polars as pl

from liqtruth.storage.database.markets import store_markets
from liqtruth.storage.database.tables import Market, Reading, Scope
from liqtruth.storage.store import Settings, Store

START = datetime(2026, 9, 6, tzinfo=UTC)
TIME = pl.Datetime("ms", "UTC")
RATES = {"ts": TIME, "rate": pl.Float64()}
COINS = ("BTC", "ETH", "xyz:TSLA")
ACCOUNTS = 40
PRELOADED = [
    "liqtruth.cli",
    "liqtruth.commands.feed",
    "liqtruth.commands.index.reading",
    "liqtruth.compare.calibration.leverage_fit",
    "liqtruth.compare.calibration.lake_samples",
    "liqtruth.compare.scoring.forecasting",
    "liqtruth.compare.scoring.ledger.settle",
    "liqtruth.estimator.feeds.watch",
    "liqtruth.indexer.discovery.find",
    "liqtruth.indexer.files.imports",
    "liqtruth.indexer.node.fills",
    "liqtruth.indexer.node.imports",
    "liqtruth.indexer.sweep.sweep",
    "liqtruth.indexer.watch.run",
    "liqtruth.storage.forget",
]
NO_CAPABILITIES = 0x20080522, 0
"""Version of the kernel's header, and the process: this one."""


def opened(data_dir: Path, url: str | None) -> Store:
    return Store.open(Settings(data_dir=data_dir, database_url=url))  # type: ignore[arg-type]


def processes() -> ForkServerContext:
    """Starts processes quickly: the packages are imported once, in the process that they are copied from."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


def started(target: Any, *args: Any) -> BaseProcess:
    process = processes().Process(target=target, args=args, daemon=True)
    process.start()
    return process


def reading(name: str, number: int) -> Reading:
    return Reading(
        id=name,
        venue="hyperliquid",
        source="writer",
        scope=Scope.CENSUS,
        as_of=START + timedelta(seconds=number),
        accounts=ACCOUNTS,
        positions=ACCOUNTS * len(COINS),
    )


def frames(number: int) -> dict[str, pl.DataFrame]:
    """Every row of a reading says which one it is of, so that a mixture shows."""
    as_of = pl.lit(START + timedelta(seconds=number), TIME)
    holdings = pl.DataFrame({"address": [f"0x{n:040x}" for n in range(ACCOUNTS)]}).join(
        pl.DataFrame({"coin": COINS}), how="cross"
    )
    return {
        "positions": holdings.with_columns(szi=pl.lit(float(number)), as_of=as_of),
        "accounts": holdings.select("address")
        .unique()
        .with_columns(equity=pl.lit(float(number)), as_of=as_of),
    }


def rates(hours: range, rate: float) -> pl.DataFrame:
    return pl.DataFrame({"ts": [START + timedelta(hours=n) for n in hours], "rate": rate}, schema=RATES)


def write_readings(data_dir: Path, url: str | None, first: int, ready: Event) -> None:
    """For ever: a new reading, and now and then the same one again with other rows."""
    with opened(data_dir, url) as store:
        for number in count(first):
            store.lake.write_reading(reading(f"r{number}", number), frames(number))
            if number % 3 == 0:
                store.lake.write_reading(reading(f"r{first}", number), frames(number))
            store.lake.merge_series("funding", "hyperliquid", "BTC", rates(range(24), float(number)), ["ts"])
            ready.set()


def merge_hours(data_dir: Path, url: str | None, hours: range) -> None:
    """One hour of the same day after the other."""
    with opened(data_dir, url) as store:
        for hour in hours:
            store.lake.merge_series(
                "funding", "hyperliquid", "BTC", rates(range(hour, hour + 1), float(hour)), ["ts"]
            )


def write_same_reading(data_dir: Path, url: str | None, numbers: range) -> None:
    """Two of these fight for one reading and for the same market rows."""
    with opened(data_dir, url) as store:
        for step, number in enumerate(numbers):
            as_of = START + timedelta(seconds=step)
            store.lake.write_reading(reading("shared", number), frames(number))
            store_markets(
                store.database,
                [
                    Market(venue="hyperliquid", dex="", coin=coin, as_of=as_of, mark_px=float(number))
                    for coin in COINS
                ],
            )


def only_open(data_dir: Path, url: str | None) -> None:
    with opened(data_dir, url):
        pass


def run_command(data_dir: Path, words: Sequence[str], out: Path, errors: Path, special: bool = True) -> None:
    """The command line with its outputs in files; without `special` rights root may no more than others."""
    for number, path in ((1, out), (2, errors)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    os.environ.pop("LIQTRUTH_DATABASE_URL", None)
    sys.argv = ["liqtruth", "--data-dir", str(data_dir), *words]
    if not special:
        drop_rights()
    from liqtruth.cli import main

    main()


def drop_rights() -> None:
    """Root without its capabilities is a user with no special rights."""
    libc = ctypes.CDLL(None, use_errno=True)
    if os.getuid() == 0 and libc.capset((ctypes.c_uint32 * 2)(*NO_CAPABILITIES), (ctypes.c_uint32 * 6)()):
        raise OSError(ctypes.get_errno(), "no user without rights")


def sweep_when_let_go(
    data_dir: Path, base_url: str, minute_s: float, weight: float, listed: Sequence[str], line: Connection
) -> None:
    """A sweep with its store open, begun when something comes over `line`, which gets how many accounts are done."""
    import liqtruth.indexer.info.budget
    from liqtruth.indexer.sweep.sweep import sweep

    liqtruth.indexer.info.budget.WINDOW_S = minute_s
    with opened(data_dir, None) as store:
        line.send("open")
        line.recv()
        report = asyncio.run(
            sweep(store, listed, base_url=base_url, weight_per_minute=weight, on_progress=line.send)
        )
    assert report.too_many_requests == 0
    assert not report.failed, report


def coin_when_let_go(
    data_dir: Path, base_url: str, minute_s: float, limits: tuple[float, float], line: Connection
) -> None:
    """Everyone's position in a coin, sizes of everyone, and then some accounts, within `limits` of both budgets."""
    import liqtruth.indexer.info.budget
    from liqtruth.indexer.coin.census import read_coin
    from liqtruth.indexer.evm.sizing import EvmEndpoint, size
    from liqtruth.indexer.info.budget import Budget
    from liqtruth.indexer.info.client import InfoClient

    liqtruth.indexer.info.budget.WINDOW_S = minute_s
    weight, requests = limits

    async def run(store: Store, listed: Sequence[str]) -> None:
        evm = EvmEndpoint(f"{base_url}/evm", requests)
        async with InfoClient(base_url, Budget.shared(weight, base_url, data_dir)) as info:
            await read_coin(store, "BTC", listed, evm, info)
            report = await size(store, listed, evm, info, [""])
            assert report.too_many_requests == info.budget.refused == 0
            for address in listed[:100]:
                await info.clearinghouse_state(address)

    with opened(data_dir, None) as store:
        line.send("open")
        asyncio.run(run(store, line.recv()))
