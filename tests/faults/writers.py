"""What the writing processes run; here, so that a process of its own can import it."""

import multiprocessing
from datetime import UTC, datetime, timedelta
from itertools import count
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


def opened(data_dir: Path, url: str | None) -> Store:
    return Store.open(Settings(data_dir=data_dir, database_url=url))  # type: ignore[arg-type]


def processes() -> ForkServerContext:
    """Starts processes quickly: the packages are imported once, in the process that they are copied from."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["liqtruth.storage.store"])
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
    held = pl.DataFrame({"address": [f"0x{n:040x}" for n in range(ACCOUNTS)]}).join(
        pl.DataFrame({"coin": COINS}), how="cross"
    )
    return {
        "positions": held.with_columns(szi=pl.lit(float(number)), as_of=as_of),
        "accounts": held.select("address").unique().with_columns(equity=pl.lit(float(number)), as_of=as_of),
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
