"""Who is read next while sizes come."""

import asyncio

import polars as pl

from liqtruth.indexer.evm.sizing import FIRST_TOGETHER, TOGETHER, parts_of
from liqtruth.indexer.sweep.largest_first import LargestFirst


def sizes(held: dict[str, float]) -> pl.DataFrame:
    return pl.DataFrame({"address": list(held), "notional_usd": list(held.values())})


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_the_largest_that_is_known_comes_next_and_who_holds_nothing_comes_last() -> None:
    """Three readers at once."""
    order, taken = LargestFirst(list("abcdef"), sizing=True), list[str]()

    async def reader() -> None:
        async for address in order:
            taken.append(address)
            await asyncio.sleep(0)

    readers = [asyncio.create_task(reader()) for _ in range(3)]
    await settled()
    assert taken == [], "nobody is sized yet"
    order.note("", sizes({"a": 5.0, "b": 0.0, "c": 9.0}))
    await settled()
    assert taken == ["c", "a"]
    order.note("xyz", sizes({"a": 99.0, "d": 1.0, "b": 2.0}))
    await settled()
    assert taken == ["c", "a", "b", "d"]
    order.settle(["f", "e", "a"])
    await asyncio.gather(*readers)
    assert taken == ["c", "a", "b", "d", "f", "e"]


async def test_sizes_in_all_dexes_count_together() -> None:
    order = LargestFirst(list("abc"), sizing=True)
    order.note("", sizes({"a": 3.0, "b": 4.0, "c": 1.0}))
    order.note("xyz", sizes({"a": 2.0, "c": 9.0}))
    assert [await anext(order) for _ in range(3)] == ["c", "a", "b"]


async def test_a_list_without_sizes_is_read_as_it_stands() -> None:
    assert [address async for address in LargestFirst(["b", "a", "b"])] == ["b", "a"]


def test_parts_grow_so_that_reading_begins_soon() -> None:
    parts = [list(part) for _, part in parts_of([str(number) for number in range(20_000)])]
    assert [len(part) for part in parts[:5]] == [FIRST_TOGETHER, 1000, 2000, TOGETHER, TOGETHER]
    assert [one for part in parts for one in part] == [str(number) for number in range(20_000)]
