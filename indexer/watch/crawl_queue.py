"""Every account in every dex that may be read: by name, and as the rows of arrays that the scheduler decides on.

A pair of an address and a dex has one row for as long as a watch runs. What the tape changes since an account was read
is in `indexer.watch.tape_positions`; what is expected of one that nobody read, in `indexer.discovery.size_prior`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import polars as pl

from liqtruth.heatmap.grid import FloatArray, IntArray
from liqtruth.indexer.discovery.size_prior import PRIOR, SizePrior, hint_columns, probes
from liqtruth.indexer.frames import POOLED_MODES
from liqtruth.indexer.info.wire import Trade
from liqtruth.indexer.watch.scheduler import HOUR_S, Candidates, Settings, choose
from liqtruth.indexer.watch.tape_positions import COIN_BITS, COINS, TapePositions

Pair = tuple[str, str]
"""Address in lower case, and dex."""

STATE_WEIGHT: Final = 2
SPOT_WEIGHT: Final = 2
LEARNED_FROM: Final = 20_000
MAIN: Final = 0
"""Number of the main dex."""
LEAST_EXPECTED_USD: Final = 1.0
"""Of an account that was sized as holding nothing: it is read when there is nothing better to read."""
CENT: Final = 0.01
FUNDING_MARGIN: Final = 2.0
"""By how much the rates that are paid may exceed those that were shown before."""
DEX_PRIOR_SHARE: Final = 0.05
DEX_PRIOR_ACCOUNTS: Final = 50
"""Hints are for all dexes together; a builder dex is taken to hold this share, as if so many accounts had shown it."""

COLUMNS: Final[Mapping[str, float]] = {
    "account_value_usd": np.nan,
    "profit_usd": np.nan,
    "volume_usd": np.nan,
    "tape_usd": np.nan,
    "sized_usd": np.nan,
    "raw_usd": np.nan,
    "moved_usd": 0.0,
    "distance": np.inf,
    "tries_again_s": -np.inf,
    "weight": STATE_WEIGHT + SPOT_WEIGHT,
    "busy": 0.0,
}
HINTS: Final = {
    "account_value_usd": "account_value_usd",
    "day_pnl_usd": "profit_usd",
    "week_volume_usd": "volume_usd",
}
"""Columns of the leaderboard (`indexer.discovery.source_answers.LEADERS`) and what they are here."""
CHANGES: Final = {"address": pl.String, "dex": pl.String, "coin": pl.String, "szi": pl.Float64}


def dex_of(coin: str) -> str:
    """`xyz:TSLA` is of the dex `xyz`, `BTC` of the main one."""
    return coin.partition(":")[0] if ":" in coin else ""


@dataclass
class CrawlQueue:
    """Rows are pairs in the order in which they were met; coins have numbers of their own."""

    settings: Settings = field(default_factory=Settings)
    sizes: TapePositions = field(default_factory=lambda: TapePositions.of(0, 0))
    size_prior: SizePrior = field(default_factory=lambda: SizePrior(PRIOR))
    pairs: list[Pair] = field(default_factory=list)
    rows: dict[Pair, int] = field(default_factory=dict)
    coins: dict[str, int] = field(default_factory=dict)
    arrays: dict[str, FloatArray] = field(default_factory=lambda: {name: np.zeros(0) for name in COLUMNS})
    dexes: dict[str, int] = field(default_factory=lambda: {"": MAIN})
    _dex_of_row: list[int] = field(default_factory=list)
    _changed: list[IntArray] = field(default_factory=list)

    def add(self, pairs: Iterable[Pair], leaders: pl.DataFrame | None = None) -> int:
        """Rows for pairs that are new; returns how many were. `leaders` hints at what their accounts hold."""
        before, wanted = len(self.pairs), list(pairs)
        rows = self._rows(wanted)
        if leaders is not None and wanted:
            named = pl.DataFrame({"address": [address for address, _ in wanted], "row": rows})
            reported = named.join(leaders.unique("address", keep="last"), on="address")
            for theirs, ours in HINTS.items():
                self.arrays[ours][reported["row"].to_numpy()] = reported[theirs].fill_null(np.nan).to_numpy()
        return len(self.pairs) - before

    def note_sizes(self, dex: str, sizes: pl.DataFrame, rate_per_hour: float = 0.0) -> int:
        """What each `address` holds in `dex`, its `sized_usd`: expected of it for as long as it is not read.

        Cash (`raw_usd`) that is another one at `ts` than was read, by more than funding of at most `rate_per_hour` can
        have moved it, is a trade or a transfer, whether or not the tape had it: the account is dirty, and as urgent as
        if it had traded so much. Returns how many were clean before.
        """
        rows = self._rows([(address, dex) for address in sizes["address"]])
        sized_usd = sizes["sized_usd"].to_numpy()
        self.arrays["sized_usd"][rows] = sized_usd
        at_s, read_s = sizes["ts"].dt.timestamp("ms").to_numpy() / 1000, self.sizes.read_s[rows]
        moved_usd = np.abs(sizes["raw_usd"].to_numpy() - self.arrays["raw_usd"][rows])
        payments = np.maximum(at_s // HOUR_S - read_s // HOUR_S, 0.0)
        held_usd = np.maximum(sized_usd, self.sizes.size_usd[rows])
        moved = (moved_usd > CENT + FUNDING_MARGIN * rate_per_hour * payments * held_usd) & (read_s < at_s)
        self.arrays["moved_usd"][rows[moved]] = moved_usd[moved]
        return self.sizes.note_change(rows[moved])

    def largest_first(self, addresses: Sequence[str]) -> list[str]:
        """By what is expected of them, or was last read, in all dexes together; who has no row comes last."""
        expected = np.where(np.isnan(self.sizes.read_s), self._expected_usd(), self.sizes.size_usd)
        of: dict[str, float] = {}
        for (address, _), usd in zip(self.pairs, expected.tolist(), strict=True):
            of[address] = of.get(address, 0.0) + usd
        return sorted(addresses, key=lambda address: -of.get(address, 0.0))

    def note_trades(self, trades: Sequence[Trade]) -> None:
        """Move the sizes by the tape of both sides of each trade, buyer first as on the tape."""
        sides = [[(trade.users[side].lower(), dex_of(trade.coin)) for trade in trades] for side in (0, 1)]
        buyer, seller = (self._rows(pairs) for pairs in sides)
        coin = self._coin_rows([trade.coin for trade in trades])
        sz, px, time_ms = (
            np.array([getattr(trade, name) for trade in trades], dtype=np.float64)
            for name in ("sz", "px", "time")
        )
        self.sizes.note_trades(buyer, seller, coin, sz, px, time_ms / 1000)
        self._changed.append(np.concatenate([buyer, seller]) * COINS + np.tile(coin, 2))

    def note_gap(self, since_s: float | None, now_s: float) -> None:
        """Trades after `since_s` may be missing: whoever was read before now may hold something else."""
        self.sizes.note_gap(now_s if since_s is None else since_s)

    def note_reads(self, accounts: pl.DataFrame, positions: pl.DataFrame) -> None:
        """Take over what was read: one row of `accounts` per pair, and all `positions` of those pairs.

        A pair that was read later already is left as it is.
        """
        if accounts.is_empty():
            return
        row = self._rows(list(accounts.select("address", "dex").iter_rows()))
        self.arrays["busy"][row] = 0.0
        read_s = accounts["as_of"].dt.timestamp("ms").to_numpy() / 1000
        newer = ~(read_s < self.sizes.read_s[row])
        accounts, row, read_s = accounts.filter(newer), row[newer], read_s[newer]
        self._remember_tape(row)
        holdings = positions.join(accounts, on=["address", "dex"], how="semi")
        position_row = self._rows(list(holdings.select("address", "dex").iter_rows()))
        position_coin = self._coin_rows(holdings["coin"].to_list())
        self.sizes.mark(self._marks(holdings, position_coin))
        self.sizes.note_reads(row, read_s, position_row, position_coin, holdings["szi"].to_numpy())
        self._note_moved_since(row)
        self.arrays["tries_again_s"][row] = -np.inf
        self.arrays["distance"][row] = np.inf
        self.arrays["moved_usd"][row] = 0.0
        self.arrays["raw_usd"][row] = np.nan
        np.minimum.at(self.arrays["distance"], position_row, distances(holdings))
        holds = np.isin(row, position_row)
        pooled = accounts["account_mode"].is_in(POOLED_MODES).fill_null(True).to_numpy()
        self.arrays["weight"][row] = STATE_WEIGHT + SPOT_WEIGHT * (pooled & holds)

    def note_cash(self, pairs: Sequence[Pair], raw_usd: FloatArray, read_s: FloatArray) -> None:
        """The cash leg that readings showed, after `note_reads` of them; NaN for pools, which show what they post in
        the dex instead, and that moves with the marks."""
        row = self._rows(pairs)
        last = self.sizes.read_s[row] == read_s
        self.arrays["raw_usd"][row[last]] = raw_usd[last]

    def note_failure(self, pair: Pair, again_s: float) -> None:
        """A read that failed is not tried again before `again_s`."""
        row = self._rows([pair])
        self.arrays["busy"][row] = 0.0
        self.arrays["tries_again_s"][row] = again_s

    def take_changes(self) -> pl.DataFrame:
        """Sizes by the tape that the tape changed since the last call: `address`, `dex`, `coin`, `szi`."""
        if not self._changed:
            return pl.DataFrame(schema=CHANGES)
        keys = np.unique(np.concatenate(self._changed))
        self._changed.clear()
        at = np.minimum(np.searchsorted(self.sizes.key, keys), max(self.sizes.key.size - 1, 0))
        known = self.sizes.key[at] == keys if self.sizes.key.size else np.zeros(keys.size, np.bool_)
        # Sizes have at most eight decimals; what sums of them leave beyond that is rounding, not a position.
        szi = np.round(np.where(known, self.sizes.szi[at] if self.sizes.key.size else 0.0, 0.0), 9)
        names = list(self.coins)
        pairs = [self.pairs[row] for row in keys >> COIN_BITS]
        return pl.DataFrame(
            {
                "address": [address for address, _ in pairs],
                "dex": [dex for _, dex in pairs],
                "coin": [names[coin] for coin in keys & (COINS - 1)],
                "szi": szi,
            },
            schema=CHANGES,
        )

    def learn(self) -> None:
        """Fit what is expected of unread accounts to those of the main dex that were read."""
        read = np.flatnonzero(~np.isnan(self.sizes.read_s) & (self._dex_rows() == MAIN))[-LEARNED_FROM:]
        if read.size >= 20:
            self.size_prior.learn(self._hints()[read], self.sizes.size_usd[read])

    def _expected_usd(self) -> FloatArray:
        """As sized; else by the hints, and for a builder dex the share of it that accounts there were found to hold."""
        expected = self.size_prior.expected_usd(self._hints())
        dex, read = self._dex_rows(), ~np.isnan(self.sizes.read_s)
        for number in range(1, len(self.dexes)):
            theirs = dex == number
            seen = theirs & read
            prior = DEX_PRIOR_ACCOUNTS * float(expected[theirs].mean()) if theirs.any() else 0.0
            found, hoped = float(self.sizes.size_usd[seen].sum()), float(expected[seen].sum())
            if hoped + prior > 0:
                expected[theirs] *= (found + DEX_PRIOR_SHARE * prior) / (hoped + prior)
        sized = self.arrays["sized_usd"]
        return np.where(np.isnan(sized), expected, np.maximum(sized, LEAST_EXPECTED_USD))

    def _dex_rows(self) -> IntArray:
        return np.array(self._dex_of_row, dtype=np.int64)

    def next(self, budget_weight: float, now_s: float) -> list[Pair]:
        """Pairs to read for at most `budget_weight`, the most urgent first; they are busy until noted."""
        if not self.pairs:
            return []
        first = self._probes(budget_weight, now_s)
        self.arrays["busy"][first] = 1.0
        left = budget_weight - float(self.arrays["weight"][first].sum())
        chosen = np.concatenate([first, choose(self.candidates(now_s), left, now_s, self.settings)])
        self.arrays["busy"][chosen] = 1.0
        return [self.pairs[row] for row in chosen]

    def _probes(self, budget_weight: float, now_s: float) -> IntArray:
        """Accounts of the main dex that are read to learn what their kind holds, as far as the budget goes."""
        resting = (self.arrays["busy"] > 0) | (self.arrays["tries_again_s"] > now_s)
        asked = resting | ~np.isnan(self.sizes.read_s) | (self._dex_rows() != MAIN)
        rows = probes(self._hints(), asked.astype(np.float64))
        return rows[np.cumsum(self.arrays["weight"][rows]) <= budget_weight]

    def candidates(self, now_s: float) -> Candidates:
        """The arrays that the scheduler decides on; busy rows and those that wait are worth nothing."""
        idle = (self.arrays["tries_again_s"] <= now_s) & (self.arrays["busy"] == 0)
        expected = self._expected_usd()
        return Candidates(
            size_usd=np.where(idle, self.sizes.size_usd, 0.0),
            traded_usd=np.where(idle, np.maximum(self.sizes.traded_usd, self.arrays["moved_usd"]), 0.0),
            expected_usd=np.where(idle, expected, 0.0),
            distance=self.arrays["distance"],
            dirty_since_s=np.where(idle, self.sizes.dirty_since_s, np.nan),
            read_s=np.where(idle, self.sizes.read_s, now_s),
            weight=self.arrays["weight"].astype(np.int64),
        )

    def _hints(self) -> FloatArray:
        """What was known of each account before it was read."""
        traded = self.sizes.traded_usd
        unread = np.where(np.isnan(self.sizes.read_s) & (traded > 0), traded, np.nan)
        tape = np.where(np.isnan(self.arrays["tape_usd"]), unread, self.arrays["tape_usd"])
        value, profit, volume = (
            self.arrays[name] for name in ("account_value_usd", "profit_usd", "volume_usd")
        )
        return hint_columns(value, profit, volume, np.full(len(self.pairs), np.nan), tape)

    def _remember_tape(self, row: IntArray) -> None:
        """What the tape had shown of accounts that are read for the first time."""
        first = row[np.isnan(self.sizes.read_s[row])]
        traded = self.sizes.traded_usd[first]
        self.arrays["tape_usd"][first] = np.where(traded > 0, traded, np.nan)

    def _note_moved_since(self, row: IntArray) -> None:
        """Trades later than a reading were laid over it again: whoever took the reading over must take them too."""
        among = np.zeros(len(self.pairs), dtype=np.bool_)
        among[row] = True
        moved = among[self.sizes.key >> COIN_BITS] & (self.sizes.szi != self.sizes.read_szi)
        self._changed.append(self.sizes.key[moved])

    def _marks(self, positions: pl.DataFrame, coin: IntArray) -> FloatArray:
        px = np.full(len(self.coins), np.nan)
        px[coin] = positions["mark_px"].fill_null(np.nan).to_numpy()
        return px

    def _rows(self, pairs: Sequence[Pair]) -> IntArray:
        """Row numbers; new pairs get the next ones."""
        before = len(self.pairs)
        for pair in pairs:
            if pair not in self.rows:
                self.rows[pair] = len(self.pairs)
                self.pairs.append(pair)
                self._dex_of_row.append(self.dexes.setdefault(pair[1], len(self.dexes)))
        more = len(self.pairs) - before
        if more:
            self.arrays = {
                name: np.append(values, np.full(more, COLUMNS[name])) for name, values in self.arrays.items()
            }
            self.sizes.grow(len(self.pairs), len(self.coins))
        return np.array([self.rows[pair] for pair in pairs], dtype=np.int64)

    def _coin_rows(self, coins: Sequence[str]) -> IntArray:
        for coin in coins:
            self.coins.setdefault(coin, len(self.coins))
        self.sizes.grow(len(self.pairs), len(self.coins))
        return np.array([self.coins[coin] for coin in coins], dtype=np.int64)


def distances(positions: pl.DataFrame) -> FloatArray:
    """Log distance of each position's liquidation price from its mark; infinite where it has none."""
    away = positions.select((pl.col("liq_px") / pl.col("mark_px")).log().abs()).to_series()
    return np.asarray(away.fill_null(np.inf).to_numpy(), dtype=np.float64)
