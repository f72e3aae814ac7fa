"""What was opened on a synthetic venue, at which distance from liquidation, and how long it stood.

A market is deterministic, so its history is run once more and watched. Whatever opens, enlarges or cuts a position
*places* it anew: one row with the mark, the liquidation price by search on the ledger right after, and what ended it.
Leverage here is *effective*: that of the isolated position with the same distance to liquidation, whatever the account
had set. Out of placings, and never out of the positions left at some moment, comes the venue's own distribution of
leverage, so that a map which is drawn from it is not fitted to the map that it is compared with.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import polars as pl

from liqtruth.sandbox.errors import SandboxRefused
from liqtruth.sandbox.market.ledger import LIQUIDATION, MICRO, Fills, Ledger
from liqtruth.sandbox.market.listings import Floats, Ints
from liqtruth.sandbox.market.market import HYPERLIQUID, Market, at_earlier
from liqtruth.sandbox.market.population import CENTRALISED, Flags
from liqtruth.sandbox.market.price import MINUTES_PER_DAY, PricePath
from liqtruth.sandbox.market.venue import Venue
from liqtruth.sandbox.truth import Exposure, liquidation_prices

MOVED, CLOSED, LIQUIDATED, OPEN = "moved", "closed", "liquidated", "open"
PLACING: Final = {
    "time": pl.Datetime("ms", "UTC"),
    "ended": pl.Datetime("ms", "UTC"),
    "end": pl.Utf8,
    "account": pl.Int64,
    "trader": pl.Utf8,
    "coin": pl.Utf8,
    "side": pl.Utf8,
    "opened_coins": pl.Float64,
    "coins": pl.Float64,
    "px": pl.Float64,
    "notional_usd": pl.Float64,
    "liq_px": pl.Float64,
    "maintenance_rate": pl.Float64,
    "leverage": pl.Float64,
}
"""One row per placing. `coins` and `notional_usd` are of the whole position, `opened_coins` what was added to it (none
by a cut); `liq_px` and `leverage` are null where no price liquidates it. `end`: `moved` to another price by the next
fill, `closed`, `liquidated` in whole or part, or still `open` at the end of the history."""

_PER_COIN: Final = ("mark_units", "oracle_units", "premium", "funding")
_STREAM: Final = {HYPERLIQUID: 2, **{name: kind.seeds[1] for name, kind in CENTRALISED.items()}}


@dataclass
class _Watched(Venue):
    """A venue that remembers every change of a position and, while it is open, what backs it."""

    seen: list[tuple[Ints | Floats, ...]] = field(default_factory=list)

    def run_past(self, steps: int, stops: Sequence[int]) -> list[Ledger]:
        """The history, and its ledger after each step of `stops`."""
        kept: dict[int, Ledger] = {}

        def keep(step: int) -> None:
            if step in stops:
                kept[step] = self.ledger.copy()

        self.run(steps, keep)
        return [self.ledger if step == steps else kept[step] for step in stops]

    def _book(
        self, fills: Fills, before: Ints, point: Ints, kind: int, isolated: Flags, backstop: Flags
    ) -> None:
        makers = self.people.makers
        made = self.ledger.lots[:makers].copy()
        super()._book(fills, before, point, kind, isolated, backstop)
        for moment in np.unique(point):
            rows = np.flatnonzero(point == moment)
            self._remember(fills.account[rows], fills.coin[rows], before[rows], int(moment), kind)
        account, coin = np.nonzero(self.ledger.lots[:makers] != made)
        if account.size:
            self._remember(account, coin, made[account, coin], int(point.max()), kind=0)

    def _remember(self, account: Ints, coin: Ints, before: Ints, point: int, kind: int) -> None:
        mark, oracle = self.path.mark_units[point], self.path.oracle_units[point]
        backing = _backing(self.ledger, account, coin, mark, oracle)
        at = np.full((2, account.size), [[point], [kind]])
        self.seen.append((account, coin, *at, before, self.ledger.lots[account, coin], *backing))


@dataclass(frozen=True)
class Watched:
    """A history that was watched: its `placings` (`PLACING`, in time order), and the market as it stood at each of the
    days that were asked for; only the venue that was watched is in those."""

    placings: pl.DataFrame
    then: tuple[Market, ...]


def watch(market: Market, venue: str, days: Sequence[int] = ()) -> Watched:
    """Every placing on `venue` up to the end of the history, and the market after so many `days` of it; synthetic.

    Market makers and hedgers are among them. Deposits and funding move prices too and are no placings. Refuses a
    market with `live_hours`.
    """
    spec = market.spec
    if not all(1 <= day <= spec.days for day in days):
        raise SandboxRefused(f"days are from 1 to {spec.days}, not {list(days)}")
    watched, then = _watched(market, venue, [(spec.warmup_days + day) * MINUTES_PER_DAY for day in days])
    return Watched(_placings(watched), then)


def at_minutes(market: Market, venue: str, points: Sequence[int]) -> tuple[Market, ...]:
    """The market at minute points of its history, multiples of its step; only this venue is in those."""
    return _watched(market, venue, points)[1]


def _watched(market: Market, venue: str, points: Sequence[int]) -> tuple[_Watched, tuple[Market, ...]]:
    """The venue run once more, and the market as it stood at the points."""
    spec = market.spec
    if spec.live_hours:
        raise SandboxRefused("placings are those of a history: simulate it without live_hours")
    result = market.venue(venue)
    seed = np.random.SeedSequence(spec.seed).spawn(_STREAM[venue] + 1)[_STREAM[venue]]
    path = _path_of(market.path, len(result.rules.assets))
    watched = _Watched(result.rules, result.people, path, spec.step_minutes, np.random.default_rng(seed))
    stops = [point // spec.step_minutes for point in points]
    ledgers = watched.run_past(spec.history_minutes // spec.step_minutes, stops)
    pairs = zip(points, ledgers, strict=True)
    return watched, tuple(at_earlier(market, venue, point, ledger) for point, ledger in pairs)


def _path_of(path: PricePath, coins: int) -> PricePath:
    """The first coins alone, which are those of a centralised venue."""
    columns = {name: getattr(path, name)[:, :coins] for name in _PER_COIN}
    return replace(path, **columns)


def _placings(watched: _Watched) -> pl.DataFrame:
    columns = (np.concatenate(column) for column in zip(*watched.seen, strict=True))
    account, coin, point, kind, before, lots, equity_usd, other_due_usd = columns
    ended, end = _ends(account, coin, point, kind, lots)
    left = np.flatnonzero(lots)
    account, coin, point, before, lots = (part[left] for part in (account, coin, point, before, lots))
    rules = watched.rules.margin
    scale = np.array([asset.lot_scale for asset in watched.rules.assets])[coin]
    px = watched.path.mark_px(watched.rules.assets)[point, coin]
    table = watched.ledger.table[account, coin]
    liq_px = liquidation_prices(
        rules, Exposure(lots / scale, px, equity_usd[left], other_due_usd[left], table)
    )
    notional_usd = np.abs(lots) / scale * px
    rate = rules.rate[table, rules.tier(notional_usd, table)]
    kept = np.where(before * lots > 0, np.abs(before), 0)
    times = watched.path.times_ms
    frame = pl.DataFrame(
        {
            "time": times[point],
            "ended": times[ended[left]],
            "end": np.array([MOVED, CLOSED, LIQUIDATED, OPEN])[end[left]].tolist(),
            "account": account,
            "trader": np.array(watched.people.kind_names)[watched.people.kind[account]].tolist(),
            "coin": np.array([asset.name for asset in watched.rules.assets])[coin].tolist(),
            "side": np.where(lots > 0, "long", "short").tolist(),
            "opened_coins": np.maximum(np.abs(lots) - kept, 0) / scale,
            "coins": np.abs(lots) / scale,
            "px": px,
            "notional_usd": notional_usd,
            "liq_px": liq_px,
            "maintenance_rate": rate,
            "leverage": effective_leverage(liq_px / px, rate, np.sign(lots)),
        }
    )
    moments = pl.from_epoch(pl.col("time", "ended"), time_unit="ms").dt.replace_time_zone("UTC")
    typed = frame.with_columns(moments, pl.col("liq_px", "leverage").fill_nan(None))
    return typed.cast(PLACING).sort("time", maintain_order=True)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Habit:
    """One kind of trader on one side of a coin. Of what they place, `by_leverage` lies at each node and the rest at
    none; `closed_per_h` is the share of what they hold that they close or move in an hour, liquidations apart;
    `position_coins` what they would hold on average if nobody was ever liquidated."""

    trader: str
    position_coins: float
    closed_per_h: float
    by_leverage: Floats


def habits(placed: pl.DataFrame, side: str, leverage: Floats, maintenance_rate: float) -> list[Habit]:
    """What the kinds of traders do on one side of one coin, at nodes of effective leverage (ascending) under the
    maintenance rate that the reader of the map will assume.

    A placing between two nodes belongs to both by its nearness in log leverage. Below the first node it is at none.
    """
    placed = placed.filter(pl.col("side") == side)
    hours = (placed["ended"] - placed["time"]).dt.total_milliseconds() / 3.6e6
    sign = 1.0 if side == "long" else -1.0
    own = effective_leverage((placed["liq_px"] / placed["px"]).to_numpy(), maintenance_rate, sign)
    known = placed.select("trader", "coins", given_up=pl.col("end").is_in([MOVED, CLOSED])).with_columns(
        hours=hours, leverage=own
    )
    names = known["trader"].unique(maintain_order=True).to_list()
    return [_habit(known.filter(pl.col("trader") == name), leverage) for name in names]


def _habit(placed: pl.DataFrame, leverage: Floats) -> Habit:
    coins = placed["coins"].to_numpy()
    coin_hours = float((placed["coins"] * placed["hours"]).sum())
    given_up = float(placed.filter("given_up")["coins"].sum())
    position_coins = coin_hours * coins.sum() / given_up if given_up > 0 else coin_hours
    nodes, own = np.log(leverage), np.log(placed["leverage"].to_numpy())
    at_node = np.isfinite(own) & (own >= nodes[0])
    place = np.interp(own[at_node], nodes, np.arange(nodes.size))
    lower = np.minimum(place.astype(np.int64), nodes.size - 2)
    upper = (place - lower) * coins[at_node]
    by_leverage = np.bincount(lower, coins[at_node] - upper, nodes.size)
    by_leverage += np.bincount(lower + 1, upper, nodes.size)
    closed_per_h = given_up / coin_hours if coin_hours > 0 else 0.0
    return Habit(placed["trader"][0], position_coins, closed_per_h, by_leverage / coins.sum())


def effective_leverage(
    ratio: Floats, maintenance_rate: Floats | float, side: Floats | Ints | float
) -> Floats:
    """Leverage of the isolated position that is liquidated at `ratio` times its entry price; `side` +1 or -1.

    Where equity meets maintenance, `1 / leverage + side (ratio - 1) = maintenance_rate * ratio`. NaN where no price
    liquidates (`ratio` is NaN).
    """
    margin = np.asarray(maintenance_rate * ratio - side * (ratio - 1.0))
    return np.asarray(np.divide(1.0, margin, out=np.full(margin.shape, np.nan), where=margin > 0))


def _ends(account: Ints, coin: Ints, point: Ints, kind: Ints, lots: Ints) -> tuple[Ints, Ints]:
    """Per change the point of the next change of the same position (-1: none), and how that one ended this placing."""
    order = np.lexsort((np.arange(account.size), coin, account))
    following = np.append(order[1:], order[:1])
    same = (account[following] == account[order]) & (coin[following] == coin[order])
    same[-1:] = False
    how = np.where(kind[following] == LIQUIDATION, 2, np.where(lots[following] == 0, 1, 0))
    ended, end = np.empty_like(point), np.empty_like(point)
    ended[order], end[order] = np.where(same, point[following], -1), np.where(same, how, 3)
    return ended, end


def _backing(ledger: Ledger, account: Ints, coin: Ints, mark: Ints, oracle: Ints) -> tuple[Floats, Floats]:
    """Equity behind each position and the maintenance of what else it backs, as `Exposure` wants them."""
    isolated = ledger.isolated[account, coin]
    value_usd = np.abs(ledger.lots[account, coin] * mark[coin]) / MICRO
    own_due = ledger.rules.maintenance_usd(value_usd, ledger.table[account, coin])
    cross_due = ledger.cross_maintenance_usd(mark, account) - own_due
    alone_usd = (ledger.isolated_cash[account, coin] + ledger.lots[account, coin] * mark[coin]) / MICRO
    equity_usd = np.where(isolated, alone_usd, ledger.cross_equity_usd(mark, oracle, account))
    return equity_usd, np.where(isolated, 0.0, cross_due)
