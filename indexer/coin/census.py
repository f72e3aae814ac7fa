"""One coin of everyone who is known, through HyperEVM: read, compared with the info endpoint, solved, stored.

It is a census: whoever does not hold the coin any more is gone from it. A position whose price cannot be solved is
known in size, and its price to an interval, until the info endpoint has read its account; where that did so within
`FRESH` and the size is the same still, what it read stands. Who did not answer stands as before.
"""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import polars as pl

from liqtruth.heatmap.errors import SourceUnreachable
from liqtruth.heatmap.levels import BySide
from liqtruth.heatmap.words.text import counted, percent, price, usd
from liqtruth.indexer.coin.agreement import Agreement, compared
from liqtruth.indexer.coin.solved import HELD, KINDS, intervals_of, positions_of, still_as_read, with_memory
from liqtruth.indexer.evm.batches import BatchReader
from liqtruth.indexer.evm.holdings import Part, Perp, check_listing, read_holders
from liqtruth.indexer.evm.sizing import EvmEndpoint, SizesRefused, numbers_of
from liqtruth.indexer.frames import POSITIONS, conform, empty
from liqtruth.indexer.info.client import MAIN, InfoClient, exchange_time_s, read_dexes
from liqtruth.indexer.info.wire import DexAnswer
from liqtruth.indexer.margin.reconcile import reconcile
from liqtruth.indexer.margin.tables import MarginTables
from liqtruth.indexer.positions.accounts import AccountReading, positions_frame
from liqtruth.indexer.positions.intervals import DATASET, stored_intervals
from liqtruth.indexer.positions.latest import keep_latest
from liqtruth.indexer.positions.markets import VENUE, markets_answered, universe_row
from liqtruth.indexer.positions.readings import Readings
from liqtruth.indexer.positions.remembered import MODE_MAX_AGE_S, remembered_modes, with_first_sight
from liqtruth.storage.database.markets import store_markets, store_universe
from liqtruth.storage.database.records import Reading, Scope
from liqtruth.storage.store import Store

FRESH: Final = timedelta(minutes=15)
"""What was read so recently is not read again."""
SHOWN: Final = 5


@dataclass(frozen=True)
class CoinReport:
    """What was read of a coin. `asked` accounts were, of which `unread` did not answer and `holders` hold it; sums are
    in USD at the mark, per side: `held_usd` of all, `solved_usd` with a price solved here, `read_usd` with one that the
    info endpoint had read just before. The rest is `waiting`, largest first, each with the interval of its price.
    `checked` positions were read through both doors; `problems` say what
    differed, and why not everyone was asked."""

    coin: str
    source: str
    reading_id: str
    asked: int
    unread: int
    holders: int
    open_interest_usd: float | None
    held_usd: BySide[float]
    solved_usd: BySide[float]
    read_usd: BySide[float]
    waiting: pl.DataFrame
    first_block: int | None
    last_block: int | None
    requests: int
    behind: int
    checked: int
    problems: tuple[str, ...]
    seconds: float

    def describe(self) -> list[str]:
        """Lines for people."""
        done = self.seconds
        lines = [
            f"{self.coin}: {counted(self.holders, 'holder')} among {counted(self.asked, 'account')}, "
            f"{counted(self.requests, 'request')} to HyperEVM in {done:.1f} s",
            *(f"  {line}" for line in self._sides()),
        ]
        lines += [f"  {problem}" for problem in self.problems]
        if self.unread:
            lines.append(f"  {counted(self.unread, 'account')} did not answer: what was known of them stands")
        if self.behind:
            lines.append(f"  {self.behind} batches came from a node that lags behind another one; not used")
        return lines + [f"  waits: {_waiting(row)}" for row in self.waiting.head(SHOWN).iter_rows(named=True)]

    def _sides(self) -> list[str]:
        lines = []
        for side, held, solved, read in zip(
            ("long", "short"), self.held_usd, self.solved_usd, self.read_usd, strict=True
        ):
            share = None if not self.open_interest_usd else held / self.open_interest_usd
            parts = [f"{usd(held)} held ({percent(share)} of open interest)", f"{_of(solved, held)} solved"]
            parts += [f"{_of(read, held)} read just before"] if read else []
            lines.append(
                f"{side}: {', '.join(parts)}, {_of(held - solved - read, held)} known to an interval"
            )
        return lines


def _of(part: float, whole: float) -> str:
    return percent(part / whole if whole else None)


def _waiting(row: dict[str, Any]) -> str:
    side = "long" if row["szi"] > 0 else "short"
    return f"{row['address']}  {side} {usd(row['notional_usd'])}, liquidated at {_interval(row)}"


