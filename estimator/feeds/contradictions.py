"""Redundant columns are compared with each other: a unit that is not what its name states shows itself.

Where most rows contradict themselves the file is refused, with the unit that it seems to be in; a few such rows are
left out and counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import polars as pl

from liqtruth.estimator.frames import CANDLES, OPEN_INTEREST
from liqtruth.estimator.venues.bounds import MOST_OF_ONE, too_large
from liqtruth.heatmap.words.notes import texts
from liqtruth.storage.errors import TableRefused
from liqtruth.storage.store import Store

FEW: Final = 0.1
"""Up to this share of rows is left out, or a single one; a file with more is refused."""
BESIDE_A_BAR: Final = 0.1
"""An average price may lie so far outside its bar: amounts are rounded."""
OF_ANOTHER_TIME: Final = 0.5
"""A price that is not of the very moment may be off by so much; a wrong unit is off by more."""
NEAR_IN_TIME: Final = timedelta(days=1)
SEEMS: Final = 1.25
"""A unit is named where it would make the columns agree within this factor."""
DAY_S: Final = 86_400
TURNOVER: Final = (1e-4, 1e3)
"""Traded in a day over open interest: outside of this one of the two is in another unit."""
LIKELY_TURNOVER: Final = (0.02, 100.0)

CONTRACTS: Final = (100.0, 10.0, 1.0)
SIZES: Final = (0.001, 0.01, 0.1, 10.0, 100.0, 1000.0, 1e4)
SCALES: Final = ((1e3, "thousands"), (1e6, "millions"), (1e9, "billions"))


@dataclass(frozen=True)
class Unit:
    """A unit that a column may really be in: `ratio` is 1 where it is."""

    words: str
    ratio: pl.Expr


@dataclass(frozen=True)
class Redundancy:
    """Columns of which one follows from the others: `ratio` is between `least` and `most` where they agree."""

    columns: tuple[str, ...]
    law: str
    ratio: pl.Expr
    least: pl.Expr
    most: pl.Expr
    units: tuple[Unit, ...] = ()


def _traded() -> Redundancy:
    volume, quote, mid = pl.col("volume"), pl.col("quote_volume"), (pl.col("low") + pl.col("high")) / 2
    ratio = quote / volume / mid
    return Redundancy(
        ("volume", "quote_volume", "low", "high"),
        "quote_volume is volume times price",
        ratio,
        pl.col("low") / mid * (1 - BESIDE_A_BAR),
        pl.col("high") / mid * (1 + BESIDE_A_BAR),
        (
            *(
                Unit(
                    f"volume seems to be contracts of {size:g} USD, of a market margined in coins",
                    volume * size / quote / mid,
                )
                for size in CONTRACTS
            ),
            Unit("volume seems to be USD, like quote_volume", quote / volume),
            *(Unit(f"volume seems to be contracts of {size:g} coins", ratio / size) for size in SIZES),
        ),
    )


def _open_interest_law(off: float) -> Redundancy:
    coins, usd, price = pl.col("open_interest"), pl.col("open_interest_usd"), pl.col("at_px")
    ratio = usd / coins / price
    return Redundancy(
        ("open_interest", "open_interest_usd", "at_px"),
        "open interest in USD is open interest in coins times price",
        ratio,
        pl.lit(1 / (1 + off)),
        pl.lit(1 + off),
        (
            Unit("open_interest_usd seems to be coins, like open_interest", usd / coins),
            Unit("the two columns seem to stand under each other's name", coins / usd / price),
            *(
                Unit(f"open_interest seems to be contracts of {size:g} USD", coins * size / usd)
                for size in (100.0, 10.0)
            ),
            *(Unit(f"open_interest seems to be contracts of {size:g} coins", ratio / size) for size in SIZES),
            *(
                Unit(f"open_interest_usd seems to be in {name} of USD", ratio * scale)
                for scale, name in SCALES
            ),
        ),
    )


TAKERS: Final = Redundancy(
    ("taker_buy_sell", "taker_buy", "taker_sell"),
    "the ratio is buys over sells",
    pl.col("taker_buy") / pl.col("taker_sell") / pl.col("taker_buy_sell"),
    pl.lit(0.95),
    pl.lit(1.05),
    (
        Unit(
            "the ratio seems to be sells over buys",
            pl.col("taker_buy") / pl.col("taker_sell") * pl.col("taker_buy_sell"),
        ),
    ),
)


@dataclass(frozen=True)
class Weighed:
    """A table without its rows that contradict themselves, and remarks on it; `warnings` go into the headline."""

    table: pl.DataFrame
    remarks: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def weighed(table: pl.DataFrame, path: Path, store: Store, venue: str, coin: str) -> Weighed:
    """Compare every redundant column of a table under our names and units with the others and the stored candles.

    Raises `TableRefused` where most rows contradict themselves.
    """
    priced, off, notes = _with_price(table, store, venue, coin)
    remarks = list(notes)
    for law in (_traded(), _open_interest_law(off), TAKERS):
        if set(law.columns) <= set(priced.columns):
            priced, found = hold(priced, law, path)
            remarks += found
    _against_volume(priced, path, store, venue, coin)
    warnings = _too_much(priced)
    return Weighed(priced.drop("at_px", strict=False), tuple(remarks), warnings)


def hold(table: pl.DataFrame, law: Redundancy, path: Path) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """The rows (with `ts`) that obey the law or that it does not concern, and remarks; raises `TableRefused` for
    many."""
    judgement = table.select(
        given=law.ratio.is_not_null() & ~law.ratio.is_nan(),
        right=law.ratio.is_between(law.least, law.most).fill_null(False),
    )
    wrong = judgement["given"] & ~judgement["right"]
    count, judged = int(wrong.sum()), int(judgement["given"].sum())
    if not count:
        return table, ()
    names = ", ".join(name for name in law.columns[:2])
    if count > FEW * judged and (count > 1 or judged < 3):
        raise TableRefused(
            f"{path}: {names}: {_seeming(table.filter(wrong), law.units)} ({count} of {judged} rows contradict "
            "themselves); convert it, or leave one of them out with --columns"
        )
    first = table.filter(wrong)["ts"][0]
    return table.filter(~wrong), (
        f"{count} rows left out: {names} contradict each other ({law.law}; the first: {first:%Y-%m-%dT%H:%MZ})",
    )


def _seeming(table: pl.DataFrame, units: Sequence[Unit]) -> str:
    for unit in units:
        middle = table.select(unit.ratio.median()).item()
        if middle is not None and 1 / SEEMS < middle < SEEMS:
            return unit.words
    return "they agree in no usual unit"


# ---------------------------------------------------------------------------------------- against stored candles


def _with_price(
    table: pl.DataFrame, store: Store, venue: str, coin: str
) -> tuple[pl.DataFrame, float, tuple[str, ...]]:
    """The table with `at_px` where a price is known, how far it may be off, and that none is known."""
    given = {"open_interest", "open_interest_usd"} & set(table.columns)
    if not given:
        return table, 0.0, ()
    for name in ("price", "close"):
        if name in table.columns:
            return table.with_columns(at_px=pl.col(name)), OF_ANOTHER_TIME, ()
    bars = _stored_bars(store, table, venue, coin)
    if bars.is_empty():
        unchecked = f"no candles of {coin} are stored: its unit could not be checked"
        if len(given) == 2:
            alone = _by_itself(table)
            worth = alone["at_px"].median()
            by_it = f" (a coin would be worth {worth:.4g} USD)" if isinstance(worth, float) else ""
            return alone, OF_ANOTHER_TIME, (f"{unchecked}{by_it}",)
        return table, 0.0, (unchecked,)
    near = table.sort("ts").join_asof(
        bars.select("ts", at_px="close").sort("ts"), on="ts", strategy="nearest", tolerance=NEAR_IN_TIME
    )
    return near, OF_ANOTHER_TIME, ()


def _by_itself(table: pl.DataFrame) -> pl.DataFrame:
    """Without any price, what a coin is worth by most rows nearby."""
    implied = pl.col("open_interest_usd") / pl.col("open_interest")
    finite = pl.when(implied.is_finite()).then(implied)
    return table.with_columns(at_px=finite.rolling_median(25, center=True, min_samples=1))


def _stored_bars(store: Store, table: pl.DataFrame, venue: str, coin: str) -> pl.DataFrame:
    """Candles of the coin around the table's times: the venue's own, else another's that has some."""
    if table.is_empty():
        return pl.DataFrame(schema=dict(CANDLES))
    first, last = _span(table)
    venues = [name for name, stored in store.lake.series_coins("candles") if stored == coin]
    for name in sorted(venues, key=lambda name: name != venue):
        bars = store.lake.read_series(
            "candles", name, coin, CANDLES, first - NEAR_IN_TIME, last + NEAR_IN_TIME, damaged=[]
        )
        if not bars.is_empty():
            return bars
    return pl.DataFrame(schema=dict(CANDLES))


