"""Commands that write, killed at any instant, and what must hold of the data directory afterwards.

`benchmarks/bench_kills.py` does it hundreds of times over all of them, `test_kill_commands.py` a few times.
"""

import logging
import os
import random
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
from sqlmodel import select
from writers import frames, opened, processes, reading, run_command

from liqtruth.storage.database.tables import Account, Forecast, ForecastScore, Market, Partition, Reading
from liqtruth.storage.lake.manifest import coin_in_file, file_of
from liqtruth.storage.store import Store

LIMIT_S = 300.0


@dataclass(frozen=True)
class Writing:
    """A command that writes; `base` is the data directory that it begins with.

    What `is_live` writes depends on when it runs: nothing may be lost, but there is no one result to be reached.
    `may_lose` are readings that it may remove.
    """

    name: str
    words: tuple[str, ...]
    base: str = "filled"
    is_live: bool = False
    may_lose: frozenset[str] = frozenset()
    codes: tuple[int, ...] = (0,)


@dataclass
class Facts:
    """What is stored: the keys of every row, and what is there twice or does not hold together."""

    rows: set[tuple[Any, ...]] = field(default_factory=set)
    broken: list[str] = field(default_factory=list)
    doubled: int = 0


@dataclass
class Outcome:
    """Of all kills of one command."""

    name: str
    kills: int = 0
    finished_first: int = 0
    lost: int = 0
    doubled: int = 0
    locked: int = 0
    broken: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        return not (self.lost or self.doubled or self.locked or self.broken)


def started_command(data_dir: Path, words: Sequence[str], log: Path) -> Any:
    process = processes().Process(target=run_command, args=(data_dir, words, log, log))
    process.start()
    return process


def code_of(data_dir: Path, words: Sequence[str], log: Path) -> int | None:
    """The exit code of the whole command; null where it does not end."""
    process = started_command(data_dir, words, log)
    process.join(LIMIT_S)
    if process.exitcode is None:
        process.kill()
        process.join()
        return None
    return int(process.exitcode)


def facts_of(data_dir: Path) -> Facts:
    """Everything that a reader finds. Raises where the data directory cannot be opened."""
    from liqtruth.compare.scoring.ledger.ledger import read_content
    from liqtruth.estimator.model.leverage_model import known_models

    facts = Facts()
    with opened(data_dir, None) as store:
        with store.database.session() as session:
            partitions = session.exec(select(Partition)).all()
            readings = session.exec(select(Reading)).all()
            forecasts = session.exec(select(Forecast)).all()
            for table in (Market, Account, ForecastScore):
                keys = [column.name for column in table.__table__.primary_key]  # type: ignore[attr-defined]
                facts.rows |= {
                    (table.__name__, *(str(getattr(row, key)) for key in keys))
                    for row in session.exec(select(table)).all()
                }
        facts.rows |= {("reading", row.id) for row in readings}
        for row in forecasts:
            facts.rows.add(("forecast", row.hash))
            _noted(facts, lambda row=row: read_content(store, row))  # type: ignore[misc]
        _add_files(facts, store, partitions)
    _noted(facts, lambda: facts.rows.update(("model", name) for name in known_models(data_dir)))
    return facts


def _noted(facts: Facts, check: Callable[[], object]) -> None:
    try:
        check()
    except Exception as error:
        facts.broken.append(f"{type(error).__name__}: {error}")


def _add_files(facts: Facts, store: Store, partitions: Sequence[Partition]) -> None:
    from liqtruth.estimator.frames import DATASETS

    per_series: dict[tuple[str, ...], list[pl.DataFrame]] = {}
    for row in partitions:
        path = store.lake.root / file_of(row)
        try:
            frame = pl.read_parquet(path)
        except (OSError, pl.exceptions.PolarsError) as error:
            facts.broken.append(f"{path}: {error}")
            continue
        coin = coin_in_file(row)
        if row.reading_id is not None:
            holdings = store.lake.read_snapshots(row.dataset, [row.reading_id], coin)
            key = [name for name in ("address", "dex", "coin") if name in holdings.columns]
            per_series[(row.dataset, row.reading_id, row.coin)] = [holdings.select(key)]
            if holdings.height != row.rows:
                facts.broken.append(f"{path}: {holdings.height} rows of {row.rows}")
        else:
            known = DATASETS.get(row.dataset)
            keys = list(known.key) if known and set(known.key) <= set(frame.columns) else frame.columns
            per_series.setdefault((row.dataset, row.venue, row.coin), []).append(frame.select(keys))
    for name, parts in per_series.items():
        rows = [(*name, *map(str, values)) for part in parts for values in part.iter_rows()]
        facts.doubled += len(rows) - len(set(rows))
        facts.rows |= set(rows)


