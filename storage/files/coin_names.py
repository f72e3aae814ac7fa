"""What other tools call a coin, folded into Hyperliquid's name for it: one function for every door.

`BTC-PERP`, `btc`, `BTC/USDC:USDC`, `BTCUSDT`, `BTC-USDT-SWAP` and `XBTUSD` are all BTC; `1000PEPEUSDT` is `kPEPE`, and
`PEPE` a thousandth of it. A builder dex's prefix (`xyz:TSLA`) is part of the name. What cannot be folded stays.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from liqtruth.storage.errors import TableRefused

LONGEST: Final = 64
QUOTES: Final = ("USDT", "USDC", "USD", "FDUSD", "BUSD", "TUSD", "USDE", "USDH", "USD1")
"""Of two that a name may end in the first is taken, unless the coin before the other is known: `ARBUSD`, `ETHBUSD`."""
MONIES: Final = ("EUR", "GBP", "JPY", "KRW", "TRY", "BRL", "AUD", "CHF")
SIGNS: Final = frozenset(":@#&$-_.")
"""Signs that names of real coins have beside letters and digits."""
OTHER_NAMES: Final = {"XBT": "BTC", "XDG": "DOGE"}
THOUSANDS: Final = ("PEPE", "SHIB", "BONK", "FLOKI", "LUNC", "DOGS", "NEIRO")
"""Coins that Hyperliquid trades by the thousand, under a small k; more are recognised by names like `1000SATS`."""
EXCHANGES: Final = (
    *("BINANCE", "BYBIT", "OKX", "OKEX", "BITGET", "GATE", "GATEIO", "HTX", "HUOBI", "MEXC", "BINGX"),
    *("KUCOIN", "KRAKEN", "DERIBIT", "BITMEX", "HYPERLIQUID", "COINBASE"),
)

MANY: Final = {"1000": 1.0, "10000": 10.0, "1000000": 1000.0, "1M": 1000.0}
"""Our thousands in one of a coin that is traded by so many."""
MANY_BEFORE: Final = re.compile(r"(1000000|10000|1000|1M)([A-Z]{2}[A-Z0-9]*)")
MANY_AFTER: Final = re.compile(r"([A-Z]{2}[A-Z]*?)(1000000|10000|1000)")
THOUSAND: Final = re.compile(r"k[A-Z]{2}[A-Z0-9]*")
PAIR: Final = re.compile(r"(?P<base>[^/:]+)/(?P<quote>[^/:]+)(?::(?P<settle>[^/:-]+)(?P<rest>-[^/:]+)?)?")
KRAKEN: Final = re.compile(r"(?P<kind>P[FIV]|F[FI])_(?P<rest>[A-Z0-9]+?)(?P<end>_\d{6})?")
PERPETUAL_BEFORE: Final = re.compile(r"PERP[-_](?=.+[-_])", re.IGNORECASE)
"""PERP_BTC_USDC, as Orderly and WOO write it."""
DELIVERY: Final = re.compile(r"(?P<rest>.+?)[-_](?:\d{6}|\d{8}|\d{1,2}[A-Z]{3}\d{2})")
PERPETUAL: Final = re.compile(r"(?P<rest>.+?)(?P<end>[-_.:]?PERP(?:ETUAL)?|[-_]SWAP|\.P|_[US]MCBL|_DMCBL)")
QUOTED: Final = tuple(
    re.compile(rf"(?P<base>.*[^-_/])(?P<gap>[-_/]?)(?P<quote>{quote})(?P<end>M?)") for quote in QUOTES
)


OUTCOME: Final = re.compile(r"[#+]\d+")
"""Outcome markets of HIP-4 (`#12` is traded, `+12` is held), which are no perpetuals."""


def is_outcome(name: str) -> bool:
    """Whether it is the name of an outcome market or of a holding in one."""
    return OUTCOME.fullmatch(name.strip()) is not None


@dataclass(frozen=True)
class CoinName:
    """A name as given, and what it means.

    `coin` is Hyperliquid's name with the dex's prefix, of which one of the given is `factor`: sizes are multiplied
    and prices divided by it. `quote` is empty where the name has none. `inverse` is a market margined in its coin,
    `delivery` one that ends on a day; either is another market than the coin's perpetual in dollars.
    """

    given: str
    coin: str
    factor: float = 1.0
    quote: str = ""
    inverse: bool = False
    delivery: bool = False

    @property
    def dex(self) -> str:
        """The builder dex by whose prefix the coin goes; empty for the main dex."""
        prefix, colon, _ = self.coin.partition(":")
        return prefix if colon else ""

    @property
    def is_changed(self) -> bool:
        return self.coin != self.given

    def words(self) -> str:
        """For a note: `1000PEPEUSDT is kPEPE`."""
        times = "" if self.factor == 1.0 else f"{self.factor:g} "
        return f"{self.given} is {times}{self.coin}"


def folded(name: str, known: Collection[str] = ()) -> CoinName:
    """What `name` means; `known` are the coins that there are, whose spelling and case count.

    Raises `TableRefused` for what can be no coin: nothing, `..`, signs that no coin has, and more than 64.
    """
    given = name.strip()
    spelled = {coin.upper(): coin for coin in known}
    if given in known or not given:
        return _sound(CoinName(given, given))
    prefix, colon, rest = given.partition(":")
    if colon and "/" not in prefix:
        if prefix.upper() in EXCHANGES:
            return _sound(_main(rest, given, spelled))
        inner = _market(rest, {})
        coin = f"{prefix.lower()}:{inner.coin.upper() if inner.coin.islower() else inner.coin}"
        return _sound(CoinName(given, spelled.get(coin.upper(), coin), 1.0, inner.quote))
    return _sound(_main(given, given, spelled))


def _main(name: str, given: str, spelled: dict[str, str]) -> CoinName:
    """A name without a prefix."""
    if name.upper() in spelled:
        return CoinName(given, spelled[name.upper()])
    market = _market(name, spelled)
    coin, factor = _by_the_thousand(market.coin, spelled)
    return CoinName(given, coin, factor, market.quote, market.inverse, market.delivery)


def _market(name: str, spelled: dict[str, str]) -> CoinName:
    """The base of a market's name as it is spelled there, with what the rest of the name states."""
    pair = PAIR.fullmatch(name.upper())
    if pair and pair["quote"] in (*QUOTES, *MONIES):
        inverse = pair["settle"] is not None and pair["settle"] == pair["base"]
        return CoinName(
            name, name[: len(pair["base"])], 1.0, pair["quote"], inverse, pair["rest"] is not None
        )
    if PERPETUAL_BEFORE.match(name):
        return _market(name[5:], spelled)
    if kraken := KRAKEN.fullmatch(name):
        market = _market(kraken["rest"], spelled)
        return CoinName(
            name, market.coin, 1.0, market.quote, kraken["kind"][1] == "I", kraken["kind"][0] == "F"
        )
    upper = name.upper()
    delivery = DELIVERY.fullmatch(upper)
    stem = delivery["rest"] if delivery else upper
    perpetual = PERPETUAL.fullmatch(stem)
    stem = perpetual["rest"] if perpetual else stem
    quoted = _quoted(stem, spelled)
    if quoted is None:
        inverse = perpetual is not None and perpetual["end"] == "-PERPETUAL"
        base = name[: len(stem)] if perpetual or delivery else name
        return CoinName(name, base, 1.0, "USD" if inverse else "", inverse, delivery is not None)
    in_coin = quoted["quote"] == "USD" and (
        not quoted["gap"] or perpetual is not None or delivery is not None
    )
    return CoinName(name, name[: len(quoted["base"])], 1.0, quoted["quote"], in_coin, delivery is not None)


