"""One coin's exact map from nothing: who holds it and how much through HyperEVM, what that does not show by the info
endpoint, largest first."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from liqtruth.heatmap.errors import PartlyRead, SourceUnreachable
from liqtruth.heatmap.levels import SIDES, BySide
from liqtruth.heatmap.words.text import counted, percent
from liqtruth.indexer.coin.census import CoinReport
from liqtruth.indexer.info.budget import Budget
from liqtruth.indexer.info.client import InfoClient
from liqtruth.indexer.sweep.largest import ENDS, Endpoint, read_largest
from liqtruth.indexer.sweep.order_book import store_books
from liqtruth.indexer.sweep.report import Sight
from liqtruth.storage.store import Store


@dataclass(frozen=True)
class OneCoin:
    """What was read of a coin: `evm` through HyperEVM (null where what was read just before suffices), then `accounts`
    by the info endpoint for `weight`; `priced` is the share of open interest whose price is known then, per side.
    `lacking` could not be read."""

    evm: CoinReport | None
    accounts: int
    weight: int
    priced: BySide[float] | None
    ended: str
    lacking: tuple[str, ...]
    books: tuple[str, ...] = ()
    """What came of the coin's order book."""

    def describe(self) -> list[str]:
        """Lines for people."""
        lines = [
            *([] if self.evm is None else self.evm.describe()),
            f"{counted(self.accounts, 'account')} read by the info endpoint: {ENDS[self.ended]}",
            *self.books,
        ]
        if self.priced is None:
            return [*lines, "open interest is not known"]
        shares = (f"{side} {percent(share)}" for side, share in zip(SIDES, self.priced, strict=True))
        return [*lines, f"price known of open interest: {', '.join(shares)}"]

    def raise_if_partly(self) -> None:
        """Raise `PartlyRead` where something is missing."""
        if self.lacking:
            raise PartlyRead(f"could not be read: {'; '.join(self.lacking)}; the rest is stored")


async def read_one_coin(
    store: Store,
    coin: str,
    endpoint: Endpoint,
    *,
    files: Sequence[Path] = (),
    within_s: float,
    target: float,
    on_change: Callable[[Sight], None] = lambda sight: None,
) -> OneCoin:
    """`indexer.sweep.largest.read_largest` of one coin; raises `SourceUnreachable` too where HyperEVM gives none."""
    report = await read_largest(
        store, [coin], endpoint, files=files, within_s=within_s, target=target, on_change=on_change
    )
    if report.evm_problem:
        raise SourceUnreachable(report.evm_problem)
    swept = report.swept
    return OneCoin(
        books=tuple(await _book(store, coin, endpoint)),
        evm=next(iter(report.coins), None),
        accounts=0 if swept is None else swept.accounts,
        weight=0 if swept is None else swept.weight,
        priced=report.share[coin],
        ended=report.ended,
        lacking=tuple(report.lacking),
    )


async def _book(store: Store, coin: str, endpoint: Endpoint) -> list[str]:
    """What came of the order book of the coin, as it is once its accounts are read."""
    budget = Budget.shared(endpoint.weight_per_minute, endpoint.url, store.settings.data_dir)
    timeout_s = store.settings.request_timeout_s
    async with InfoClient(endpoint.url, budget, timeout_s, 4, endpoint.patience) as client:
        return await store_books(store, client, [coin])
