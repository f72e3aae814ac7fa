"""Maps asked for from vendors' documented APIs, with the user's own key, and stored as they were sent.

The key comes from the environment and goes into one header over https (plain http only to this machine). It is in no
URL, log, error, file or report; where an answer repeats it, it is struck out.
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import httpx

from liqtruth.compare.errors import VendorMapRefused
from liqtruth.compare.imported.named_files import Fetched, facts_written
from liqtruth.compare.imported.recognise import maps_of
from liqtruth.compare.imported.vendor_map import WHOLE
from liqtruth.heatmap.errors import BadInput, LiqtruthError, SourceUnreachable
from liqtruth.heatmap.writing import write_atomically
from liqtruth.storage.net.answers import ACCEPTED, whole_body
from liqtruth.storage.net.keys import STRUCK, check_private, sound_key, without_key
from liqtruth.storage.settings import PREFIX, Settings

DEADLINE_S: Final = 60.0
"""For a whole answer, however slowly it comes."""
LARGEST_ANSWER: Final = 32 * 2**20
FOLDER: Final = "vendor_maps"
"""Of the data directory."""
RANGE: Final = re.compile(r"\d{1,3}[hdwmy]")
KINDS: Final = ("heatmap", "map")
MODELS: Final = (1, 2, 3)


@dataclass(frozen=True)
class Asked:
    """Which map: of one venue, or of all together (`all`); `model` is Coinglass' number of a heatmap."""

    coin: str
    venue: str = WHOLE
    kind: str | None = None
    range: str | None = None
    model: int = 1
    symbol: str | None = None

    def pair(self, by_swap: bool = False) -> str:
        """The market's name at its venue, as vendors know it."""
        base = f"1000{self.coin[1:]}" if re.fullmatch(r"k[A-Z]{2}\w*", self.coin) else self.coin
        name = f"{base}-USDT-SWAP" if by_swap and self.venue == "okx" else f"{base}USDT"
        return self.symbol or name


@dataclass(frozen=True)
class Vendor:
    """Where a vendor answers, the header of its key, and the request for a map: path and parameters."""

    base_url: str
    header: str
    kind: str
    ranges: Mapping[str, tuple[str, ...]]
    venues: Mapping[str, str]
    request: "Callable[[Vendor, Asked], tuple[str, dict[str, str]]]"

    def venue(self, name: str) -> str:
        return self.venues.get(name, name[:1].upper() + name[1:])


def _coinglass(vendor: Vendor, asked: Asked) -> tuple[str, dict[str, str]]:
    """API v4, "liquidation heatmap" and "liquidation map", of a pair or aggregated."""
    heatmap = asked.kind == "heatmap"
    range_ = asked.range or ("3d" if heatmap else "1d")
    name = f"heatmap/model{asked.model}" if heatmap else "map"
    if asked.venue == WHOLE:
        aggregated = name.replace("heatmap", "aggregated-heatmap") if heatmap else "aggregated-map"
        return f"/api/futures/liquidation/{aggregated}", {
            "symbol": asked.symbol or asked.coin,
            "range": range_,
        }
    parameters = {"exchange": vendor.venue(asked.venue), "symbol": asked.pair(by_swap=True), "range": range_}
    return f"/api/futures/liquidation/{name}", parameters


def _coinank(vendor: Vendor, asked: Asked) -> tuple[str, dict[str, str]]:
    """`getAggLiqMap`, `getLiqMap`, `getLiqHeatMap`; one parameter more, and they answer nothing."""
    interval = asked.range or "1d"
    if asked.kind == "map" and asked.venue == WHOLE:
        return "/api/liqMap/getAggLiqMap", {"baseCoin": asked.symbol or asked.coin, "interval": interval}
    if asked.venue == WHOLE:
        raise BadInput("coinank has heatmaps of one venue: name it with --venue binance")
    name = "getLiqHeatMap" if asked.kind == "heatmap" else "getLiqMap"
    parameters = {"exchange": vendor.venue(asked.venue), "symbol": asked.pair(), "interval": interval}
    return f"/api/liqMap/{name}", parameters


VENDORS: Final[Mapping[str, Vendor]] = {
    "coinglass": Vendor(
        "https://open-api-v4.coinglass.com",
        "CG-API-KEY",
        "heatmap",
        {"heatmap": ("12h", "24h", "3d", "7d", "30d", "90d", "180d", "1y"), "map": ("1d", "7d", "30d")},
        {"okx": "OKX", "htx": "HTX", "bingx": "BingX", "bitmex": "BitMEX"},
        _coinglass,
    ),
    "coinank": Vendor(
        "https://open-api.coinank.com", "apikey", "map", {}, {"okx": "Okex", "htx": "Huobi"}, _coinank
    ),
}


