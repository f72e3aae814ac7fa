"""Two leverage models differ in what draws maps, in the field's units, and no further than is known."""

from datetime import timedelta
from io import StringIO
from itertools import product
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from liqtruth.compare.calibration.bands import LABELS, NULL, Band
from liqtruth.compare.calibration.differences import (
    Differences,
    Known,
    differences,
    differences_lines,
    differences_table,
    known,
    log_distance,
)
from liqtruth.estimator.errors import UnknownChoice
from liqtruth.estimator.model.leverage_model import CoinShares, LeverageModel, leverage_model_named
from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.levels import SIDES

PRIOR = leverage_model_named("prior")
CLASSES, NODES = PRIOR.shares("long").shape


def of_weights(weights: list[int]) -> LeverageModel:
    """Every class alike, nine tenths placed, the same on both sides."""
    each = 0.9 * np.array(weights) / (CLASSES * max(1, sum(weights)))
    rows = tuple(tuple(each.tolist()) for _ in range(CLASSES))
    return msgspec.structs.replace(PRIOR, long=rows, short=rows)


models = st.lists(st.integers(0, 100), min_size=NODES, max_size=NODES).map(of_weights)


def with_intervals(model: LeverageModel, low: float, high: float) -> Known:
    """Every band of both sides has this interval, but null has none."""
    bands = (*(Band(label, 0.1, low, high, 0.0) for label in LABELS), Band(NULL, 0.1, None, None, 0.0))
    return Known(model, dict.fromkeys(SIDES, bands))


def of(first: LeverageModel, second: LeverageModel) -> Differences:
    return differences(Known(first), Known(second))


@given(models)
def test_a_model_does_not_differ_from_itself(model: LeverageModel) -> None:
    result = of(model, model)
    assert result.equal_shares
    assert not result.others
    assert all(band.points == 0 for side in result.sides for band in side.bands)
    assert {side.log_distance for side in result.sides} <= {0.0, None}


@given(models, models)
def test_what_one_has_more_the_other_has_less(first: LeverageModel, second: LeverageModel) -> None:
    there, back = of(first, second), of(second, first)
    for one, other in zip(there.sides, back.sides, strict=True):
        assert [band.points for band in one.bands] == pytest.approx([-band.points for band in other.bands])
        assert sum(band.points for band in one.bands) == pytest.approx(0, abs=1e-6), "null takes the rest"
        assert one.log_distance == pytest.approx(other.log_distance)


@given(models.filter(lambda model: model.shares("long").sum() > 0), st.floats(1.0, 3.0))
def test_leverages_times_a_factor_are_its_logarithm_apart(model: LeverageModel, factor: float) -> None:
    moved = msgspec.structs.replace(model, leverage=tuple(factor * node for node in model.leverage))
    assert log_distance(model, moved, "long") == pytest.approx(np.log(factor), abs=1e-12)


def test_turnover_classes_that_swap_their_shares_leave_bands_and_distance_as_they_were() -> None:
    """Bands and distance are about leverage alone; that the maps differ is stated all the same."""
    swapped = msgspec.structs.replace(PRIOR, long=PRIOR.long[::-1], short=PRIOR.short[::-1])
    result = of(PRIOR, swapped)
    assert not result.equal_shares
    assert result.sides[0].log_distance == pytest.approx(0, abs=1e-9)
    assert [band.points for band in result.sides[0].bands] == pytest.approx([0.0] * 7, abs=1e-9)


def test_half_of_the_shares_is_null_and_no_distance() -> None:
    halved = tuple(tuple(share / 2 for share in row) for row in PRIOR.long)
    side = of(PRIOR, msgspec.structs.replace(PRIOR, long=halved)).sides[0]
    assert side.log_distance == pytest.approx(0, abs=1e-12)
    assert side.bands[-1].band == NULL
    assert side.bands[-1].points == pytest.approx(100 * PRIOR.shares("long").sum() / 2)


def test_where_nothing_is_placed_there_is_no_distance() -> None:
    result = of(PRIOR, of_weights([0] * NODES))
    assert [side.log_distance for side in result.sides] == [None, None]
    assert any("places nothing" in line for line in differences_lines(result))


@pytest.mark.parametrize(
    ("second", "overlap"), [((0.15, 0.3), True), ((0.2, 0.3), True), ((0.21, 0.3), False), (None, None)]
)
def test_intervals_overlap_where_they_meet(second: tuple[float, float] | None, overlap: bool | None) -> None:
    other = Known(PRIOR) if second is None else with_intervals(PRIOR, *second)
    result = differences(with_intervals(PRIOR, 0.1, 0.2), other)
    for side in result.sides:
        assert [band.overlap for band in side.bands] == [*[overlap] * len(LABELS), None]
    assert any(line.startswith("not known: ") for line in differences_lines(result))