def _interval(row: dict[str, Any]) -> str:
    low, high = row["low_px"], row["high_px"]
    never = " or never" if row["may_be_never"] else ""
    if high <= 0:
        return "no price"
    if math.isinf(high):
        return f"{price(low)} or above{never}" if low > 0 else "any price"
    return f"{price(low)} to {price(high)}{never}" if low > 0 else f"{price(high)} or below{never}"


@dataclass(frozen=True, eq=False)
class CoinRead:
    """The positions that were stored (`POSITIONS`), and the report."""

    positions: pl.DataFrame
    report: CoinReport

    @property
    def waiting(self) -> pl.DataFrame:
        """Positions whose price is not known, largest first."""
        rows = self.positions.filter(pl.col("status") == "unknown_collateral")
        return rows.sort("notional_usd", descending=True, nulls_last=True)

    @property
    def priced(self) -> pl.DataFrame:
        return self.positions.filter(pl.col("status") != "unknown_collateral")


@dataclass(eq=False)
class _Census:
    """One coin while it is read: what makes positions of what HyperEVM says, and what came so far."""

    perp: Perp
    dex: str
    answer: DexAnswer
    tables: MarginTables
    modes: dict[str, str]
    known: pl.DataFrame
    source: str
    agreed: Agreement | None = None
    held: list[pl.DataFrame] = field(default_factory=list)
    positions: list[pl.DataFrame] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    asked: int = 0
    problems: list[str] = field(default_factory=list)

    async def take(self, part: Part, info: InfoClient) -> pl.DataFrame:
        """The positions of the part; those of the first one that has some are compared with the info endpoint's."""
        held = with_memory(part.holdings, self.modes, self.known)
        positions = self._solved(held)
        if self.agreed is None and positions["liq_px_solved"].is_not_null().any():
            self.agreed = await compared(
                info, positions.filter(status="solved_only"), self.perp.coin, self.dex
            )
            if not self.agreed.sizes:
                raise SizesRefused("position2", self.source, "; ".join(self.agreed.problems))
            self.problems += self.agreed.problems
            positions = self._solved(held)
        self.held.append(held)
        self.positions.append(positions)
        self.unread += part.unread
        self.asked += len(part.asked)
        return positions

    def of_accounts(self, readings: Sequence[AccountReading]) -> pl.DataFrame:
        """Positions in the coin that the info endpoint read."""
        positions = positions_frame(readings).filter(coin=self.perp.coin)
        return reconcile(positions, {self.dex: self.tables})

    def _solved(self, held: pl.DataFrame) -> pl.DataFrame:
        kinds = KINDS if self.agreed is None else self.agreed.kinds
        return positions_of(held, self.perp.coin, self.dex, self.tables, self.source, kinds)


async def read_coin(
    store: Store,
    coin: str,
    addresses: Sequence[str],
    evm: EvmEndpoint,
    info: InfoClient,
    *,
    on_part: Callable[[pl.DataFrame, int], None] = lambda positions, asked: None,
    meanwhile: Callable[[], Sequence[AccountReading]] = tuple,
    stop: asyncio.Event | None = None,
) -> CoinRead:
    """Read `coin` of `addresses`, in their order, and of whoever was known to hold it; store it as a census.

    `on_part` gets positions as they come, with how many accounts were asked for them; `meanwhile` gives at the end what
    the info endpoint read of accounts that `on_part` got, which stands instead. Who was not asked before `stop`,
    or before the node was gone, stands as before. Raises `SourceUnreachable` where a door does not answer or the node
    lags, `SizesRefused` where positions are not the info endpoint's, `UnknownCoin`. Costs a weight of 20, 20 more for a
    coin of another dex than the main one, and 2 for each account compared.
    """
    started_s = time.monotonic()
    now_s = await info.reported_time_s()
    known = Readings(store, coin).known()
    asked = list(dict.fromkeys([*map(str.lower, addresses), *known["address"]]))
    dex = coin.partition(":")[0] if ":" in coin else MAIN
    answers, _ = await read_dexes(info, [dex])
    numbers = await numbers_of(info, [dex])
    async with evm.client(store.settings.data_dir, store.settings.request_timeout_s) as client:
        await client.check_current(now_s)
        listed = answers[dex].meta.universe
        perp = Perp.of(coin, numbers[dex], listed)
        await check_listing(client, perp, next(one.margin_table_id for one in listed if one.name == coin))
        census = _Census(
            perp=perp,
            dex=dex,
            answer=answers[dex],
            tables=MarginTables.from_meta(answers[dex].meta),
            modes=_fresh_modes(store, info.now_s),
            known=known,
            source=client.source,
        )
        reader = BatchReader(client)
        try:
            async for part in read_holders(client, reader, perp, asked, info.ahead_s, stop):
                on_part(await census.take(part, info), len(part.asked))
        except SourceUnreachable as error:
            if not census.asked:
                raise
            census.problems.append(str(error))
    later = [reading for reading in meanwhile() if reading.dex == dex]
    not_asked = [*census.unread, *asked[census.asked :]]
    ended = datetime.fromtimestamp(await exchange_time_s(info), UTC)
    read = _stored(store, census, not_asked, later, ended)
    report = _report(
        read, census, asked, len(not_asked), reader, client.budget.requests, time.monotonic() - started_s
    )
    return CoinRead(read.positions, report)


