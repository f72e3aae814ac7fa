"""What a venue answers, as the estimator's frames in coins and USD; an answer of another shape raises `Malformed`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import polars as pl

from liqtruth.estimator.frames import TAKER_BUY_SELL, UTC_MS, conform
from liqtruth.estimator.venues.bounds import shown
from liqtruth.estimator.venues.exchange import Rows
from liqtruth.estimator.venues.spec import USD, Call, Contract
from liqtruth.estimator.venues.transport import UNREADABLE, UNREADABLE_MS, Malformed
from liqtruth.heatmap.errors import ROWS, LeftOut

OHLCV: Final[Mapping[str, int]] = {"ts": 0, "open": 1, "high": 2, "low": 3, "close": 4, "volume": 5}
"""Places in one of ccxt's unified candles."""

OPEN_INTEREST: Final = {"ts": "timestamp", "amount": "openInterestAmount", "value": "openInterestValue"}
FUNDING: Final = {"ts": "timestamp", "rate": "fundingRate"}
TIERS: Final = {
    "least": "minNotional",
    "most": "maxNotional",
    "maintenance_margin_rate": "maintenanceMarginRate",
    "max_leverage": "maxLeverage",
}
"""Keys of ccxt's unified rows."""

MAY_BE_NULL: Final = ("volume", "amount", "value", "most", "max_leverage", "ordered", "left")
AS_TEXT: Final = ("id", "side")
LONGEST_TEXT: Final = 200


def table_of(
    rows: Rows, fields: Mapping[str, Any], in_seconds: bool = False, left_out: LeftOut | None = None
) -> pl.DataFrame:
    """Our columns out of raw rows: numbers, except for `AS_TEXT`; `ts` in UTC where it is among them.

    A row that cannot be read is counted in `left_out`; raises `Malformed` where no row can.
    """
    missed = LeftOut()
    rows_read = [
        rows_read
        for row in rows
        if (rows_read := _row(row, fields, 1000 if in_seconds else 1, missed)) is not None
    ]
    if rows and not rows_read:
        raise Malformed(next(iter(missed.describe(ROWS))))
    if left_out is not None:
        left_out.take(missed)
    columns = zip(*rows_read, strict=True) if rows_read else [()] * len(fields)
    frame = pl.DataFrame(dict(zip(fields, columns, strict=True)), _types(fields), strict=True)
    return frame.with_columns(pl.col("ts").cast(UTC_MS)) if "ts" in fields else frame


def _types(fields: Mapping[str, Any]) -> dict[str, type[pl.DataType]]:
    kinds: dict[str, type[pl.DataType]] = {"ts": pl.Int64, **dict.fromkeys(AS_TEXT, pl.String)}
    return {ours: kinds.get(ours, pl.Float64) for ours in fields}


def _row(row: Any, fields: Mapping[str, Any], to_ms: int, missed: LeftOut) -> list[Any] | None:
    """The values of one row, its time in whole milliseconds; null where one of them cannot be read."""
    values, ours = [], ""
    try:
        for ours, theirs in fields.items():
            value = _value(row, ours, theirs)
            values.append(_whole_ms(value * to_ms) if ours == "ts" else value)
    except UNREADABLE as error:
        missed.note(f"a row whose {ours} cannot be read ({type(error).__name__})", shown(row))
        return None
    return values


def _whole_ms(ms: float) -> int:
    if not abs(ms) < UNREADABLE_MS:
        raise ValueError("no time")
    return round(ms)


def _value(row: Any, ours: str, theirs: Any) -> Any:
    if isinstance(theirs, tuple):
        over, under = (number(row[key]) for key in theirs)
        return over / under if under else None
    if ours in AS_TEXT:
        return text_of(row[theirs])
    if ours in MAY_BE_NULL:
        known = row.get(theirs) if isinstance(row, dict) else (row[theirs] if theirs < len(row) else None)
        return None if known is None or known == "" else number(known)
    return number(row[theirs])


def text_of(raw: Any) -> str:
    """A name or number as text; anything else is empty."""
    if isinstance(raw, bool) or not isinstance(raw, str | int | float):
        raise TypeError("no text")
    text = str(raw)
    if not text or len(text) > LONGEST_TEXT or not text.isprintable():
        raise ValueError("no text")
    return text


def number(raw: Any) -> float:
    """A number as venues write it, also as text; truth values and what Python alone calls a number are refused."""
    if isinstance(raw, bool) or (isinstance(raw, str) and not (raw.isascii() and "_" not in raw)):
        raise TypeError("no number")
    return float(raw)


def rows_at(answer: Any, way: Sequence[str | int]) -> Rows:
    """The list at the end of the way into an answer; one object there is a list of one."""
    found = answer
    for key in way:
        try:
            found = found[key]
        except (LookupError, TypeError):
            raise Malformed(f"no {key!r}") from None
    if isinstance(found, dict):
        return [found]
    if not isinstance(found, list):
        raise Malformed("no list")
    return found


