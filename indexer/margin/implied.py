"""The margin available that an account's own prices imply: one number per pool, so most of them must say the same.

The exchange holds one margin available (A - M, or K) per pool of collateral, and every cross price of the pool implies
it. What more than half of the prices, and at least two, agree on is believed; the others contradict it. A single price,
or prices of which no majority agrees, imply nothing.
"""

from collections.abc import Mapping
from typing import Final

import polars as pl

from liqtruth.indexer.margin.server_marks import unsure_usd
from liqtruth.indexer.margin.solved import (
    ISOLATED,
    MONEY_DIGITS_USD,
    PRICE_DIGITS,
    SAME_COLLATERAL,
    backed_by,
)
from liqtruth.indexer.margin.tables import MarginTables

IMPLIED: Final = ("centre_usd", "implying_prices", "is_implied", "implies_centre", "unsure_usd")


def with_implied(modelled: pl.DataFrame, tables: Mapping[str, MarginTables]) -> pl.DataFrame:
    """The frame of `with_models` with the columns `IMPLIED` about the pool of each cross position.

    `centre_usd` is the margin available by the median of the prices that agree with each other, or of all where no
    majority does; `implying_prices` how many agree with it; `is_implied` whether they are a majority, and
    `implies_centre` whether this row is one of them. The first two are null for isolated positions. `unsure_usd` is
    what the values of the pool, or of the isolated position, are not known to (`indexer.margin.server_marks`).
    """
    pool, implied = ["address", "backing", "isolated"], pl.col("row_available_usd")
    keyed = modelled.with_columns(backing=backed_by(tables), isolated=ISOLATED)
    own = keyed.with_columns(own_unsure_usd=unsure_usd())
    middle = own.with_columns(
        median_usd=implied.median().over(pool),
        unsure_usd=pl.when(ISOLATED)
        .then("own_unsure_usd")
        .otherwise(pl.col("own_unsure_usd").sum().over(pool)),
    )
    digits = MONEY_DIGITS_USD + PRICE_DIGITS * pl.col("szi").abs()
    digits += pl.col("unsure_usd")
    close = (implied - pl.col("median_usd")).abs() <= SAME_COLLATERAL * pl.col("median_usd").abs() + digits
    told = middle.with_columns(near=close.fill_null(False)).with_columns(
        agreeing=pl.col("near").sum().over(pool),
        prices=implied.count().over(pool),
        agreed_usd=pl.when("near").then(implied).median().over(pool),
    )
    majority = ~ISOLATED & (pl.col("agreeing") >= 2) & (2 * pl.col("agreeing") > pl.col("prices"))
    centre = pl.when(majority).then("agreed_usd").otherwise("median_usd")
    return told.with_columns(
        centre_usd=pl.when(~ISOLATED).then(centre),
        implying_prices=pl.when(~ISOLATED).then("agreeing").cast(pl.UInt32),
        is_implied=majority.fill_null(False),
        implies_centre=(majority & pl.col("near")).fill_null(False),
    ).select(*modelled.columns, *IMPLIED)
