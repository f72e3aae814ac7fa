"""What a sweep will cost, how much of the market it has seen so far, and what it brought."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import numpy as np
import polars as pl

from liqtruth.heatmap.errors import BadInput, LeftOut, PartlyRead
from liqtruth.heatmap.levels import BySide
from liqtruth.heatmap.words.notes import Notes
from liqtruth.heatmap.words.text import counted
from liqtruth.indexer.info.budget import weight_of
from liqtruth.indexer.info.wire import DexAnswer
from liqtruth.indexer.margin.checks import Checks
from liqtruth.indexer.positions.accounts import AccountReading
from liqtruth.indexer.sweep.order_book import ROUNDINGS

SHOWN_FAILURES: Final = 5


@dataclass(frozen=True)
class SweepPlan:
    """What a sweep will cost: the least if no account has a cross position, the most if all have."""

    accounts: int
    requests_min: int
    requests_max: int
    weight_min: int
    weight_max: int
    weight_per_minute: float | None
    minutes_min: float | None
    minutes_max: float | None

    def describe(self) -> list[str]:
        """Lines for people."""
        lines = [
            f"{counted(self.accounts, 'account')}, {self.requests_min:,} to {self.requests_max:,} requests, "
            f"weight {self.weight_min:,} to {self.weight_max:,} (more for accounts with cross positions)"
        ]
        if self.minutes_min is None or self.minutes_max is None:
            return [*lines, "no weight limit: as fast as the host answers"]
        at = f"at {self.weight_per_minute:,.0f} weight a minute"
        return [*lines, f"{self.minutes_min:,.1f} to {self.minutes_max:,.1f} minutes {at}"]


def plan(
    addresses: Sequence[str],
    dex: str = "",
    weight_per_minute: float | None = 960,
    dexes: Sequence[str] | None = None,
    books: int = 0,
) -> SweepPlan:
    """The cost of a sweep and of the order `books` of so many coins; nothing is asked. `weight_per_minute` None or 0
    means no limit.

    `dexes` goes before `dex`; raises `BadInput` for one name instead of several: how many "all" are is known only
    from the exchange (`indexer.sweep.plan_of`).
    """
    if isinstance(dexes, str):
        raise BadInput(f"a plan needs the dexes by name, not {dexes!r}")
    names = list(dict.fromkeys([dex] if dexes is None else dexes))
    accounts = len(set(addresses))
    once = ["exchangeStatus"] + ["metaAndAssetCtxs"] * len(names) + (["perpDexs"] if names != [""] else [])
    once += ["l2Book"] * len(ROUNDINGS) * books
    fixed = sum(weight_of(request) for request in once)
    weight_min = fixed + accounts * len(names) * weight_of("clearinghouseState")
    weight_max = weight_min + accounts * weight_of("spotClearinghouseState")
    budget = weight_per_minute or None
    return SweepPlan(
        accounts=accounts,
        requests_min=len(once) + accounts * len(names),
        requests_max=len(once) + accounts * (len(names) + 1),
        weight_min=weight_min,
        weight_max=weight_max,
        weight_per_minute=budget,
        minutes_min=None if budget is None else weight_min / budget,
        minutes_max=None if budget is None else weight_max / budget,
    )


@dataclass
class Sight:
    """Open interest seen per coin and side, while accounts are read; sets `stop` once each side of each coin has
    `target`.

    A share is null where the exchange states no open interest. `on_change` is called after each account.
    """

    coins: Sequence[str]
    target: float = 1.0
    on_change: Callable[["Sight"], None] = lambda sight: None
    accounts: int = 0
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._open_interest: dict[str, float | None] = {}
        self._sizes: dict[str, dict[str, float]] = {coin: {} for coin in self.coins}
        self.kept: list[AccountReading] | None = None

    def begin(self, answers: Mapping[str, DexAnswer], known: pl.DataFrame | None = None) -> None:
        """The markets of the dexes, from which open interest is known, and positions that need not be read again
        (`know`)."""
        for answer in answers.values():
            names = (asset.name for asset in answer.meta.universe)
            self._open_interest |= dict(zip(names, (ctx.open_interest for ctx in answer.ctxs), strict=True))
        if known is not None:
            self.know(known)
        self._look()

    def know(self, positions: pl.DataFrame) -> None:
        """Positions (`address`, `coin`, `szi`) that need not be read."""
        for address, coin, szi in positions.select("address", "coin", "szi").iter_rows():
            self._sizes[coin][address] = szi
        self._look()

    def take(self, readings: Sequence[AccountReading]) -> None:
        """One account, in every dex that it was read in."""
        self.accounts += 1
        if self.kept is not None:
            self.kept += readings
        for reading in readings:
            for entry in reading.state.asset_positions:
                if (sizes := self._sizes.get(entry.position.coin)) is not None:
                    sizes[reading.address] = entry.position.szi
        self._look()
        self.on_change(self)

    def share(self, coin: str) -> BySide[float] | None:
        """Seen of the coin's open interest, per side."""
        total = self._open_interest.get(coin)
        if not total:
            return None
        sizes = np.fromiter(self._sizes[coin].values(), np.float64)
        return BySide(float(sizes[sizes > 0].sum() / total), float(abs(sizes[sizes < 0].sum()) / total))

    def least(self) -> float | None:
        """The smaller share of all coins and sides; null where no coin's open interest is known."""
        shares = [share for coin in self.coins if (share := self.share(coin)) is not None]
        return min((min(share) for share in shares), default=None)

    def _look(self) -> None:
        least = self.least()
        if least is not None and least >= self.target:
            self.stop.set()