def unified(
    fields: Mapping[str, Any], left_out: LeftOut | None = None, **known: Any
) -> Callable[[Any], pl.DataFrame]:
    """Reads ccxt's unified rows, or its one; what is `known` stands in where a row has null."""

    def read(answer: Any) -> pl.DataFrame:
        rows = [_completed(row, known) for row in rows_at(answer, ())] if known else rows_at(answer, ())
        return table_of(rows, fields, left_out=left_out)

    return read


def _completed(row: Any, known: Mapping[str, Any]) -> Any:
    if not isinstance(row, dict):
        return row
    return {**row, **{name: value for name, value in known.items() if row.get(name) is None}}


def called(answer: Any, call: Call, left_out: LeftOut | None = None) -> pl.DataFrame:
    """The rows of a raw call as `call.fields` names them."""
    return table_of(rows_at(answer, call.rows), call.fields, call.in_seconds, left_out)


def candles_of(raw: pl.DataFrame, contract: Contract, unit: str, step_s: int, dataset: str) -> pl.DataFrame:
    """`raw` has ts, open, high, low, close, and may have volume and taker_buy_volume in `unit`."""
    prices = [contract.px(pl.col(name)).alias(name) for name in ("open", "high", "low", "close")]
    volumes = [
        contract.coins(pl.col(name), unit, pl.col("close")).alias(name)
        for name in ("volume", "taker_buy_volume")
        if name in raw.columns
    ]
    priced = raw.with_columns(prices, interval_s=pl.lit(step_s))
    return conform(priced.with_columns(volumes), dataset)


def open_interest_of(raw: pl.DataFrame, contract: Contract, unit: str) -> pl.DataFrame:
    """`raw` has ts, amount in `unit`, and may have the venue's own value in USD. Coins stay null where the venue
    reports money only: at which price it was converted is unknown."""
    value = pl.col("value") if "value" in raw.columns else pl.lit(None, pl.Float64)
    amount, no_px = pl.col("amount"), pl.lit(None, pl.Float64)
    if contract.is_money(unit):
        usd = pl.coalesce(value, contract.usd(amount, unit, no_px))
        return conform(raw.with_columns(open_interest_usd=usd), "open_interest")
    return conform(
        raw.with_columns(open_interest=contract.coins(amount, unit, no_px), open_interest_usd=value),
        "open_interest",
    )


def funding_of(raw: pl.DataFrame) -> pl.DataFrame:
    """`raw` has ts and rate per interval."""
    return conform(raw, "funding")


def ratios_of(raw: pl.DataFrame, kind: str) -> pl.DataFrame:
    """`raw` has ts and ratio. Without a seller there is no ratio; a zero is one of takers alone: a market has longs, so
    elsewhere it is how venues write that they do not know."""
    known = raw.filter(pl.col("ratio").is_not_null(), (pl.col("ratio") != 0) | (kind == TAKER_BUY_SELL))
    return conform(known.with_columns(kind=pl.lit(kind)), "ratios")


def liquidations_of(raw: pl.DataFrame, contract: Contract, unit: str) -> pl.DataFrame:
    """`raw` has ts, px, and either amount and side, or the position's `signed` size with the part `ordered` (null: all)
    and what was `left` of the order. A position closed in steps is reported whole at every step."""
    if "signed" in raw.columns:
        ordered = pl.coalesce("ordered", "signed").abs()
        raw = raw.with_columns(
            amount=ordered - pl.col("left").abs().fill_null(0.0),
            side=pl.when(pl.col("signed") > 0).then(pl.lit("long")).otherwise(pl.lit("short")),
        )
    px = contract.px(pl.col("px"))
    table = raw.with_columns(
        px=px,
        coins=contract.coins(pl.col("amount"), unit, px),
        notional_usd=contract.usd(pl.col("amount"), unit, px),
    )
    return conform(_identified(table), "liquidations")


def _identified(table: pl.DataFrame) -> pl.DataFrame:
    """With an `id`: the venue's own, else made of the values and, among equals, of their order."""
    if "id" in table.columns:
        return table
    values = ("ts", "side", "px", "coins")
    ordinal = pl.int_range(pl.len()).over(*values)
    made = pl.format("{}/{}/{}/{}", "side", "px", "coins", ordinal)
    return table.with_columns(id=made)


def tiers_of(raw: pl.DataFrame, contract: Contract, unit: str, px: float, now: Any) -> pl.DataFrame:
    """`raw` as `TIERS`; bounds in coins or contracts become USD at `px`, the price of the reading."""
    at = pl.lit(px)
    whole = raw.with_columns(
        ts=pl.lit(now),
        min_notional_usd=contract.usd(pl.col("least"), unit, at),
        max_notional_usd=contract.usd(pl.col("most"), unit, at),
    )
    return conform(whole, "tiers")


def needs_price(contract: Contract, unit: str) -> bool:
    """Whether an amount of this unit is only money at a price."""
    return unit != USD and not contract.is_money(unit)
