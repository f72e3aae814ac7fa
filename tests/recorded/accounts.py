"""One recorded account as a frame of positions, through the door of many."""

from typing import Any

import polars as pl

from liqtruth.indexer.info.wire import ClearinghouseState
from liqtruth.indexer.positions.accounts import AccountReading, positions_frame


def positions_of(state: ClearinghouseState, **facts: Any) -> pl.DataFrame:
    """Positions of one account in one dex, not reconciled; `facts` are fields of `AccountReading`."""
    return positions_frame([AccountReading(state=state, **facts)])
