"""Rows that would replace stored ones are compared with them before anything is written.

A file of another market or unit shows itself where it differs materially from what is stored; a few such rows, and
stored zeros and blanks that get a value, are corrections.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import polars as pl

from liqtruth.estimator.feeds.contradictions import FEW
from liqtruth.estimator.frames import DATASETS
from liqtruth.storage.errors import TableRefused
from liqtruth.storage.store import Store

PRICES: Final = ("open", "high", "low", "close")
OTHER_PRICE: Final = 0.05
OTHER_AMOUNT: Final = 0.2
"""Shares by which two accounts of one price or amount differ materially: feeds of one market differ by less."""
COMPARED: Final = ("candles", "open_interest", "funding", "ratios")
REPLACE: Final = "--replace"


def replaced(
    frames: Mapping[str, pl.DataFrame], store: Store, venue: str, coin: str, path: Path, replace: bool
) -> tuple[str, ...]:
    """Remarks on rows that differ materially from the stored ones of their time.

    Raises `TableRefused` where they are many and `replace` does not mark them as a correction.
    """
    remarks = []
    for dataset in COMPARED:
        if dataset not in frames:
            continue
        both = _both(frames[dataset], store, dataset, venue, coin)
        wrong = both.filter(pl.col("column").is_not_null())
        if wrong.height > max(1, FEW * both.height) and not replace:
            name = wrong["column"][0]
            raise TableRefused(
                f"{path}: {wrong.height} of {both.height} rows differ from the stored {dataset} of {venue} {coin} (at "
                f"{wrong['ts'][0]:%Y-%m-%dT%H:%MZ} {name} is {wrong[name][0]:.6g}, stored {wrong[_old(name)][0]:.6g}): "
                f"another market or unit? if this corrects them, give {REPLACE}"
            )
        if wrong.height:
            remarks.append(f"{dataset}: {wrong.height} stored rows that differ materially are replaced")
    return tuple(remarks)


def _old(name: str) -> str:
    return f"{name}_stored"


def _both(frame: pl.DataFrame, store: Store, dataset: str, venue: str, coin: str) -> pl.DataFrame:
    """Rows that are stored already, with the stored values and the first `column` that differs, null where none."""
    kind = DATASETS[dataset]
    span = (frame["ts"].min(), frame["ts"].max())
    stored = store.lake.read_series(dataset, venue, coin, kind.schema, *span, damaged=[])  # type: ignore[arg-type]
    both = frame.join(stored, on=list(kind.key), suffix="_stored")
    names = [name for name, dtype in kind.schema.items() if dtype == pl.Float64() and name not in kind.key]
    return both.with_columns(column=pl.coalesce(_named_if_other(name) for name in names))


def _named_if_other(name: str) -> pl.Expr:
    new, old = pl.col(name), pl.col(_old(name))
    most = OTHER_PRICE if name in PRICES else OTHER_AMOUNT
    differs = (new - old).abs() > most * pl.max_horizontal(new.abs(), old.abs())
    return pl.when(differs & (old != 0)).then(pl.lit(name))
