"""Tables of aggregates that are recognised by their columns, the units that each is known to be in, and their series.

Units are a property of a layout, never guessed from magnitudes: a layout states which of its columns is USD, coins,
billions or percent, and a magnitude is only checked against that.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import polars as pl

from liqtruth.estimator.errors import UnknownChoice
from liqtruth.estimator.frames import (
    LONG_SHORT_ACCOUNTS,
    RATIO_KINDS,
    TAKER_BUY_SELL,
    TOP_LONG_SHORT_POSITIONS,
    conform,
)
from liqtruth.storage.errors import TableRefused
from liqtruth.storage.files.tabular import (
    Layout,
    recognise,
    shortened,
)

PRICE: Final = "price"
TAKER_BUY: Final = "taker_buy"
TAKER_SELL: Final = "taker_sell"
TIME: Final = "ts"
COINS_OR_USD: Final = "oi"
"""Coins in some exports of OKX, USD in others: the values decide (`estimator.feeds.imports`)."""
PRICES: Final = ("open", "high", "low", "close")
VOLUMES: Final = ("volume", "taker_buy_volume")
HOLDINGS: Final = ("open_interest", "open_interest_usd")
QUOTE_VOLUME: Final = "quote_volume"
OURS: Final = (
    *(TIME, *PRICES, *VOLUMES, QUOTE_VOLUME, PRICE, *HOLDINGS, "rate", *RATIO_KINDS, TAKER_BUY, TAKER_SELL),
)
"""Names that `--columns` maps to. Volumes and `open_interest` are coins, `rate` a fraction, `price` a sample, and
`quote_volume` USD: it is not kept, but compared with the volume."""
NAMES: Final = ("dt", "symbol", "coin", "exchange", "source")
OURS_SHOWN: Final = (TIME, PRICE, *PRICES, "volume", HOLDINGS[0], "rate")
"""Those that most tables need."""
QUOTE_VOLUMES: Final = (
    *(
        QUOTE_VOLUME,
        "quoteVolume",
        "quote_asset_volume",
        "turnover",
        "volume_usd",
        "volumeUsd",
        "Volume USDT",
        "volCcyQuote",
        "quoteVol",
        "turnoverUsd",
        "Volume USD",
        "volume_quote",
        "trade_turnover",
    ),
)
"""What other tables call it."""
KLINES: Final = (
    *("open_time", *PRICES, "volume", "close_time", QUOTE_VOLUME, "count", "taker_buy_volume"),
    *("taker_buy_quote_volume", "ignore"),
)
HEADLESS: Final[Mapping[int, tuple[str, ...]]] = {
    6: (TIME, *PRICES, "volume"),
    7: (TIME, *PRICES, "volume", QUOTE_VOLUME),
    9: (TIME, *PRICES, "contracts", "volume", QUOTE_VOLUME, "confirm"),
    12: KLINES,
}
"""Bars whose file or answer has no names, by their width: ccxt, Bybit, OKX, Binance."""
BILLION: Final = 1e9
LARGEST_BILLIONS: Final = 1000.0


@dataclass(frozen=True)
class FeedLayout:
    """A `storage.files.tabular.Layout` and what its columns mean.

    `scale` turns a column (by our name) into our unit; `below` bounds its raw values, so that a file in another
    unit is refused; `alone` means that no column but names may stand beside; `remarks` are shown on import.
    """

    table: Layout
    scale: Mapping[str, float] = field(default_factory=dict)
    below: Mapping[str, float] = field(default_factory=dict)
    marker: str | None = None
    alone: bool = False
    remarks: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.table.name


SAMPLES_NOTE: Final = (
    "bars made from price samples: from the sample before to this one, high and low of these two, no volume"
)
LAYOUTS: Final = (
    FeedLayout(
        Layout(
            "hourly aggregates with a source (oi in billion USD, funding in percent)",
            "aggregates",
            {TIME: "ts", PRICE: "price", "open_interest_usd": "oi", "rate": "funding"},
        ),
        scale={"open_interest_usd": BILLION, "rate": 0.01},
        below={"open_interest_usd": LARGEST_BILLIONS},
        marker="source",
    ),
    FeedLayout(
        Layout(
            "candles (volume in coins)",
            "candles",
            {TIME: "ts", **{name: name for name in PRICES}},
            {name: name for name in VOLUMES},
        )
    ),
    FeedLayout(
        Layout(
            "candles (baseVolume in coins)",
            "candles",
            {TIME: "ts", **{name: name for name in PRICES}, "volume": "baseVolume"},
        )
    ),
    FeedLayout(
        Layout(
            "Binance archive of klines",
            "candles",
            {TIME: "open_time", **{name: name for name in (*PRICES, *VOLUMES)}},
        )
    ),
    FeedLayout(
        Layout(
            "Binance archive of metrics",
            "metrics",
            {
                TIME: "create_time",
                "open_interest": "sum_open_interest",
                "open_interest_usd": "sum_open_interest_value",
            },
            {
                LONG_SHORT_ACCOUNTS: "count_long_short_ratio",
                TOP_LONG_SHORT_POSITIONS: "sum_toptrader_long_short_ratio",
                TAKER_BUY_SELL: "sum_taker_long_short_vol_ratio",
            },
        )
    ),
    FeedLayout(
        Layout(
            "OKX open interest",
            "open_interest",
            {TIME: "ts", COINS_OR_USD: "oi", "open_interest_usd": "oi_value"},
        ),
    ),
    FeedLayout(
        Layout(
            "open interest",
            "open_interest",
            {TIME: "ts", "open_interest": "open_interest"},
            {HOLDINGS[1]: HOLDINGS[1]},
        )
    ),
    FeedLayout(Layout("price samples", "candles", {TIME: "ts", PRICE: PRICE}), alone=True),
    FeedLayout(Layout("open interest (USD)", "open_interest", {TIME: "ts", HOLDINGS[1]: HOLDINGS[1]})),
    FeedLayout(
        Layout("OKX taker volume (USD)", "ratios", {TIME: "ts", TAKER_SELL: "sellVol", TAKER_BUY: "buyVol"}),
        remarks=(
            "taker volume covers all contracts of the coin: kept as buys over sells, not as candle volume",
        ),
    ),
    FeedLayout(
        Layout(
            "Binance answer of openInterestHist",
            "open_interest",
            {TIME: "timestamp", HOLDINGS[0]: "sumOpenInterest", HOLDINGS[1]: "sumOpenInterestValue"},
        )
    ),
    FeedLayout(
        Layout("Binance answer of fundingRate", "funding", {TIME: "fundingTime", "rate": "fundingRate"})
    ),
    FeedLayout(
        Layout(
            "Binance answer of takerlongshortRatio",
            "ratios",
            {TIME: "timestamp", TAKER_BUY_SELL: "buySellRatio"},
            {TAKER_BUY: "buyVol", TAKER_SELL: "sellVol"},
        )
    ),
    FeedLayout(Layout("OKX funding (fraction)", "funding", {TIME: "ts", "rate": "fundingRate"})),
    FeedLayout(Layout("funding (fraction)", "funding", {TIME: "ts", "rate": "rate"})),
    FeedLayout(
        Layout("OKX long/short ratio", "ratios", {TIME: "ts", LONG_SHORT_ACCOUNTS: "ratio"}),
        remarks=("the ratio is read as accounts net long over accounts net short",),
    ),
)


def layout_of(header: Sequence[str], columns: Mapping[str, str] | None) -> FeedLayout | None:
    """The layout of a table: the given mapping, else the best known one; null where none fits.

    Raises `UnknownChoice` for a mapping to a name that is not ours.
    """
    if columns:
        return FeedLayout(Layout("columns as given", "given", dict(checked(columns))))
    fitting = {
        layout.name: layout
        for layout in LAYOUTS
        if (layout.marker is None or layout.marker in header)
        and not (layout.alone and set(header) - {*layout.table.columns.values(), *NAMES})
    }
    found = recognise(header, [layout.table for layout in fitting.values()])
    return None if found is None else fitting[found.name]


def mapping_of(layout: FeedLayout, header: Sequence[str], given: bool) -> dict[str, str]:
    """Ours -> theirs, with what else the table has on the volume unless the mapping was `given`."""
    mapping = layout.table.mapping(header)
    again = next((name for name in QUOTE_VOLUMES if name in header), None)
    if not given and again is not None and {"volume", *PRICES} <= set(mapping):
        mapping.setdefault(QUOTE_VOLUME, again)
    return mapping


def named_by_structure(table: pl.DataFrame) -> pl.DataFrame | None:
    """A table without a header under the names that its structure implies, those of bars; null where it implies none.

    Every row must have a high that is above and a low that is below its open and close.
    """
    names = HEADLESS.get(table.width)
    if names is None or table.is_empty():
        return None
    named = table.rename(dict(zip(table.columns, names, strict=True)))
    prices = named.select(pl.col(name).cast(pl.Float64, strict=False) for name in PRICES)
    top, bottom = pl.max_horizontal("open", "close"), pl.min_horizontal("open", "close")
    is_bar = prices.select(
        ((pl.col("high") >= top) & (pl.col("low") <= bottom)).fill_null(False).all()
    ).item()
    return named if is_bar else None


def checked(columns: Mapping[str, str]) -> Mapping[str, str]:
    """The mapping, `ts` filled in; raises `UnknownChoice` for a name on the left that is not ours."""
    for ours in columns:
        if ours not in OURS:
            raise UnknownChoice("column of ours", ours, OURS)
    return {TIME: TIME, **columns}


def series_in(table: pl.DataFrame, path: Path) -> dict[str, pl.DataFrame]:
    """Every series that a table under our names holds, as stored frames; raises `TableRefused` where there is none."""
    has = set(table.columns)
    made = {dataset: conform(make(table), dataset) for dataset, wanted, make in MAKERS if wanted(has)}
    frames = {dataset: frame for dataset, frame in made.items() if not frame.is_empty()}
    if not frames:
        raise TableRefused(
            f"{path}: the columns {shortened(table.columns)} hold no series: candles need open, high, low and close "
            "(or price), open interest open_interest or open_interest_usd, funding rate"
        )
    return frames


def candles_from_bars(table: pl.DataFrame) -> pl.DataFrame:
    """Bars as given; their length is the usual distance of their times."""
    steps_s = table[TIME].diff().dt.total_seconds().drop_nulls()
    usual = steps_s.mode().min()
    return table.with_columns(interval_s=pl.lit(usual, pl.Int64))


def candles_from_samples(table: pl.DataFrame) -> pl.DataFrame:
    """One bar between each two neighbouring price samples: it starts at the earlier one, and knows only these two."""
    before = pl.col(PRICE).shift(1)
    return table.select(
        ts=pl.col(TIME).shift(1),
        interval_s=(pl.col(TIME) - pl.col(TIME).shift(1)).dt.total_seconds(),
        open=before,
        high=pl.max_horizontal(before, PRICE),
        low=pl.min_horizontal(before, PRICE),
        close=pl.col(PRICE),
    )[1:]


def ratios_long(table: pl.DataFrame) -> pl.DataFrame:
    """One row per time and kind; taker volumes become buys over sells where the ratio is not given."""
    if {TAKER_BUY, TAKER_SELL} <= set(table.columns) and TAKER_BUY_SELL not in table.columns:
        table = table.with_columns((pl.col(TAKER_BUY) / pl.col(TAKER_SELL)).alias(TAKER_BUY_SELL))
    kinds = [kind for kind in RATIO_KINDS if kind in table.columns]
    long = table.unpivot(kinds, index=TIME, variable_name="kind", value_name="ratio")
    return long.filter(pl.col("ratio").is_finite()).sort(TIME, "kind")


Maker = tuple[str, Callable[[set[str]], bool], Callable[[pl.DataFrame], pl.DataFrame]]
MAKERS: Final[tuple[Maker, ...]] = (
    ("candles", lambda has: set(PRICES) <= has, candles_from_bars),
    ("candles", lambda has: PRICE in has and not set(PRICES) <= has, candles_from_samples),
    ("open_interest", lambda has: bool(set(HOLDINGS) & has), lambda table: table),
    ("funding", lambda has: "rate" in has, lambda table: table),
    (
        "ratios",
        lambda has: bool(set(RATIO_KINDS) & has) or {TAKER_BUY, TAKER_SELL} <= has,
        ratios_long,
    ),
)
