"""How much of the open interest of some coins a sweep has seen, and when that is enough."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from liqtruth.heatmap.levels import BySide
from liqtruth.indexer.info.wire import DexAnswer
from liqtruth.indexer.positions.accounts import AccountReading


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

    def begin(self, answers: Mapping[str, DexAnswer], known: pl.DataFrame | None = None) -> None:
        """The markets of the dexes, from which open interest is known, and positions (`address`, `coin`, `szi`) that
        need not be read again."""
        for answer in answers.values():
            names = (asset.name for asset in answer.meta.universe)
            self._open_interest |= dict(zip(names, (ctx.open_interest for ctx in answer.ctxs), strict=True))
        if known is not None:
            for address, coin, szi in known.select("address", "coin", "szi").iter_rows():
                self._sizes[coin][address] = szi
        self._look()

    def take(self, readings: Sequence[AccountReading]) -> None:
        """One account, in every dex that it was read in."""
        self.accounts += 1
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
        return BySide(float(sizes[sizes > 0].sum() / total), float(-sizes[sizes < 0].sum() / total))

    def least(self) -> float | None:
        """The smaller share of all coins and sides; null where no coin's open interest is known."""
        shares = [share for coin in self.coins if (share := self.share(coin)) is not None]
        return min((min(share) for share in shares), default=None)

    def _look(self) -> None:
        least = self.least()
        if least is not None and least >= self.target:
            self.stop.set()