def _span(table: pl.DataFrame) -> tuple[datetime, datetime]:
    first, last = table["ts"].min(), table["ts"].max()
    assert isinstance(first, datetime)
    assert isinstance(last, datetime)
    return first, last


def _against_volume(table: pl.DataFrame, path: Path, store: Store, venue: str, coin: str) -> None:
    """Refuse open interest of which a day's trading, by the venue's stored candles, is an absurd share or multiple."""
    if "at_px" not in table.columns or table.is_empty():
        return
    bars = _stored_bars(store, table, venue, coin)
    day_usd = _usd_a_day(bars)
    price = table["at_px"].median()
    if day_usd is None or not isinstance(price, float):
        return
    for name, in_usd, wrong, words in (
        ("open_interest_usd", 1.0, price, "coins"),
        ("open_interest", price, 1 / price, "USD"),
    ):
        middle = table[name].median() if name in table.columns else None
        if not isinstance(middle, float) or middle <= 0:
            continue
        turnover = day_usd / (middle * in_usd)
        guesses: list[tuple[float, str]] = []
        if not TURNOVER[0] < turnover < TURNOVER[1]:
            guesses += [(wrong, words), *((scale, f"{label} of its unit") for scale, label in SCALES)]
        if name == "open_interest" and middle * in_usd > MOST_OF_ONE and turnover < LIKELY_TURNOVER[0]:
            guesses += [(size, "contracts of less than a coin") for size in SIZES if size < 1]
        for factor, unit in guesses:
            if LIKELY_TURNOVER[0] < turnover / factor < LIKELY_TURNOVER[1]:
                raise TableRefused(
                    f"{path}: column {name!r} of about {middle:.4g} seems to be {unit}: the stored candles of {venue} "
                    f"{coin} trade {day_usd:.3g} USD a day; convert it, or map it with --columns"
                )


