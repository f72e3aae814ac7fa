"""Reads in batches as large as the node takes: halved where it refuses one, grown again where it does not.

How much gas a call may use is not documented, and nodes count it differently. A read with arguments that HyperCore does
not know burns all gas of its batch, so a refused batch is read in halves: where both go through it was too large, and
where not, the read at fault is found and costs itself alone.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liqtruth.heatmap.grid import FloatArray, IntArray
from liqtruth.indexer.evm.abi import Batch, Bytes, Once, Precompile, decoded, encoded
from liqtruth.indexer.evm.client import CallRefused, EvmClient

FIRST: Final = 200
MOST: Final = 1_000
GROWTH: Final = 8
"""A batch that went through lets the next ones be larger by one in so many, at most half way to what was refused."""
WORTH_TRYING: Final = 64
"""A refused batch costs two requests: nothing is tried for less than one in so many."""
LAG_BLOCKS: Final = 100
"""Some seconds of HyperCore: answers that were on their way at once may come in another order."""
MOST_BEHIND: Final = 4
"""A batch that comes from a node that lags is asked for so often; after that it is not read."""
MOST_REFUSED_ALONE: Final = 20
"""Reads refused one after another although each was alone: the node runs none."""


@dataclass(frozen=True)
class Answers:
    """One row per read, n. `values` are n x results, `block` is HyperCore's and `read_s` when the answer came (epoch);
    what is not in `is_read` failed and is zero. `once` is n x what was read once a batch, of the same block."""

    values: IntArray
    is_read: NDArray[np.bool_]
    block: IntArray
    read_s: FloatArray
    once: IntArray

    @classmethod
    def none_of(cls, count: int, results: int, once: int = 0) -> "Answers":
        return cls(
            np.zeros((count, results), np.int64),
            np.zeros(count, np.bool_),
            np.zeros(count, np.int64),
            np.zeros(count),
            np.zeros((count, once), np.int64),
        )

    def put(self, rows: slice, batch: Batch, now_s: float) -> None:
        self.values[rows], self.is_read[rows] = batch.values, batch.is_read
        self.block[rows], self.read_s[rows], self.once[rows] = batch.block, now_s, batch.once


@dataclass
class BatchReader:
    """Reads through one client. `size` is how many reads the next batch has, at most `most`; `refused` counts batches
    that the node did not run, `behind` those more than `LAG_BLOCKS` older than one that had come already: several
    nodes answer at that address, and one of them lags. What it says is not used: the batch is asked for again."""

    client: EvmClient
    size: int = FIRST
    most: int = MOST
    refused: int = 0
    behind: int = 0
    _newest: int = 0
    _went: int = 0
    _refused_alone: int = 0

    async def read(
        self,
        precompile: Precompile,
        arguments: Bytes,
        on_done: Callable[[int], None] = lambda done: None,
        stop: asyncio.Event | None = None,
        once: Sequence[Once] = (),
    ) -> Answers:
        """One read per row of `arguments` (n x 32 k bytes), and `once` a batch; `on_done` gets how many are through.

        No batch begins once `stop` is set: what was not read by then is not in `is_read`. Raises `SourceUnreachable`
        where the node does not answer any more.
        """
        answers, done = Answers.none_of(len(arguments), len(precompile.signed), len(once)), 0
        wanted = _Wanted(precompile, arguments, once)
        pending = self._batches(len(arguments), stop or asyncio.Event())

        async def work(batches: Iterator[slice]) -> None:
            nonlocal done
            for rows in batches:
                await self._into(answers, rows, wanted)
                done += rows.stop - rows.start
                on_done(done)

        first = next(pending, None)
        if first is not None:
            await work(iter([first]))  # alone, so that a limit is found once
        tasks = [asyncio.create_task(work(pending)) for _ in range(self.client.concurrency)]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
        return answers

    def _batches(self, count: int, stop: asyncio.Event) -> Iterator[slice]:
        """Each as large as the size is when it is asked for."""
        start = 0
        while start < count and not stop.is_set():
            end = min(start + self.size, count)
            yield slice(start, end)
            start = end

    async def _into(self, answers: Answers, rows: slice, wanted: "_Wanted") -> bool:
        """Read `rows`, in halves where they are refused; whether all of them went through."""
        count = rows.stop - rows.start
        if count > self.most:
            return await self._halves(answers, rows, wanted)
        try:
            batch = await self._not_behind(wanted, rows)
        except CallRefused:
            self.refused += 1
            if count > 1:
                return await self._halves(answers, rows, wanted)
            self._refused_alone += 1
            if self._refused_alone >= MOST_REFUSED_ALONE:
                raise
            return False
        if batch is not None:
            self._take(batch, count)
            answers.put(rows, batch, time.time())
        return True

    async def _not_behind(self, wanted: "_Wanted", rows: slice) -> Batch | None:
        """The batch as a node has it that does not lag; null where none such answers."""
        for _ in range(MOST_BEHIND):
            batch = await self.client.aggregate(wanted.encoded(rows), partial(wanted.decoded, rows))
            if batch.block >= self._newest - LAG_BLOCKS:
                return batch
            self.behind += 1
        return None

    async def _halves(self, answers: Answers, rows: slice, wanted: "_Wanted") -> bool:
        count = rows.stop - rows.start
        middle = rows.start + count // 2
        went = [
            await self._into(answers, half, wanted)
            for half in (slice(rows.start, middle), slice(middle, rows.stop))
        ]
        if all(went):
            self.most = min(self.most, count - 1)
            self.size = min(self.size, max(count // 2, self._went if self._went < count else 1))
        return all(went)

    def _take(self, batch: Batch, count: int) -> None:
        self._refused_alone = 0
        self._newest = max(self._newest, batch.block)
        self._went = max(self._went, count)
        room = self.most - self.size
        if count >= self.size and room > self.size // WORTH_TRYING:
            self.size += max(min(self.size // GROWTH, room // 2), 1)


@dataclass(frozen=True)
class _Wanted:
    """What is read, and how its batches are coded."""

    precompile: Precompile
    arguments: Bytes
    once: Sequence[Once]

    def encoded(self, rows: slice) -> bytes:
        return encoded(self.precompile.address, self.arguments[rows], self.once)

    def decoded(self, rows: slice, content: bytes) -> Batch:
        return decoded(content, rows.stop - rows.start, self.precompile.signed, len(self.once))