def _quoted(stem: str, spelled: dict[str, str]) -> re.Match[str] | None:
    found = [match for pattern in QUOTED if (match := pattern.fullmatch(stem))]
    return next(
        (match for match in found if match["gap"] or match["base"] in spelled), next(iter(found), None)
    )


def _by_the_thousand(base: str, spelled: dict[str, str]) -> tuple[str, float]:
    """Hyperliquid's name of a base, and how many of its are one of the base."""
    upper = base.upper()
    if upper in spelled:
        return spelled[upper], 1.0
    if THOUSAND.fullmatch(base):
        return base, 1.0
    if upper[:1] == "K" and upper[1:] in THOUSANDS:
        return f"k{upper[1:]}", 1.0
    upper = OTHER_NAMES.get(upper, upper)
    if many := MANY_BEFORE.fullmatch(upper):
        return _of_many(many[2], many[1], spelled)
    if many := MANY_AFTER.fullmatch(upper):
        return _of_many(many[1], many[2], spelled)
    if upper in spelled:
        return spelled[upper], 1.0
    if f"K{upper}" in spelled and spelled[f"K{upper}"].startswith("k"):
        return spelled[f"K{upper}"], 1e-3
    if upper in THOUSANDS and not spelled:
        return f"k{upper}", 1e-3
    return (upper if base.islower() or upper in OTHER_NAMES.values() else base), 1.0


def _of_many(single: str, many: str, spelled: dict[str, str]) -> tuple[str, float]:
    if single in spelled and f"K{single}" not in spelled:
        return spelled[single], 1e3 * MANY[many]
    return spelled.get(f"K{single}", f"k{single}"), MANY[many]


def _sound(name: CoinName) -> CoinName:
    """Refuse what can be no coin: it becomes part of a path."""
    coin = name.coin
    bad = (
        *(
            ".." in coin,
            "/" in coin,
            coin.count(":") > 1,
            "\\" in coin,
            coin.startswith((".", "~")),
            coin.endswith((".", ":")),
        ),
        any(not letter.isalnum() and letter not in SIGNS for letter in coin),
        not any(letter.isalnum() for letter in coin),
        *(not coin, len(coin) > LONGEST, not coin.isprintable(), any(letter.isspace() for letter in coin)),
    )
    if any(bad):
        raise TableRefused(f"{name.given!r} is no coin; write it as the exchange does, e.g. BTC or xyz:TSLA")
    return name
