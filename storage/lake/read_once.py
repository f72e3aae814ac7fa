"""A lake as one command reads it: what it has looked up and read is handed on, and nothing is opened twice."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import polars as pl

from liqtruth.storage.database.records import Partition
from liqtruth.storage.lake.lake import Lake
from liqtruth.storage.lake.listed_files import Coins
from liqtruth.storage.lake.manifest import Series

Key = tuple[str, Coins, tuple[str, ...]]
"""A file, the coins that were read of it, and of an archive the readings."""
MOST_BYTES: Final = 1 << 29
"""Of frames that are kept: a long history of readings goes through, the latest used stay."""


class Kept:
    """Frames by `Key`, those used last, of at most `MOST_BYTES` together or a single larger one."""

    def __init__(self) -> None:
        self._frames: OrderedDict[Key, pl.DataFrame] = OrderedDict()
        self._bytes = 0.0

    def get(self, key: Key) -> pl.DataFrame | None:
        if key in self._frames:
            self._frames.move_to_end(key)
        return self._frames.get(key)

    def put(self, key: Key, frame: pl.DataFrame) -> None:
        self._frames[key] = frame
        self._bytes += frame.estimated_size()
        while self._bytes > MOST_BYTES and len(self._frames) > 1:
            _, oldest = self._frames.popitem(last=False)
            self._bytes -= oldest.estimated_size()


@dataclass(frozen=True)
class ReadOnce(Lake):
    """A lake as one command reads it: each series is looked up once and each of its files opened once.

    What it has read stays as it was then; made for one command, never for one that writes.
    """

    listed: dict[Series, list[Partition]] = field(default_factory=dict, compare=False)
    coins: dict[str, list[tuple[str, str]]] = field(default_factory=dict, compare=False)
    kept: Kept = field(default_factory=Kept, compare=False)

    def series_coins(self, dataset: str) -> list[tuple[str, str]]:
        if dataset not in self.coins:
            self.coins[dataset] = super().series_coins(dataset)
        return self.coins[dataset]

    def _listed(
        self, series: Series, start: datetime | None = None, end: datetime | None = None, anew: bool = False
    ) -> list[Partition]:
        if anew or series not in self.listed:
            self.listed[series] = super()._listed(series)
        return [
            row
            for row in self.listed[series]
            if (start is None or row.last_at >= start) and (end is None or row.first_at <= end)
        ]

    def _read_together(self, by_file: Mapping[str, Partition]) -> dict[str, pl.DataFrame]:
        found = {file: frame for file in by_file if (frame := self.kept.get((file, None, ()))) is not None}
        more = super()._read_together({file: row for file, row in by_file.items() if file not in found})
        for file, frame in more.items():
            self.kept.put((file, None, ()), frame)
        return found | more

    def _read_file(
        self,
        file: str,
        row: Partition,
        coins: Coins,
        reading_ids: tuple[str, ...],
        columns: tuple[str, ...] | None,
    ) -> pl.DataFrame:
        """All columns, whoever asks first: others of the same command want others."""
        key = (file, coins, reading_ids if row.archive is not None else ())
        frame = self.kept.get(key)
        if frame is None:
            frame = super()._read_file(file, row, coins, reading_ids, None)
            self.kept.put(key, frame)
        return frame