def _usd_a_day(bars: pl.DataFrame) -> float | None:
    traded = bars.select((pl.col("volume") * pl.col("close") * DAY_S / pl.col("interval_s")).median()).item()
    return float(traded) if traded else None


def unit_warning(candles: pl.DataFrame, store: Store, venue: str, coin: str) -> tuple[str, ...]:
    """Warnings for candles beside which the stored open interest cannot be in the unit that its name states."""
    stored = store.lake.read_series("open_interest", venue, coin, OPEN_INTEREST, *_span(candles), damaged=[])
    day_usd, price = _usd_a_day(candles), candles["close"].median()
    if stored.is_empty() or day_usd is None or not isinstance(price, float):
        return ()
    usd = stored.select(pl.coalesce("open_interest_usd", pl.col("open_interest") * price).median()).item()
    if not usd:
        return ()
    if TURNOVER[0] < day_usd / usd < TURNOVER[1]:
        return texts(too_large(usd))
    return (
        f"WARNING: a day's trading is {day_usd:.3g} USD and the stored open interest {usd:.3g} USD: one of the two is "
        "in another unit",
    )


def _too_much(table: pl.DataFrame) -> tuple[str, ...]:
    """The headline's warning of open interest beyond what a market can have."""
    usd = [pl.col("open_interest_usd")] if "open_interest_usd" in table.columns else []
    if {"open_interest", "at_px"} <= set(table.columns):
        usd.append(pl.col("open_interest") * pl.col("at_px"))
    return texts(too_large(table.select(pl.max_horizontal(usd).max()).item())) if usd else ()
