"""The largest accounts first, until enough of the open interest is seen, the time is up, or someone stops it."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from liqtruth.heatmap.levels import BySide
from liqtruth.indexer.discovery.find import Discovery
from liqtruth.indexer.discovery.known_accounts import book
from liqtruth.indexer.errors import UnknownCoin
from liqtruth.indexer.positions.readings import positions_as_of
from liqtruth.indexer.sweep.largest import Endpoint, LargestReport, largest_first, read_largest
from liqtruth.indexer.sweep.report import Sight
from liqtruth.sandbox.market.market import Market
from liqtruth.sandbox.server import SandboxServer
from liqtruth.sandbox.truth import addresses
from liqtruth.storage.store import Store


def endpoint_of(served: SandboxServer) -> Endpoint:
    return Endpoint(served.base_url, served.base_url, weight_per_minute=None, concurrency=4)


def read(store: Store, served: SandboxServer, *coins: str, **options: object) -> LargestReport:
    return asyncio.run(read_largest(store, coins or ("BTC",), endpoint_of(served), **options))  # type: ignore[arg-type]


def share_of(report: LargestReport, coin: str = "BTC") -> BySide[float]:
    share = report.share[coin]
    assert share is not None
    return share


def test_it_ends_at_the_coverage_and_what_was_read_is_stored(store: Store, served: SandboxServer) -> None:
    report = read(store, served, target=0.3)
    assert report.ended == "coverage"
    assert min(share_of(report)) >= 0.3
    assert report.swept is not None
    assert report.swept.accounts < report.accounts
    stored = positions_as_of(store, None, "BTC")
    truth = served.true_positions().filter(coin="BTC")
    longs, all_longs = (frame.filter(frame["szi"] > 0)["szi"].sum() for frame in (stored, truth))
    assert share_of(report).long == pytest.approx(longs / all_longs, rel=1e-6)


def test_without_end_everyone_who_is_known_is_read(store: Store, served: SandboxServer) -> None:
    report = read(store, served, "BTC", "ETH", target=1.1)
    assert report.ended == "all"
    assert report.swept is not None
    assert report.swept.accounts == report.accounts
    assert not report.swept.failed
    assert set(report.share) == {"BTC", "ETH"}


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (BySide(0.46, 0.44), "46 % of long and 44 % of short open interest"),
        (BySide(1.0, 0.999), ""),
        (None, "not known"),
    ],
)
def test_everyone_known_is_not_everyone_and_what_is_seen_of_open_interest_stands_beside_it(
    share: BySide[float] | None, said: str
) -> None:
    """After a sizing, who holds nothing is not read: 55 of 55 says nothing of accounts that nobody named."""
    report = LargestReport(None, None, {"BTC": share}, fresh=0, accounts=55, ended="all", known=300)
    first, *lines = report.describe()
    assert "of 55 accounts (of 300 known)" in first
    assert bool(lines) == bool(said)
    assert said in " ".join(lines)
    assert LargestReport(None, None, {"BTC": share}, 0, 55, "time").describe()[1:] == []


def test_larger_accounts_come_earlier_than_chance_would_have_them(
    store: Store, served: SandboxServer
) -> None:
    """Half of what all known accounts hold is seen after fewer than a third of them."""
    seen: list[tuple[int, float]] = []
    read(
        store, served, target=1.1, on_change=lambda sight: seen.append((sight.accounts, sight.least() or 0.0))
    )
    half = next(accounts for accounts, least in seen if least >= seen[-1][1] / 2)
    assert half < seen[-1][0] / 3


def test_what_was_read_just_now_is_not_read_again(store: Store, served: SandboxServer) -> None:
    first = read(store, served, target=0.3)
    requests = served.requests["clearinghouseState"]
    again = read(store, served, target=0.3)
    assert again.ended == "coverage"
    assert again.swept is None
    assert again.discovery is None
    assert served.requests["clearinghouseState"] == requests
    assert share_of(again) == pytest.approx(share_of(first), rel=1e-9)
    more = read(store, served, target=0.45)
    assert more.fresh == first.swept.accounts  # type: ignore[union-attr]
    assert min(share_of(more)) >= 0.45


def test_accounts_of_a_file_are_read_beside_those_that_are_found(
    store: Store, served: SandboxServer, small_market: Market, tmp_path: Path
) -> None:
    """With the list of everyone all open interest is seen."""
    listed = tmp_path / "everyone.txt"
    listed.write_text("\n".join(addresses(small_market)))
    report = read(store, served, files=[listed], target=0.9999)
    assert report.ended == "coverage"
    assert report.accounts >= len(addresses(small_market))


def test_the_order_is_by_what_was_last_read(store: Store, served: SandboxServer) -> None:
    read(store, served, target=1.1)
    ranked = largest_first(store, Discovery((), ()))
    known = dict(book(store).select("address", "notional_usd").iter_rows())
    sizes = [known[address] for address in ranked if known[address] is not None]
    assert sizes == sorted(sizes, reverse=True)
    assert len(ranked) == len(known)


def test_time_ends_it_while_it_waits_for_the_budget(store: Store, served: SandboxServer) -> None:
    slow = endpoint_of(served)._replace(weight_per_minute=60)
    report = asyncio.run(read_largest(store, ["BTC"], slow, within_s=2.0, target=1.1))
    assert report.ended == "time"
    assert report.swept is None or report.swept.accounts < report.accounts


def test_the_first_interrupt_ends_it_with_what_was_read(store: Store, served: SandboxServer) -> None:
    def interrupt(sight: Sight) -> None:
        if sight.accounts == 20:
            os.kill(os.getpid(), signal.SIGINT)

    report = read(store, served, target=1.1, on_change=interrupt)
    assert report.ended == "stopped"
    assert report.swept is not None
    assert 20 <= report.swept.accounts < report.accounts
    assert positions_as_of(store, None, "BTC").height > 0


def test_a_coin_that_is_not_listed_is_refused_before_anyone_is_read(
    store: Store, served: SandboxServer
) -> None:
    requests = served.requests["clearinghouseState"]
    with pytest.raises(UnknownCoin, match="BTC"):
        read(store, served, "BTCC")
    assert served.requests["clearinghouseState"] == requests
