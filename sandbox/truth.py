"""What is true in a synthetic market: every position with its liquidation price, every liquidation that happened.

Taken from the ledger, never from the wire, so that a reader of the wire can be checked against it.
Liquidation prices are searched for by bisection on the ledger's own equity and tier rules; there is no closed form, so
a solver that agrees with these prices agrees with something other than itself.

`write_archive` writes what archives have of the first venue: positions of everyone on earlier days, candles, open
interest. Every row is marked as synthetic in its column `source`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from liqtruth.sandbox.live import market_at
from liqtruth.sandbox.market.ledger import LIQUIDATION, MICRO
from liqtruth.sandbox.market.listings import Floats, Ints, MarginRules
from liqtruth.sandbox.market.market import HYPERLIQUID, Market
from liqtruth.sandbox.market.population import MODE_NAMES, PORTFOLIO, UNIFIED
from liqtruth.sandbox.market.roles import LIQUIDATOR, Vault, draw_roles
from liqtruth.sandbox.market.venue import VenueResult
from liqtruth.sandbox.public.forced_orders import order_times
from liqtruth.sandbox.public.record import Record

POSITION_SCHEMA: Final = {
    "address": pl.Utf8,
    "dex": pl.Utf8,
    "coin": pl.Utf8,
    "szi": pl.Float64,
    "entry_px": pl.Float64,
    "mark_px": pl.Float64,
    "notional_usd": pl.Float64,
    "margin_mode": pl.Utf8,
    "leverage": pl.Float64,
    "max_leverage": pl.Float64,
    "account_mode": pl.Utf8,
    "liq_px": pl.Float64,
}
ROLE_SCHEMA: Final = {
    "address": pl.Utf8,
    "role": pl.Utf8,
    "master": pl.Utf8,
    "leader": pl.Utf8,
    "relationship": pl.Utf8,
    "is_liquidator": pl.Boolean,
}
LOWEST_PX, HIGHEST_PX = 1e-12, 1e15
SOURCE: Final = "synthetic: the sandbox"
INTERVAL: Final = "1h"
UNPUBLISHED: Final = ("account_mode", "max_leverage")


@dataclass(frozen=True)
class Exposure:
    """Positions to search, one row each. `equity_usd` backs the position at `mark_px`; `other_due_usd` is the
    maintenance of what else that equity backs."""

    szi: Floats
    mark_px: Floats
    equity_usd: Floats
    other_due_usd: Floats
    table: Ints


def surplus_usd(rules: MarginRules, exposure: Exposure, px: Floats) -> Floats:
    """Equity minus maintenance with this coin at `px` and all others where they are."""
    equity = exposure.equity_usd + exposure.szi * (px - exposure.mark_px)
    due = rules.maintenance_usd(np.abs(exposure.szi) * px, exposure.table)
    return np.asarray(equity - exposure.other_due_usd - due)


def liquidation_prices(rules: MarginRules, exposure: Exposure) -> Floats:
    """The price at which each position is liquidated; NaN where no price up to 1e15 liquidates it."""
    long = exposure.szi > 0
    low = np.full(exposure.szi.size, LOWEST_PX)
    high = np.full(exposure.szi.size, HIGHEST_PX)
    safe_low = surplus_usd(rules, exposure, low) >= 0
    safe_high = surplus_usd(rules, exposure, high) >= 0
    for _ in range(110):
        middle = np.where(high > 2 * low, np.sqrt(low * high), 0.5 * (low + high))
        downward = (surplus_usd(rules, exposure, middle) >= 0) == long
        low, high = np.where(downward, low, middle), np.where(downward, middle, high)
    never = np.where(long, safe_low, safe_high)
    return np.where(never, np.nan, np.where(long, high, low))


@dataclass(frozen=True)
class OpenPositions:
    """Rows and columns of the ledger that hold something, in account order, with their searched prices."""

    account: Ints
    coin: Ints
    exposure: Exposure
    liq_px: Floats


def open_positions(market: Market, venue: VenueResult) -> OpenPositions:
    """All open positions of one venue at the end of history."""
    ledger, last = venue.ledger, -1
    coins = ledger.lots.shape[1]
    mark, oracle = market.path.mark_units[last, :coins], market.path.oracle_units[last, :coins]
    account, coin = np.nonzero(ledger.lots)
    isolated = ledger.isolated[account, coin]
    scale = np.array([asset.px_scale for asset in venue.rules.assets])
    lot_scale = np.array([asset.lot_scale for asset in venue.rules.assets])
    table = ledger.table[account, coin]
    own_due = ledger.rules.maintenance_usd(np.abs(ledger.lots * mark)[account, coin] / MICRO, table)
    cross_due = ledger.cross_maintenance_usd(mark)[account] - own_due
    exposure = Exposure(
        szi=ledger.lots[account, coin] / lot_scale[coin],
        mark_px=(mark / scale)[coin],
        equity_usd=np.where(
            isolated,
            ledger.isolated_equity_usd(mark)[account, coin],
            ledger.cross_equity_usd(mark, oracle)[account],
        ),
        other_due_usd=np.where(isolated, 0.0, cross_due),
        table=table,
    )
    return OpenPositions(account, coin, exposure, liquidation_prices(ledger.rules, exposure))


def true_positions(market: Market, venue: str = HYPERLIQUID, at: int | None = None) -> pl.DataFrame:
    """Every open position with its liquidation price (null = no price liquidates it); synthetic.

    `at` is a minute point of the live period, the market's own moment without it. On a centralised venue accounts have
    no public address: `address` then holds an invented row name.
    """
    market = market if at is None else market_at(market, at)
    result = market.venue(venue)
    positions = open_positions(market, result)
    ledger, assets = result.ledger, result.rules.assets
    cells = (positions.account, positions.coin)
    names = _addresses(market, venue)
    szi, mark_px = positions.exposure.szi, positions.exposure.mark_px
    columns = {
        "address": [names[row] for row in positions.account],
        "dex": [assets[column].dex for column in positions.coin],
        "coin": [assets[column].name for column in positions.coin],
        "szi": szi,
        "entry_px": ledger.cost[cells] / MICRO / szi,
        "mark_px": mark_px,
        "notional_usd": np.abs(szi) * mark_px,
        "margin_mode": np.where(ledger.isolated[cells], "isolated", "cross").tolist(),
        "leverage": ledger.leverage[cells].astype(np.float64),
        "max_leverage": ledger.max_leverage[cells].astype(np.float64),
        "account_mode": [account_mode(result, row) for row in positions.account],
        "liq_px": positions.liq_px,
    }
    return pl.DataFrame(columns, schema=POSITION_SCHEMA).with_columns(pl.col("liq_px").fill_nan(None))


def true_liquidations(market: Market, venue: str = HYPERLIQUID, at: int | None = None) -> pl.DataFrame:
    """Every forced close of the served history up to `at`: when, whose, which side, how much; synthetic.

    Times are minutes on the first venue, milliseconds inside that minute on a centralised one.
    """
    market = market if at is None else market_at(market, at)
    result = market.venue(venue)
    tape = result.tape
    rows = np.flatnonzero((tape.kind == LIQUIDATION) & (tape.point >= market.first_point))
    assets, names = result.rules.assets, _addresses(market, venue)
    scale = np.array([asset.px_scale for asset in assets])
    on_chain = venue == HYPERLIQUID
    times = market.path.times_ms[tape.point[rows]] if on_chain else order_times(market, venue, rows)
    return pl.DataFrame(
        {
            "time": times,
            "address": [names[row] for row in tape.account[rows]],
            "coin": [assets[column].name for column in tape.coin[rows]],
            "side": np.where(tape.before[rows] > 0, "long", "short").tolist(),
            "px": tape.px[rows] / scale[tape.coin[rows]],
            "notional_usd": np.abs(tape.lots[rows] * tape.px[rows]) / MICRO,
        },
        schema_overrides={"address": pl.Utf8, "coin": pl.Utf8, "side": pl.Utf8},
    ).with_columns(pl.from_epoch("time", time_unit="ms").dt.replace_time_zone("UTC"))


def addresses(market: Market) -> list[str]:
    """Every account, with or without positions."""
    return list(market.addresses)


def true_roles(market: Market) -> pl.DataFrame:
    """What every account is: `role` user, vault or subAccount, with the sub-account's master, the vault's leader and
    relationship, and which one is the liquidator; then the vaults that hold nothing and have no account."""
    roles = draw_roles(market)
    rows = []
    for row, address in enumerate(market.addresses):
        master = roles.master_of.get(row)
        role = "vault" if address in roles.vaults else "user" if master is None else "subAccount"
        owner = None if master is None else market.addresses[master]
        rows.append((address, role, owner, *_vault_facts(roles.vaults.get(address)), row == LIQUIDATOR))
    empty = [vault for vault in roles.vaults.values() if vault.row is None]
    rows += [(vault.address, "vault", None, *_vault_facts(vault), False) for vault in empty]
    return pl.DataFrame(rows, schema=ROLE_SCHEMA, orient="row")


def _vault_facts(vault: Vault | None) -> tuple[str | None, str | None]:
    return (None, None) if vault is None else (vault.leader, vault.relationship)


def account_mode(result: VenueResult, row: int) -> str:
    return MODE_NAMES[result.people.mode[row]]


def is_pooled(result: VenueResult, row: int) -> bool:
    """Whether one balance backs everything, so that the clearinghouse shows only posted margin."""
    return int(result.people.mode[row]) in (UNIFIED, PORTFOLIO)


def _addresses(market: Market, venue: str) -> tuple[str, ...]:
    if venue == HYPERLIQUID:
        return market.addresses
    return tuple(f"{venue}-account-{row}" for row in range(market.venue(venue).people.size))


@dataclass(frozen=True)
class Archive:
    """Files: one of positions (none without `Market.past`), and per coin of the main dex those of its aggregates."""

    positions: Path | None
    aggregates: dict[str, tuple[Path, ...]]


def write_archive(market: Market, directory: Path) -> Archive:
    """Parquet in an existing directory, replacing files of the same names."""
    record = Record(market, market.hyperliquid)
    positions = _archived_positions(market, directory / "positions.parquet") if market.past else None
    return Archive(
        positions, {coin: _archived_aggregates(record, coin, directory) for coin in market.spec.coins}
    )


def _archived_positions(market: Market, path: Path) -> Path:
    """Every open position of the main dex at the ends of the earlier days, `liq_px` as the venue shows it."""
    moments = [_positions_at(then) for then in market.past]
    pl.concat(moments).drop(UNPUBLISHED).write_parquet(path)
    return path


def _positions_at(then: Market) -> pl.DataFrame:
    positions = true_positions(then, HYPERLIQUID).filter(pl.col("dex") == "")
    return positions.with_columns(_as_moments([then.as_of_ms] * positions.height), source=pl.lit(SOURCE))


def _archived_aggregates(record: Record, coin: str, directory: Path) -> tuple[Path, ...]:
    column = record.market.spec.coins.index(coin)
    asset, candles = record.venue.rules.assets[column], record.candles(column, INTERVAL)
    bars = {name: getattr(candles, name) / asset.px_scale for name in ("open", "high", "low", "close")}
    volume = candles.volume / asset.lot_scale
    ends = [*candles.open_ms[:1].tolist(), *(candles.close_ms + 1).tolist()]
    open_lots = record.open_lots[
        [(end - int(record.market.path.times_ms[0])) // 60_000 for end in ends], column
    ]
    tables = {
        "candles": pl.DataFrame({"ts": _as_moments(candles.open_ms.tolist()), **bars, "volume": volume}),
        "open-interest": pl.DataFrame(
            {"ts": _as_moments(ends), "open_interest": open_lots / asset.lot_scale}
        ),
    }
    paths = {name: directory / f"{coin}-{name}.parquet" for name in tables}
    for name, table in tables.items():
        table.with_columns(source=pl.lit(SOURCE)).write_parquet(paths[name])
    return tuple(paths.values())


def _as_moments(times_ms: list[int]) -> pl.Series:
    return pl.Series("ts", times_ms, dtype=pl.Datetime("ms", "UTC"))