def kill_often(
    writing: Writing, bases: dict[str, Path], place: Path, kills: int, chance: random.Random
) -> Outcome:
    """Kill the command at random instants, each time on a copy of its data directory, and then run it to its end."""
    outcome = Outcome(writing.name)
    before = Facts() if writing.base == "none" else facts_of(_copied(bases[writing.base], place / "facts"))
    whole = _copied(bases[writing.base], place / "whole")
    began_s = time.monotonic()
    code = code_of(whole, writing.words, place / "log")
    took_s = time.monotonic() - began_s
    if code not in writing.codes:
        outcome.broken.append(f"exit {code} without a kill: {(place / 'log').read_text()[-300:]}")
        return outcome
    wanted = facts_of(whole).rows
    needed = {row for row in before.rows if not set(map(str, row)) & writing.may_lose}
    while outcome.kills < kills:
        data_dir = _copied(bases[writing.base], place / "killed")
        process = started_command(data_dir, writing.words, place / "log")
        process.join(chance.uniform(0, took_s))
        process.kill()
        process.join()
        if process.exitcode != -signal.SIGKILL:
            outcome.finished_first += 1
            took_s *= 0.9
            continue
        outcome.kills += 1
        _judge(outcome, data_dir, needed)
        if code_of(data_dir, writing.words, place / "log") not in (
            *writing.codes,
            *_GONE.get(writing.name, ()),
        ):
            outcome.locked += 1
            outcome.broken.append((place / "log").read_text()[-300:])
            continue
        after = _judge(outcome, data_dir, needed)
        if not writing.is_live:
            outcome.lost += len({row for row in wanted - after.rows if row[0] not in ("reading", *_BY_RUN)})
    return outcome


_BY_RUN = ("positions", "accounts", "forecast", "forecastscore", "Market", "Account")
"""What has the time of its run in its key: a second run may have others."""
_GONE = {"index forget": (1,)}
"""What was done already when the kill came cannot be done again."""


def _judge(outcome: Outcome, data_dir: Path, needed: set[tuple[Any, ...]]) -> Facts:
    try:
        facts = facts_of(data_dir)
    except Exception as error:
        outcome.locked += 1
        outcome.broken.append(f"{type(error).__name__}: {error}")
        return Facts()
    outcome.lost += len(needed - facts.rows)
    outcome.doubled += facts.doubled
    outcome.broken += facts.broken
    return facts


def _copied(base: Path, target: Path) -> Path:
    shutil.rmtree(target, ignore_errors=True)
    if base.exists():
        shutil.copytree(base, target)
    return target


# ------------------------------------------------------------------------------------------- what there is to kill


def bases_in(place: Path) -> dict[str, Path]:
    """Data directories to begin with: none yet, one that is filled, and the same as an earlier liqtruth left it."""
    from tests.compare.calibrated_markets import random_series
    from tests.compare.scored_markets import ScoredMarket, store_market
    from tests.compare.stored_markets import stored_reading, stored_series
    from tests.compare.test_calibration_lake import READ_AT

    filled, old = place / "filled", place / "old"
    with opened(filled, None) as store:
        series = random_series(11)
        stored_series(store, series)
        for bar in READ_AT:
            stored_reading(store, series, bar)
        store_market(store, ScoredMarket(days=3, recorded_days=1))
        for number in (1, 2):
            reported = reading(f"r{number}", number)
            reported.venue = "elsewhere"
            store.lake.write_reading(reported, frames(number))
        for number in range(5):
            orphan = store.lake.root / f"funding/{number}/orphan.parquet"
            orphan.parent.mkdir(parents=True)
            orphan.write_bytes(b"orphan")
            os.utime(orphan, (0, 0))
    shutil.copytree(filled, old)
    (old / "lake" / "id").unlink()
    connection = sqlite3.connect(old / "liqtruth.db")
    connection.executescript(
        "DROP TABLE lakeid; UPDATE alembic_version SET version_num = '0003';"
        "DROP INDEX ix_partition_archive; DROP TABLE latest; ALTER TABLE reading DROP COLUMN archive;"
        "ALTER TABLE partition DROP COLUMN archive; ALTER TABLE reading DROP COLUMN first_at;"
        "DROP INDEX ix_market_last; DROP INDEX ix_partition_series; DROP INDEX ix_reading_scope;"
        "CREATE INDEX ix_partition_dataset ON partition (dataset);"
        "CREATE INDEX ix_partition_coin ON partition (coin);"
    )
    connection.close()
    return {"none": place / "none", "filled": filled, "old": old}


