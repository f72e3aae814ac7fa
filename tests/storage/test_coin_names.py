"""Names of other tools become Hyperliquid's, what cannot be folded stays, and what can be no coin is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.storage.errors import TableRefused
from liqtruth.storage.files.coin_names import QUOTES, folded


@pytest.mark.parametrize(
    "name",
    [
        *("BTC", "btc", "Btc-Perp", "BTC-PERP", "BTC_PERP", "BTCPERP", "BTC-USD", "BTC/USD", "BTC/USDC:USDC"),
        *("BTC/USDT", "BTC/USDT:USDT", "BTCUSDT", "btcusdt", "BTC-USDT", "BTC_USDT", "BTC-USDT-SWAP"),
        *("BTCUSDT_PERP", "XBTUSD", "XBT", "XBTUSDTM", "PF_XBTUSD", "BINANCE:BTCUSDT.P", "BTCUSDT_UMCBL"),
        *("BTC_USDC-PERPETUAL", "BTCUSDC", " BTC ", "PERP_BTC_USDC"),
        *("PERP_BTC_USDT", "perp-btc-usdc", "BTC/EUR"),
    ],
)
def test_a_coin_of_many_names_is_one_coin(name: str) -> None:
    found = folded(name, known=["BTC", "ETH"])
    assert (found.coin, found.factor, found.dex, found.delivery) == ("BTC", 1.0, "", False)
    assert folded(name).coin == "BTC"


@pytest.mark.parametrize(
    ("name", "coin", "factor"),
    [
        ("kPEPE", "kPEPE", 1.0),
        ("KPEPE", "kPEPE", 1.0),
        ("kpepe", "kPEPE", 1.0),
        ("1000PEPE", "kPEPE", 1.0),
        ("1000PEPEUSDT", "kPEPE", 1.0),
        ("1000PEPE/USDT:USDT", "kPEPE", 1.0),
        ("1000BONKUSDT", "kBONK", 1.0),
        ("SHIB1000USDT", "kSHIB", 1.0),
        ("10000SATS-USDT", "kSATS", 10.0),
        ("1000000MOGUSDT", "kMOG", 1000.0),
        ("1MBABYDOGEUSDT", "kBABYDOGE", 1000.0),
        ("PEPE", "kPEPE", 1e-3),
        ("PEPE-USDT-SWAP", "kPEPE", 1e-3),
    ],
)
def test_coins_by_the_thousand_carry_their_factor(name: str, coin: str, factor: float) -> None:
    found = folded(name)
    assert (found.coin, found.factor) == (coin, factor)


@pytest.mark.parametrize(
    "name", ["1INCH", "KAVA", "kFOO", "@107", "USDT", "S", "PERP", "M", "币安人生", "1000X"]
)
def test_what_only_looks_like_a_longer_name_stays(name: str) -> None:
    assert folded(name).coin == name
    assert folded(name).factor == 1.0


def test_a_name_that_is_known_stays_and_its_case_is_the_known_one() -> None:
    known = ["BTC", "xyz:TSLA", "FOOUSD", "kPEPE", "PEPE", "ARB"]
    assert folded("FOOUSD", known).coin == "FOOUSD"
    assert folded("foousd", known).coin == "FOOUSD"
    assert folded("PEPE", known).coin == "PEPE"
    assert folded("XYZ:tsla", known).coin == "xyz:TSLA"
    assert (folded("ARBUSD", known).coin, folded("BTCBUSD", known).coin) == ("ARB", "BTC")


def test_a_dex_is_part_of_the_name() -> None:
    found = folded("xyz:TSLA")
    assert (found.coin, found.dex) == ("xyz:TSLA", "xyz")
    assert folded("BTC").dex == ""


@pytest.mark.parametrize(
    "name", ["BTCUSD_PERP", "BTC-USD-SWAP", "BTC/USD:BTC", "BTCUSD", "PI_XBTUSD", "BTC-PERPETUAL"]
)
def test_markets_margined_in_their_coin_state_it(name: str) -> None:
    assert folded(name).inverse
    assert folded(name).coin == "BTC"


@pytest.mark.parametrize(
    "name", ["BTCUSDT_260925", "BTC-USDT-260925", "BTC/USDT:USDT-260925", "BTC-26SEP25", "FI_XBTUSD_260925"]
)
def test_markets_that_end_on_a_day_state_it(name: str) -> None:
    assert folded(name).delivery
    assert folded(name).coin == "BTC"


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "..",
        "../x",
        "a/b/c",
        "a/b",
        "BTC/ETH",
        "=cmd|calc",
        "[red]BTC[/]",
        "BTC;",
        "B*TC",
        "'BTC'",
        "--",
        "a\\b",
        "xyz:..",
        "a:b:c",
        "a\x00b",
        "B\x1b[31mTC",
        "B TC",
        "/",
        "x" * 65,
        "xyz:",
    ],
)
def test_what_can_be_no_coin_is_refused(name: str) -> None:
    with pytest.raises(TableRefused):
        folded(name)


@given(st.from_regex(r"[A-Z][A-Z0-9]{1,6}", fullmatch=True).filter(lambda coin: not coin.endswith(QUOTES)))
def test_a_known_coin_is_found_behind_every_usual_spelling(coin: str) -> None:
    for spelling in (
        "{}USDT",
        "{}-USDT-SWAP",
        "{}/USDT:USDT",
        "{}_USDT",
        "{}-PERP",
        "{}-USD",
        "{}USDC",
        "{}-USDC",
    ):
        for name in (spelling.format(coin), spelling.format(coin).lower()):
            assert folded(name, [coin]).coin == coin, name


@given(st.text(max_size=80))
def test_any_text_is_a_coin_that_may_be_part_of_a_path_or_is_refused(name: str) -> None:
    try:
        found = folded(name)
    except TableRefused:
        return
    assert found.coin
    assert found.coin.isprintable()
    assert not set(found.coin) & set("/\\ ")
    assert ".." not in found.coin
    assert folded(found.coin).coin == found.coin or found.factor != 1.0 or found.coin == name.strip()