def fetch_map(settings: Settings, vendor: str, asked: Asked, base_url: str | None = None) -> Path:
    """Ask for a map and store the answer as it came, with its facts beside it; gives the file.

    Raises `BadInput` where the key is not set or the question cannot be asked, `VendorMapRefused` where the vendor
    refuses, `SourceUnreachable` where it does not answer.
    """
    if vendor not in VENDORS:
        raise BadInput(f"vendor must be {' or '.join(VENDORS)}, got {vendor!r}")
    known = VENDORS[vendor]
    asked = _checked(known, asked)
    url = base_url or known.base_url
    shown = check_private(url, "--base-url")
    key = _key(settings, vendor)
    path, parameters = known.request(known, asked)
    headers = {**ACCEPTED, known.header: key}
    body = asyncio.run(
        _get(url.rstrip("/") + path, parameters, headers, f"{vendor} at {shown}", settings.request_timeout_s)
    )
    content = body.replace(key.encode(), STRUCK.encode())
    try:
        maps_of(content, Path(f"{vendor} {path}"))
    except LiqtruthError as error:
        raise VendorMapRefused(without_key(str(error), key)) from None
    at = datetime.now(UTC)
    name = f"{vendor}-{asked.coin}-{asked.venue}-{asked.kind}-{at:%Y%m%dT%H%M%SZ}.json".replace(":", "_")
    file = settings.data_dir / FOLDER / name
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, content.decode())
    request = f"{path}?{'&'.join(f'{name}={value}' for name, value in parameters.items())}"
    facts_written(file, Fetched(vendor, asked.coin, asked.venue, at, request))
    return file


def _checked(vendor: Vendor, asked: Asked) -> Asked:
    kind = asked.kind or vendor.kind
    if kind not in KINDS:
        raise BadInput(f"the kind of map must be {' or '.join(KINDS)}, got {kind!r}: --kind")
    if asked.model not in MODELS:
        raise BadInput(f"the heatmap's model must be 1, 2 or 3, got {asked.model}: --model")
    ranges = vendor.ranges.get(kind, ())
    if asked.range is not None and (
        not RANGE.fullmatch(asked.range) or (ranges and asked.range not in ranges)
    ):
        offered = ", ".join(ranges) or "a length such as 1d"
        raise BadInput(f"the range must be {offered}, got {asked.range!r}: --range")
    return Asked(asked.coin, asked.venue.lower(), kind, asked.range, asked.model, asked.symbol)


def _key(settings: Settings, vendor: str) -> str:
    secret = {"coinglass": settings.coinglass_key, "coinank": settings.coinank_key}[vendor]
    return sound_key(secret, f"{PREFIX}{vendor.upper()}_KEY", vendor)


async def _get(
    url: str, parameters: Mapping[str, str], headers: Mapping[str, str], shown: str, timeout_s: float
) -> bytes:
    """One answer, without following to another host, which would be sent the key too."""
    try:
        async with (
            asyncio.timeout(DEADLINE_S),
            httpx.AsyncClient(timeout=timeout_s, headers=dict(headers), follow_redirects=False) as http,
            http.stream("GET", url, params=dict(parameters)) as response,
        ):
            _check_status(response.status_code, shown)
            return await whole_body(response, shown, LARGEST_ANSWER)
    except TimeoutError:
        raise SourceUnreachable(f"{shown}: no whole answer within {DEADLINE_S:g} s") from None
    except httpx.TimeoutException:
        raise SourceUnreachable(f"{shown}: no answer within {timeout_s:g} s") from None
    except httpx.RequestError as error:
        raise SourceUnreachable(f"{shown}: {type(error).__name__}, is the address right?") from None


def _check_status(status: int, shown: str) -> None:
    if status in (401, 403):
        raise VendorMapRefused(f"{shown}: HTTP {status}, the key is refused or its plan has no such map")
    if status == 429:
        raise SourceUnreachable(f"{shown}: HTTP 429, too many requests: try again in a minute")
    if 400 <= status < 500:
        raise VendorMapRefused(
            f"{shown}: HTTP {status}, the vendor has no such map: see --kind, --venue, --range"
        )
    if status != 200:
        raise SourceUnreachable(f"{shown}: HTTP {status}")