@contextmanager
def writings(place: Path, accounts: int = 300) -> Iterator[list[Writing]]:
    """Every command that writes, with what it reads, on a synthetic exchange that is served meanwhile."""
    from liqtruth.sandbox.hyperliquid.node_state import write_state
    from liqtruth.sandbox.market.market import MarketSpec
    from liqtruth.sandbox.server import serving_in_thread
    from liqtruth.sandbox.truth import addresses
    from tests.indexer.test_node_fills import both_sides, by_block
    from tests.markets import market_of

    logging.getLogger("aiohttp").setLevel(logging.CRITICAL)  # it tells of every client that was killed
    market = market_of(MarketSpec(seed=5, accounts=accounts, days=3, cex_accounts=200))
    listed, state, fills = place / "addresses.txt", place / "942770000.rmp", place / "fills"
    listed.write_text("\n".join(addresses(market)))
    write_state(market, state)
    fills.write_text(by_block([pair for number in range(200) for pair in both_sides(number)]))
    table, candles = place / "positions.csv", place / "candles.csv"
    holdings = frames(3)["positions"].select("address", "coin", "szi", "as_of", mark_px=pl.lit(100.0))
    holdings.with_columns(pl.col("as_of").dt.strftime("%Y-%m-%dT%H:%M:%SZ")).write_csv(table)
    candles.write_text(
        "ts,open,high,low,close\n"
        + "".join(f"2026-08-{day:02}T{hour:02}:00Z,1,2,1,2\n" for day in range(1, 9) for hour in range(24))
    )
    with serving_in_thread(market, weight_per_minute=None) as server:
        at = ("--base-url", server.base_url)
        free = ("--weight-per-minute", "0")
        yield [
            Writing("creation", ("index", "forget"), base="none"),
            Writing("upgrade", ("index", "forget"), base="old"),
            Writing("index import", ("index", "import", str(table))),
            Writing("index sweep", ("index", "sweep", "--addresses", str(listed), *at, *free)),
            Writing(
                "index watch",
                (
                    "index",
                    "watch",
                    "--addresses",
                    str(listed),
                    *at,
                    *free,
                    "--for",
                    "3s",
                    "--book-every",
                    "1s",
                ),
                is_live=True,
            ),
            Writing("index find", ("index", "find", *at, *free)),
            Writing("index node", ("index", "node", str(state))),
            Writing("index fills", ("index", "fills", str(fills))),
            Writing("index candles", ("index", "candles", "--days", "3", *at, *free)),
            Writing(
                "feed fetch",
                (
                    "feed",
                    "fetch",
                    "binance",
                    "BTC",
                    "--days",
                    "3",
                    "--base-url",
                    server.venue_urls["binance"],
                ),
            ),
            Writing("feed import", ("feed", "import", str(candles), "--venue", "okx", "--coin", "ETH")),
            Writing(
                "feed watch",
                ("feed", "watch", "hyperliquid", "BTC", "--every", "1s", "--for", "3s", *at),
                is_live=True,
            ),
            Writing("calibrate fit", ("calibrate", "fit", "SOL")),
            Writing("score forecast", ("score", "forecast", "SOL", "--replay", "--model", "bell")),
            Writing("index tidy", ("index", "tidy")),
            Writing("index forget", ("index", "forget", "r1"), may_lose=frozenset({"r1"})),
        ]