def test_the_same_shares_on_another_basis_are_stated_to_be_equal() -> None:
    made = PRIOR.provenance
    other = msgspec.structs.replace(
        made, made_at=made.made_at + timedelta(days=1), basis="the same, by chance"
    )
    result = of(PRIOR, msgspec.structs.replace(PRIOR, provenance=other, name="again"))
    assert result.equal_shares
    assert [one.part for one in result.others] == ["name", "provenance made_at", "provenance basis"]
    assert "the shares are equal though the hashes are not: both draw the same maps" in [
        *differences_lines(result)
    ]
    assert "the shares are equal: both draw the same maps" in [*differences_lines(of(PRIOR, PRIOR))]


def test_a_difference_of_one_billionth_is_none_of_equal_shares() -> None:
    first, *rest = PRIOR.long[0]
    other = msgspec.structs.replace(PRIOR, long=((first + 1e-9, *rest), *PRIOR.long[1:]))
    assert not of(PRIOR, other).equal_shares


def test_what_else_differs_is_reported_by_part() -> None:
    other = msgspec.structs.replace(
        PRIOR,
        kind="fitted",
        rates=(0.4, *PRIOR.rates[1:]),
        leverage=(1.5, *PRIOR.leverage[1:]),
        coordinate="of-maximum",
    )
    result = of(PRIOR, other)
    listed = {one.part: (one.first, one.second) for one in result.others}
    assert listed == {
        "kind": ("prior", "fitted"),
        "rates": ("0.5, 1, 2, 5, 15", "0.4, 1, 2, 5, 15"),
        "leverage": ("40 from 1.6 to 115", "40 from 1.5 to 115"),
        "coordinate": ("leverage", "of-maximum"),
    }
    lines = [*differences_lines(result)]
    assert any("compared as on a market of 40x and 3% daily volatility" in line for line in lines)
    assert "leverage: 40 from 1.6 to 115 | 40 from 1.5 to 115" in lines


def test_coins_with_shares_of_their_own_are_named() -> None:
    own = CoinShares(PRIOR.long, PRIOR.short[::-1])
    first = msgspec.structs.replace(PRIOR, coins={"BTC": own, "ETH": own})
    second = msgspec.structs.replace(PRIOR, coins={"ETH": own, "SOL": own})
    result = of(first, second)
    assert not result.equal_shares
    assert [(one.part, one.first, one.second) for one in result.others] == [
        ("shares of BTC", "its own shares", "those of all coins"),
        ("shares of SOL", "those of all coins", "its own shares"),
    ]


def test_on_what_both_rest_is_reported_first_and_whole() -> None:
    made = msgspec.structs.replace(PRIOR.provenance, basis="synthetic: " + "fitted on a sandbox " * 20)
    other = msgspec.structs.replace(PRIOR, provenance=made)
    assert [*differences_lines(of(PRIOR, other))][:2] == [PRIOR.note, other.note]
    assert "synthetic" in other.note


def test_the_table_has_a_row_per_band_with_points_of_both_sides() -> None:
    moved = msgspec.structs.replace(PRIOR, name="other", long=tuple(row[::-1] for row in PRIOR.long))
    result = of(PRIOR, moved)
    console = Console(width=110, file=StringIO())
    with console.capture() as captured:
        console.print(differences_table(result))
    text = captured.get()
    assert "prior, then other" in text
    for (place, label), number in product(enumerate((*LABELS, NULL)), (0, 1)):
        row = next(line for line in text.splitlines() if line.startswith(f"│ {label} "))
        assert f"{round(result.sides[number].bands[place].points, 1) + 0.0:+.1f}" in row
    assert "-0.0" not in text


class TestWhereModelsAreFound:
    def test_by_name_and_by_file(self, tmp_path: Path) -> None:
        path = tmp_path / "models" / "mine.json"
        path.parent.mkdir()
        path.write_bytes(msgspec.structs.replace(PRIOR, name="mine").to_json())
        elsewhere = path.rename(tmp_path / "mine.json")
        assert known(tmp_path, str(elsewhere)).model.name == "mine"
        elsewhere.rename(path)
        assert known(tmp_path, "mine") == known(Path("/nowhere"), str(path))
        assert known(tmp_path, "prior") == Known(PRIOR)

    def test_what_is_not_there_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(UnknownChoice, match="known: prior"):
            known(tmp_path, "mine")
        with pytest.raises(BadInput, match=r"cannot read .*models/mine\.json"):
            known(tmp_path, str(tmp_path / "models" / "mine.json"))
