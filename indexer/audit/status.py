"""Where the truth stands: how much of each market is known, how old it is, what it cost and what does not fit."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import polars as pl

from liqtruth.heatmap.words.notes import any_synthetic
from liqtruth.heatmap.words.text import age, ago, counted, percent, usd
from liqtruth.indexer.discovery import known_accounts
from liqtruth.indexer.info.batch_memory import Answered, remembered
from liqtruth.indexer.margin.checks import Checks
from liqtruth.indexer.positions.markets import VENUE
from liqtruth.indexer.positions.readings import Readings
from liqtruth.indexer.positions.watch_state import EARLY_S, LATE_S, WatchState, read_state, running_process
from liqtruth.storage.database.markets import last_markets
from liqtruth.storage.database.records import Market
from liqtruth.storage.store import Store

SHOWN_COINS: Final = 12
HOUR_S: Final = 3600.0
SKEW_S: Final = 5.0
SHOWN_FAULTS: Final = 4
AGE_SHARES: Final = (0.5, 0.9, 0.99)
COLUMNS: Final = (
    *("address", "coin", "szi", "mark_px", "notional_usd", "as_of", "source"),
    *("status", "check", "exchange_read"),
)
"""Of positions: those of everyone are read."""


@dataclass(frozen=True)
class CoinCoverage:
    """What is known of one coin; shares of open interest are null where it is not known."""

    coin: str
    open_interest_usd: float | None
    long_usd: float
    short_usd: float
    long_share: float | None
    short_share: float | None
    positions: int


@dataclass(frozen=True)
class Status:
    """Everything that `liqtruth index status` says; ages (s) are of positions, weighted by notional.

    `accounts_read` were read with all that they hold; of `by_positions` some positions are known and nothing else, from
    trades, HyperEVM or a table. `watch` is the last word of the watch that runs, or ran last; `watch_process` the
    process of one that runs.
    """

    as_of: datetime | None
    synthetic: bool
    addresses: int
    sources: dict[str, int]
    accounts_read: int
    by_positions: int
    positions: int
    statuses: dict[str, int]
    ages_s: dict[str, float]
    coins: tuple[CoinCoverage, ...]
    book_at: datetime | None
    watch: WatchState | None
    watch_process: str | None
    checks: Checks = field(default_factory=Checks)
    batches: dict[str, Answered] = field(default_factory=dict)

    def describe(self) -> list[str]:
        """Lines for people."""
        watch = describe_watch(self.watch, self.watch_process)
        if self.as_of is None:
            nothing = "nothing was read yet"
            remedy = "" if self.watch_process else "; `liqtruth index sweep`, `index import` or `index watch`"
            return [nothing + remedy, *(f"  {line}" for line in watch)]
        reported = ", ".join(f"{count:,} {source}" for source, count in self.sources.items()) or "none"
        ages = ", ".join(f"{share} {age(seconds)}" for share, seconds in self.ages_s.items())
        lines = [
            f"as of {_clock(self.as_of)}" + (" (SYNTHETIC MARKET)" if self.synthetic else ""),
            f"  address book: {counted(self.addresses, 'account')} (first met: {reported})",
            f"  read: {self._accounts()}, {counted(self.positions, 'position')}; checked when read: {self.checks}",
            f"  age of positions by notional: {ages}",
            f"  last whole book: {_clock(self.book_at) if self.book_at else 'none yet'}",
            *(f"  {line}" for line in watch),
            *(f"  {said.describe(host)}" for host, said in self.batches.items()),
            "  coverage of open interest, long/short:",
            *(f"    {line}" for line in _coin_lines(self.coins)),
        ]
        return lines

    def _accounts(self) -> str:
        alone = "by their positions alone"
        if not self.accounts_read and self.by_positions:
            return f"{counted(self.by_positions, 'account')} {alone}"
        more = f" and {self.by_positions:,} more {alone}" if self.by_positions else ""
        return counted(self.accounts_read, "account") + more


def status_of(store: Store) -> Status:
    """What is stored by now, and what the last watch wrote."""
    met = known_accounts.yields(store)
    process, watch = running_process(store), read_state(store)
    readings = Readings(store, columns=COLUMNS)
    positions, accounts, stored = readings.known(), readings.accounts(), readings.book()
    last = positions["as_of"].max() or accounts["as_of"].max()
    as_of = max(
        (one for one in (last, stored.as_of if stored else None) if isinstance(one, datetime)), default=None
    )
    return Status(
        as_of=as_of,
        synthetic=any_synthetic(positions["source"]),
        addresses=int(met["addresses"].sum()),
        sources=dict(met.select("source", "addresses").iter_rows()),
        accounts_read=accounts["address"].n_unique(),
        by_positions=positions.join(accounts, on="address", how="anti")["address"].n_unique(),
        positions=positions.height,
        statuses=dict(positions["status"].value_counts(sort=True).iter_rows()),
        ages_s=age_shares(positions, as_of or datetime.now(UTC)),
        coins=tuple(coverage_of(store, positions)),
        book_at=stored.as_of if stored else None,
        watch=watch,
        watch_process=process,
        checks=Checks.of(positions),
        batches=remembered(store),
    )


def age_shares(positions: pl.DataFrame, as_of: datetime) -> dict[str, float]:
    """Ages within which half, 90 % and 99 % of all notional was read."""
    aged = positions.select(
        age_s=(pl.lit(as_of) - pl.col("as_of")).dt.total_milliseconds() / 1000,
        usd=pl.col("notional_usd").fill_null(0.0),
    ).sort("age_s")
    total = float(aged["usd"].sum())
    if total <= 0:
        return {}
    share = aged["usd"].cum_sum() / total
    return {
        f"{100 * wanted:g} %": float(aged["age_s"][int((share < wanted * (1 - 1e-12)).sum())])
        for wanted in AGE_SHARES
    }


def coverage_of(store: Store, positions: pl.DataFrame) -> list[CoinCoverage]:
    """Per coin with positions or open interest, largest market first; at the last mark stored."""
    markets = last_markets(store.database, VENUE)
    holdings = positions.group_by("coin").agg(
        long=pl.col("szi").filter(pl.col("szi") > 0).sum(),
        short=pl.col("szi").filter(pl.col("szi") < 0).abs().sum(),
        mark_px=pl.col("mark_px").median(),
        positions=pl.len(),
    )
    known = {row["coin"]: row for row in holdings.iter_rows(named=True)}
    rows = [
        _coverage(coin, markets.get(coin), known.get(coin)) for coin in sorted(known.keys() | markets.keys())
    ]
    return sorted(rows, key=lambda row: -(row.open_interest_usd or row.long_usd))


def _coverage(coin: str, market: Market | None, row: dict[str, Any] | None) -> CoinCoverage:
    long, short = (row["long"], row["short"]) if row else (0.0, 0.0)
    mark_px = market.mark_px if market else (row or {}).get("mark_px") or 0.0
    interest = market.open_interest if market else None
    return CoinCoverage(
        coin=coin,
        open_interest_usd=None if interest is None else interest * mark_px,
        long_usd=long * mark_px,
        short_usd=short * mark_px,
        long_share=long / interest if interest else None,
        short_share=short / interest if interest else None,
        positions=row["positions"] if row else 0,
    )


def describe_watch(state: WatchState | None, process: str | None = None) -> list[str]:
    """The watch that runs as `process`, or the last one, in lines."""
    if state is None:
        runs = f"a watch runs (process {process}), no word of it yet"
        return [runs if process else "watch: none ran on this data directory"]
    lines = [_standing(state, process)]
    if state.as_of is not None:
        used = (
            "no limit"
            if state.weight_per_minute is None
            else f"{percent(state.budget_used_share)} of its budget"
        )
        lines += [
            f"  {state.reads:,} reads, weight {state.weight:,} ({used}), {state.too_many_requests:,} answers were 429, "
            f"{state.failures:,} reads failed"
            + (f", {counted(state.unstored, 'reading')} wait to be stored" if state.unstored else ""),
            f"  {state.pairs_read:,} of {state.pairs:,} account-dex pairs read, {state.dirty:,} dirty; tape: "
            f"{state.tape.trades:,} trades, {state.tape.gaps:,} gaps, {state.tape.duplicates:,} duplicates left out",
            f"  marks: the last ones were {state.marks_from}; of a dex {state.marks_pushed:,} were pushed, "
            f"{state.marks_asked:,} asked for at weight 20 each",
        ]
    lines += _skews(state)
    lines += [f"  {line}" for line in state.faults.describe()[:SHOWN_FAULTS]]
    return lines + ([f"  last fault: {state.last_error}"] if state.last_error else [])


def _standing(state: WatchState, process: str | None) -> str:
    """Whether it runs, has ended or was killed, and when by this machine's clock."""
    since = "" if state.started_at is None else f" since {_clock(state.started_at)}"
    if process is not None:
        reported = "no word yet" if state.written_at is None else f"last word {_clock(state.written_at)}"
        return f"watch: runs{since} (process {process}), {reported}"
    if state.ended_at is not None:
        return f"watch: ran{since}, ended {_clock(state.ended_at)}"
    last = "nothing was ever written" if state.written_at is None else f"last word {_clock(state.written_at)}"
    return f"watch: ran{since} and was killed, {last}"