def _fresh_modes(store: Store, now_s: float) -> dict[str, str]:
    now = datetime.fromtimestamp(now_s, UTC)
    known = remembered_modes(store)
    return {address: one.mode for address, one in known.items() if one.is_fresh(now, MODE_MAX_AGE_S)}


@dataclass(frozen=True, eq=False)
class _Stored:
    """The reading, its positions, and the intervals of those whose price is not known."""

    reading: Reading
    positions: pl.DataFrame
    intervals: pl.DataFrame


def _stored(
    store: Store,
    census: _Census,
    not_asked: Sequence[str],
    later: Sequence[AccountReading],
    now: datetime,
) -> _Stored:
    """The census with what stands of before and what was read `later`, and the market of its moment."""
    read = pl.concat([empty(POSITIONS), *census.positions])
    read = read.filter(~pl.col("address").is_in([reading.address for reading in later]))
    read = read.with_columns(as_of=pl.min_horizontal("as_of", pl.lit(now, POSITIONS["as_of"])))
    stands = still_as_read(read, census.known.filter(pl.col("as_of") >= now - FRESH))
    not_read = census.known.filter(pl.col("address").is_in(list(not_asked)))
    fresh = read.join(stands, on="address", how="anti", maintain_order="left")
    held = pl.concat([empty(HELD), *census.held]).join(fresh, on="address", how="semi", maintain_order="left")
    intervals = pl.concat([intervals_of(held, fresh, census.tables), stored_intervals(store, not_read)])
    fresh = with_first_sight(pl.concat([fresh, census.of_accounts(later)]), census.known, census.known)
    positions = pl.concat([fresh, stands, conform(not_read, POSITIONS)])
    coin = census.perp.coin
    reading = Reading(
        id=f"evm-{coin.replace(':', '_')}@{now:%Y%m%dT%H%M%S}.{now.microsecond // 1000:03d}Z",
        venue=VENUE,
        source=census.source,
        scope=Scope.CENSUS,
        as_of=now,
        accounts=positions["address"].n_unique(),
        positions=positions.height,
        notes=f"{len(not_asked)} accounts were not read" if not_asked else "",
    )
    answer, dex = census.answer, census.dex
    store_universe(store.database, universe_row(answer.meta_json, dex, now))
    store_markets(store.database, markets_answered(answer.meta, answer.ctxs, dex, now))
    store.lake.write_reading(reading, {"positions": positions, DATASET: intervals})
    keep_latest(store)
    return _Stored(reading, positions, intervals)


def _report(
    read: _Stored,
    census: _Census,
    asked: Sequence[str],
    unread: int,
    reader: BatchReader,
    requests: int,
    seconds: float,
) -> CoinReport:
    coin, positions = census.perp.coin, read.positions
    interest = next(
        ctx.open_interest * (ctx.mark_px or 0.0) if ctx.open_interest else None
        for asset, ctx in zip(census.answer.meta.universe, census.answer.ctxs, strict=True)
        if asset.name == coin
    )
    solved = pl.col("status").is_in(("solved_only", "never")) & ~pl.col("exchange_read")
    blocks = pl.concat([empty(HELD), *census.held])["block"]
    return CoinReport(
        coin=coin,
        source=census.source,
        reading_id=read.reading.id,
        asked=len(asked),
        unread=unread,
        holders=positions["address"].n_unique(),
        open_interest_usd=interest,
        held_usd=_by_side(positions),
        solved_usd=_by_side(positions.filter(solved)),
        read_usd=_by_side(positions.filter("exchange_read")),
        waiting=read.intervals.sort("notional_usd", descending=True),
        first_block=blocks.min(),  # type: ignore[arg-type]
        last_block=blocks.max(),  # type: ignore[arg-type]
        requests=requests,
        behind=reader.behind,
        checked=0 if census.agreed is None else census.agreed.checked,
        problems=tuple(census.problems),
        seconds=seconds,
    )


def _by_side(positions: pl.DataFrame) -> BySide[float]:
    usd_of = pl.col("notional_usd")
    long, short = pl.col("szi") > 0, pl.col("szi") < 0
    return BySide(*positions.select(usd_of.filter(long).sum(), short=usd_of.filter(short).sum()).row(0))
