"""Sizes updated by the tape between readings, as arrays; independent of the order in which trades and readings come."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liqtruth.heatmap.grid import FloatArray, IntArray

BoolArray = NDArray[np.bool_]
COIN_BITS: Final = 20
COINS: Final = 1 << COIN_BITS
REMEMBERED_S: Final = 1800.0
"""Trades are remembered this long, s: an answer that shows less than that ago can be brought up to date."""


@dataclass(frozen=True)
class _Changes:
    """Size changes of one side of trades, one row each."""

    key: IntArray
    szi: FloatArray
    time_s: FloatArray

    @property
    def row(self) -> IntArray:
        return self.key >> COIN_BITS

    def of(self, which: BoolArray) -> "_Changes":
        return _Changes(self.key[which], self.szi[which], self.time_s[which])


@dataclass
class TapePositions:
    """What every account holds by its last reading and the trades since, per coin; rows and coins are numbers.

    A trade not later than an account's reading is in the reading already. One that came before the answer did, but
    is later than what it shows, is applied again (trades are remembered `REMEMBERED_S` for that), so the order of
    arrival is no matter. An answer of a moment before the remembered trades leaves its account dirty: it has to be read
    again.
    """

    read_s: FloatArray
    dirty_since_s: FloatArray
    px: FloatArray
    key: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))
    szi: FloatArray = field(default_factory=lambda: np.zeros(0))
    read_szi: FloatArray = field(default_factory=lambda: np.zeros(0))
    _doubted_s: FloatArray = field(default_factory=lambda: np.zeros(0))
    _recent: _Changes = field(
        default_factory=lambda: _Changes(np.zeros(0, np.int64), np.zeros(0), np.zeros(0))
    )
    _recent_since_s: float = -np.inf

    @classmethod
    def of(cls, accounts: int, coins: int) -> "TapePositions":
        return cls(np.full(accounts, np.nan), np.full(accounts, np.nan), np.zeros(coins))

    def grow(self, accounts: int, coins: int) -> None:
        """Make room for numbers up to these; never fewer than there are."""
        more = max(accounts - self.read_s.size, 0)
        self.read_s = np.append(self.read_s, np.full(more, np.nan))
        self.dirty_since_s = np.append(self.dirty_since_s, np.full(more, np.nan))
        self.px = np.append(self.px, np.zeros(max(coins - self.px.size, 0)))

    def note_trades(
        self,
        buyer: IntArray,
        seller: IntArray,
        coin: IntArray,
        sz: FloatArray,
        px: FloatArray,
        time_s: FloatArray,
    ) -> None:
        """Move the sizes of both sides, and mark both dirty since the trade; equal lengths, any order of times."""
        if not coin.size:
            return
        self.px[coin] = px
        key = np.concatenate([buyer, seller]) * COINS + np.tile(coin, 2)
        changes = _Changes(key, np.concatenate([sz, -sz]), np.tile(time_s, 2))
        self._recent_since_s = max(self._recent_since_s, float(time_s.max()) - REMEMBERED_S)
        kept = self._recent.of(self._recent.time_s > self._recent_since_s)
        self._recent = _joined(kept, changes)
        self._apply(changes)

    def note_reads(
        self,
        row: IntArray,
        read_s: FloatArray,
        position_row: IntArray,
        position_coin: IntArray,
        position_szi: FloatArray,
    ) -> None:
        """Accounts `row` (each once) were read as of `read_s` and have the positions listed, no others."""
        self.read_s[row] = read_s
        self.dirty_since_s[row] = np.where(read_s < self._recent_since_s, read_s, np.nan)
        self._doubt_again(row)
        among = np.zeros(self.read_s.size, np.bool_)
        among[row] = True
        theirs = among[self.key >> COIN_BITS]
        self.szi[theirs] = self.read_szi[theirs] = 0.0
        at = self._places(position_row * COINS + position_coin)
        self.szi[at] = self.read_szi[at] = position_szi
        self._apply(self._recent.of(among[self._recent.row]))
        self._forget_flat()

    def note_gap(self, since_s: float) -> None:
        """Trades after `since_s` may be missing: nobody's sizes are certain any more."""
        clean = np.isnan(self.dirty_since_s) & ~np.isnan(self.read_s)
        self.dirty_since_s[clean] = np.maximum(self.read_s[clean], since_s)

    def note_change(self, row: IntArray) -> int:
        """Accounts `row` (each once) changed at an unknown moment since they were read; returns how many were clean."""
        clean = row[np.isnan(self.dirty_since_s[row])]
        self.dirty_since_s[clean] = self.read_s[clean]
        return int(clean.size)

    def note_doubt(self, row: IntArray, newest_s: float) -> None:
        """Accounts `row` traded at an unknown moment: dirty now, and until a reading not before `newest_s`,
        the moment of the newest reading of anybody."""
        more = self.read_s.size - self._doubted_s.size
        self._doubted_s = np.append(self._doubted_s, np.full(more, -np.inf))
        self._doubted_s[row] = np.maximum(self._doubted_s[row], newest_s)
        self.dirty_since_s[row] = np.fmin(self.dirty_since_s[row], self.read_s[row])

    def _doubt_again(self, row: IntArray) -> None:
        known = row[row < self._doubted_s.size]
        doubted = known[self._doubted_s[known] > self.read_s[known]]
        self.dirty_since_s[doubted] = self.read_s[doubted]

    def mark(self, px: FloatArray) -> None:
        """Value everything at these marks (per coin, nan or 0 where there is none)."""
        self.px[: px.size] = np.where(px > 0, px, self.px[: px.size])

    @property
    def size_usd(self) -> FloatArray:
        """Per account: gross notional."""
        return self._per_account(np.abs(self.szi))

    @property
    def traded_usd(self) -> FloatArray:
        """Per account: notional by which sizes differ from the last reading (from nothing, if unread)."""
        return self._per_account(np.abs(self.szi - self.read_szi))

    def open_positions(self) -> tuple[IntArray, IntArray, FloatArray]:
        """Rows, coins and signed sizes of all open positions."""
        open_ = self.szi != 0
        return self.key[open_] >> COIN_BITS, self.key[open_] & (COINS - 1), self.szi[open_]

    def _per_account(self, size: FloatArray) -> FloatArray:
        usd = size * self.px[self.key & (COINS - 1)]
        return np.asarray(np.bincount(self.key >> COIN_BITS, usd, minlength=self.read_s.size))

    def _apply(self, changes: _Changes) -> None:
        row = changes.row
        later = ~(changes.time_s <= self.read_s[row])
        changes, row = changes.of(later), row[later]
        at = self._places(changes.key)
        np.add.at(self.szi, at, changes.szi)
        known = np.where(np.isnan(self.dirty_since_s), np.inf, self.dirty_since_s)
        np.minimum.at(known, row, changes.time_s)
        self.dirty_since_s = np.where(np.isinf(known), np.nan, known)

    def _places(self, key: IntArray) -> IntArray:
        """Where the keys are; new ones are put in with size zero."""
        at = np.searchsorted(self.key, key)
        known = at < self.key.size
        known[known] = self.key[at[known]] == key[known]
        new = np.unique(key[~known])
        if new.size:
            at = np.searchsorted(self.key, new)
            self.key = np.insert(self.key, at, new)
            self.szi, self.read_szi = np.insert(self.szi, at, 0.0), np.insert(self.read_szi, at, 0.0)
        return np.asarray(np.searchsorted(self.key, key))

    def _forget_flat(self) -> None:
        """Drop what is open neither now nor by the last reading, rounding of sums included."""
        self.szi[np.abs(self.szi) < 1e-9 * np.abs(self.read_szi)] = 0.0
        kept = (self.szi != 0) | (self.read_szi != 0)
        self.key, self.szi, self.read_szi = self.key[kept], self.szi[kept], self.read_szi[kept]


def _joined(*parts: _Changes) -> _Changes:
    columns: Sequence[str] = ("key", "szi", "time_s")
    return _Changes(*(np.concatenate([getattr(part, name) for part in parts]) for name in columns))