@dataclass(frozen=True)
class SweepReport:
    """What a finished sweep stored.

    `dex` is the comma-separated list of `dexes`, the main one being empty. `failed` maps the accounts that could not be
    read to the reason, `lost_dexes` the dexes, `left_out` counts items of answers, `mismatches` maps the reasons of
    `indexer.audit.mismatch` to numbers of positions; `mode_changed` counts accounts whose mode was remembered
    otherwise; `broken` where the host was gone before the end; `ahead` says what was read many accounts a request.
    """

    reading_id: str
    source: str
    dex: str
    accounts: int
    accounts_with_positions: int
    resumed_accounts: int
    positions: int
    unpriced: int
    statuses: dict[str, int]
    failed: dict[str, str]
    first: datetime
    last: datetime
    requests: int
    weight: int
    too_many_requests: int
    seconds: float
    notes: Notes = ()
    dexes: tuple[str, ...] = ("",)
    mode_changed: int = 0
    mismatches: dict[str, int] = field(default_factory=dict)
    checks: Checks = field(default_factory=Checks)
    lost_dexes: dict[str, str] = field(default_factory=dict)
    left_out: LeftOut = field(default_factory=LeftOut)
    broken: bool = False
    books: tuple[str, ...] = ()
    """What came of each order book that was asked for."""
    ahead: tuple[str, ...] = ()

    def raise_if_partly(self) -> None:
        """Raise `PartlyRead` where an account, a dex or an item of an answer could not be read."""
        if self.lacking:
            raise PartlyRead(
                f"could not be read: {'; '.join(self.lacking)}; the rest is stored, sweep again later"
            )

    @property
    def lacking(self) -> list[str]:
        """What could not be read, each with a reason."""
        return [
            *([f"{counted(len(self.failed), 'account')} ({_first(self.failed)})"] if self.failed else []),
            *(f"dex {name or 'main'} ({why})" for name, why in self.lost_dexes.items()),
            *self.left_out.describe(),
        ]

    def describe(self) -> list[str]:
        """Lines for people."""
        speed = (self.accounts - self.resumed_accounts) / max(self.seconds, 1e-9)
        resumed = f", {self.resumed_accounts:,} of them before a break" if self.resumed_accounts else ""
        lines = [
            f"{counted(self.accounts, 'account')} read from {self.source}{resumed}; "
            f"{self.accounts_with_positions:,} hold {counted(self.positions, 'position')}",
            f"  {self.first:%Y-%m-%dT%H:%M:%S}Z .. {self.last:%Y-%m-%dT%H:%M:%S}Z, reading {self.reading_id}",
            f"  {counted(self.unpriced, 'position')} without liquidation price; {self.checks}",
            f"  {self.requests:,} requests, weight {self.weight:,}, {self.seconds:.1f} s ({speed:,.1f} accounts/s)",
        ]
        lines += [f"  {line}" for line in self.ahead]
        if len(self.dexes) > 1:
            lines.append(f"  dexes: {', '.join(name or 'the main one' for name in self.dexes)}")
        if self.mode_changed:
            lines.append(
                f"  {counted(self.mode_changed, 'account')} changed their mode since it was last read"
            )
        if self.mismatches:
            reasons = ", ".join(f"{count:,} {reason}" for reason, count in self.mismatches.items())
            lines.append(f"  mismatches beyond 1e-6: {reasons}; `liqtruth index reconcile` lists them")
        if self.too_many_requests:
            lines.append(
                f"  {self.too_many_requests:,} answers were 429: something else asks from this address"
            )
        lines += [f"  {line}" for line in self.books]
        lines += [f"  note: {note}" for note in self.notes]
        lines += [f"  dex {name or 'main'} could not be read: {why}" for name, why in self.lost_dexes.items()]
        lines += [f"  {line}" for line in self.left_out.describe()]
        if self.failed:
            lines.append(f"  {len(self.failed):,} accounts could not be read:")
            lines += [f"    {who}: {why}" for who, why in list(self.failed.items())[:SHOWN_FAILURES]]
        return lines


def _first(failed: dict[str, str]) -> str:
    return next(f"{who}: {why}" for who, why in failed.items())
