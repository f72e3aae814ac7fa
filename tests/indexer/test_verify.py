"""The official SDK and our client show the same account, and neither hangs or dumps a trace where there is none."""

import re
import socket

import polars as pl
import pytest
from aiohttp import web
from info_endpoint import InfoEndpoint, address_of, btc, serving, state

from liqtruth.heatmap.errors import BadInput, SourceUnreachable
from liqtruth.indexer.audit.verify import verify
from liqtruth.indexer.info.budget import Patience
from liqtruth.sandbox.market.market import Market
from liqtruth.sandbox.server import SandboxServer
from liqtruth.sandbox.truth import true_positions

QUICK = Patience(attempts=1, total_s=2.0, first_wait_s=0.01, pause_s=0.02)


def holder(market: Market, mode: str, dex: str) -> str:
    """The account of this mode with the most positions that holds one on `dex`."""
    rows = true_positions(market).filter(pl.col("account_mode") == mode)
    counts = rows.group_by("address").agg(pl.len(), on=(pl.col("dex") == dex).any())
    address = counts.filter(pl.col("on")).sort("len", "address", descending=True)["address"][0]
    assert isinstance(address, str)
    return address


@pytest.mark.parametrize(
    ("abstraction", "mode"),
    [("default", "standard"), ("unifiedAccount", "unified"), ("portfolioMargin", "portfolio")],
)
def test_both_readers_show_every_position_of_every_dex_alike(
    served: SandboxServer, small_market: Market, abstraction: str, mode: str
) -> None:
    address = holder(small_market, abstraction, "xyz")
    found = verify(address, served.base_url, "all")
    truth = true_positions(small_market).filter(pl.col("address") == address)
    assert found.dexes == ("", "xyz")
    assert (found.mode_sdk, found.mode_ours) == (mode, mode)
    assert {holdings.coin: holdings.szi_sdk for holdings in found.positions} == dict(
        truth.select("coin", "szi").iter_rows()
    )
    assert found.agrees
    solved = {holdings.coin: holdings.liq_px_solved for holdings in found.positions}
    for coin, px in truth.select("coin", "liq_px").iter_rows():
        assert solved[coin] == (None if px is None else pytest.approx(px, rel=1e-9))


def test_the_pool_by_the_documented_sum_is_the_one_that_was_sent(
    served: SandboxServer, small_market: Market
) -> None:
    found = verify(holder(small_market, "unifiedAccount", "xyz"), served.base_url, "all")
    assert found.available_by_formula_usd == pytest.approx(found.available_usd, rel=1e-9)


def test_the_lines_show_both_prices_side_by_side(served: SandboxServer, small_market: Market) -> None:
    lines = verify(holder(small_market, "default", ""), served.base_url).describe()
    head = next(line for line in lines if line.startswith("coin"))
    assert head.split("  ")[-1] == "check"
    assert all(
        name in head for name in ("size by SDK", "size by us", "price by SDK", "price by us", "solved")
    )
    assert re.fullmatch(r"(\d+) of \1 positions read alike; \1 agree .*, 0 differ, 0 not checked", lines[-1])


def test_an_unknown_address_is_one_line(served: SandboxServer) -> None:
    [line] = verify("0x" + "0" * 40, served.base_url).describe()
    assert "holds nothing on the main dex" in line


def test_a_price_that_we_cannot_reproduce_is_shown_as_such() -> None:
    """Equity 10,000 on a short of one: 59,259.26; the endpoint says 58,000."""
    with serving(InfoEndpoint(states={address_of(1): state(btc(-1.0, 58_000.0))})) as endpoint:
        found = verify(address_of(1), endpoint.base_url)
    assert not found.agrees
    assert found.positions[0].read_alike
    assert found.positions[0].difference == pytest.approx(60_000 / (1 + 1 / 80) / 58_000 - 1)
    assert found.describe()[-1].startswith("1 of 1 position read alike; 0 agree")


def test_what_is_no_address_and_what_is_no_dex_are_refused(served: SandboxServer) -> None:
    with pytest.raises(BadInput, match="'0x12' is no address"):
        verify("0x12", served.base_url)
    with pytest.raises(BadInput, match="no dex 'xzy'"):
        verify("0x" + "0" * 40, served.base_url, ["xzy"])


def test_a_host_that_is_not_there_is_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with pytest.raises(SourceUnreachable, match=rf"{url}: no answer .*cannot connect") as caught:
        verify(address_of(1), url, patience=QUICK)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: web.Response(body=b"<html>bad gateway</html>", content_type="text/html"), "something else"),
        (lambda: web.Response(status=429, text="null"), "HTTP 429"),
        (lambda: web.Response(status=422, text='{"reason": "no"}'), "a refusal that the SDK cannot read"),
        (lambda: web.Response(status=503), "HTTP 503"),
        (lambda: 60.0, "nothing within 3 s"),
    ],
    ids=["html", "429", "refusal", "503", "silence"],
)
def test_whatever_the_sdk_does_instead_of_answering_is_one_line(make: object, message: str) -> None:
    """Ours reads first (meta, state, spot): the fourth request is the SDK's first."""
    endpoint = InfoEndpoint(states={address_of(1): state(btc(-1.0, 58_000.0))})
    endpoint.fault = lambda request, number: make() if number > 3 else None  # type: ignore[operator]
    with serving(endpoint) as running, pytest.raises(SourceUnreachable, match=message) as caught:
        verify(address_of(1), running.base_url, timeout_s=3.0, patience=QUICK)
    assert "\n" not in str(caught.value)
    assert len(endpoint.requests) == 4