def _clock(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC ({ago(moment)})"


def _skews(state: WatchState) -> list[str]:
    """Clocks that disagree by more than seconds; ages and funding go by the exchange's."""
    lines = []
    if abs(state.clock_offset_s) > SKEW_S:
        lines.append(
            f"  the exchange's clock is {_off(state.clock_offset_s)} ours; ages are by the exchange's"
        )
    if state.tape_ahead_s is not None and not -LATE_S < state.tape_ahead_s < EARLY_S:
        lines.append(
            f"  times on the tape are {_off(state.tape_ahead_s)} the exchange's clock: who trades is read again"
        )
    return lines


def _off(seconds: float) -> str:
    size = abs(seconds)
    reported = f"{size:,.0f} s" if size < HOUR_S else age(size)
    return f"{reported} {'ahead of' if seconds > 0 else 'behind'}"


def _coin_lines(coins: Sequence[CoinCoverage]) -> list[str]:
    lines = [
        f"{row.coin:<12} {percent(row.long_share):>8} / {percent(row.short_share):>8}"
        f"   of {usd(row.open_interest_usd) if row.open_interest_usd is not None else 'unknown'}, "
        f"{counted(row.positions, 'position')}"
        for row in coins[:SHOWN_COINS]
    ]
    return lines + (
        [f"and {len(coins) - SHOWN_COINS} coins more (--json has all)"] if len(coins) > SHOWN_COINS else []
    )
