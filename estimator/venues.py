"""What each venue can give, as a table: the rest of the package reads capabilities and has no branch on a venue.

Paging limits and depths are those of the venues' public documentation.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from estimator.errors import UnknownChoice
from estimator.frames import LONG_SHORT_ACCOUNTS, TAKER_BUY_SELL, TOP_LONG_SHORT_POSITIONS


@dataclass(frozen=True)
class Venue:
    """One centralised venue as the user types it.

    `ccxt_id` is null for a venue whose series only come from files. `limits` is the largest page per dataset,
    `depth_days` how far back the venue answers (absent: to the listing). `facts` names the maintenance brackets.
    `kline_method` and `ratio_methods` are raw methods of ccxt, for what its unified ones leave out: taker volume of
    candles, and per kind of ratio the field that holds it.
    """

    name: str
    quote: str
    ccxt_id: str | None = None
    api_host: str = ""
    datasets: tuple[str, ...] = ()
    limits: Mapping[str, int] = field(default_factory=dict)
    depth_days: Mapping[str, int] = field(default_factory=dict)
    periods: Mapping[int, str] = field(default_factory=dict)
    kline_method: str | None = None
    ratio_methods: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    facts: str | None = None
    note: str = ""

    def symbol(self, coin: str) -> str:
        """The venue's own name of the perpetual; Hyperliquid's `kPEPE` is `1000PEPE` here."""
        thousand = coin.startswith("k") and coin[1:].isupper()
        return f"{'1000' + coin[1:] if thousand else coin}{self.quote}"

    @property
    def fetchable(self) -> bool:
        return self.ccxt_id is not None


PERIODS: Final = {300: "5m", 900: "15m", 1800: "30m", 3600: "1h", 7200: "2h", 14400: "4h", 86400: "1d"}
"""Bar lengths in seconds that candles, open interest and ratios share."""

VENUES: Final[Mapping[str, Venue]] = {
    venue.name: venue
    for venue in (
        Venue(
            name="binance",
            quote="USDT",
            ccxt_id="binanceusdm",
            api_host="fapi.binance.com",
            datasets=("candles", "open_interest", "funding", "ratios"),
            limits={"candles": 1000, "open_interest": 500, "funding": 1000, "ratios": 500},
            depth_days={"open_interest": 30, "ratios": 30},
            periods=PERIODS,
            kline_method="fapiPublicGetKlines",
            ratio_methods={
                LONG_SHORT_ACCOUNTS: ("fapiDataGetGlobalLongShortAccountRatio", "longShortRatio"),
                TOP_LONG_SHORT_POSITIONS: ("fapiDataGetTopLongShortPositionRatio", "longShortRatio"),
                TAKER_BUY_SELL: ("fapiDataGetTakerlongshortRatio", "buySellRatio"),
            },
            facts="binance_usdm_2026_09.csv",
            note="USDT-margined perpetuals",
        ),
        Venue(name="okx", quote="USDT", note="from files only: liqtruth feed import"),
    )
}


def venue_named(name: str) -> Venue:
    """The row of `name`; raises `UnknownChoice` listing the known venues."""
    try:
        return VENUES[name]
    except KeyError:
        raise UnknownChoice("venue", name, VENUES) from None
