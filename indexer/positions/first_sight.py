"""Since when each position has been seen: carried from one reading of its account to the next.

The exchange does not tell when a position was opened. What can be known is when it was first seen with its sign: at an
earlier reading, or, where the account was read before and did not hold it, at the reading that first showed it (it was
opened since the one before). Of a position met at the first reading of its account nothing is known: null.
"""

import polars as pl

from liqtruth.indexer.frames import PAIR, POSITION, POSITIONS


def with_first_sight(fresh: pl.DataFrame, known: pl.DataFrame, known_accounts: pl.DataFrame) -> pl.DataFrame:
    """`fresh` positions with `held_since` filled from what was `known` of the same accounts before.

    `known` is a `POSITIONS` frame, `known_accounts` has the pairs (`address`, `dex`) that had been read. Rows keep
    their order.
    """
    before = known.select(*POSITION, was_szi="szi", was_since=pl.coalesce("held_since", "as_of")).unique(
        POSITION, keep="last"
    )
    read = known_accounts.select(*PAIR).unique().with_columns(was_read=pl.lit(True))
    joined = fresh.join(before, on=POSITION, how="left", maintain_order="left").join(
        read, on=PAIR, how="left", maintain_order="left"
    )
    same = (pl.col("was_szi") * pl.col("szi") > 0).fill_null(False)
    since = (
        pl.when(same)
        .then("was_since")
        .when(pl.col("was_read").fill_null(False))
        .then("as_of")
        .otherwise("held_since")
    )
    return joined.with_columns(held_since=since).select(*POSITIONS)
