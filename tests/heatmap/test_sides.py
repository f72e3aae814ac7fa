"""A pair of sides keeps their order, and knows no third one."""

import msgspec
import pytest

from liqtruth.heatmap.levels import SIDES, BySide, Sides, TwoSided


class Carried(msgspec.Struct, TwoSided[float], frozen=True):
    name: str
    long: float
    short: float


def test_a_pair_iterates_maps_and_answers_in_the_order_of_sides() -> None:
    pair = BySide.each(len)
    assert BySide._fields == SIDES
    assert tuple(pair) == tuple(pair.of(side) for side in SIDES) == (4, 5)
    assert pair.map(str) == BySide("4", "5")


def test_a_record_with_sides_gives_the_pair_and_is_written_with_its_own_fields() -> None:
    carried = Carried("one", 1.0, 2.0)
    assert carried.sides == tuple(carried.of(side) for side in SIDES) == (1.0, 2.0)
    assert msgspec.json.encode(carried) == b'{"name":"one","long":1.0,"short":2.0}'


def test_a_figure_per_side_is_written_as_an_array_and_read_back_with_its_total() -> None:
    read = msgspec.json.decode(msgspec.json.encode(Sides(1.0, 2.5)), type=Sides)
    assert read.total == 3.5


@pytest.mark.parametrize("pair", [BySide(1, 2), Carried("one", 1.0, 2.0)])
def test_there_is_no_third_side(pair: BySide[int] | Carried) -> None:
    with pytest.raises(KeyError):
        pair.of("both")
