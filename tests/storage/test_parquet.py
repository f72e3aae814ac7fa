"""Packing loses nothing: any frame comes back, and what repeats takes no room."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from liqtruth.storage.errors import NotWritten
from liqtruth.storage.packing.decimals import packed, unpacked
from liqtruth.storage.places.parquet import read_parquet, write_new
from liqtruth.storage.places.places import Folder

NUMBERS = st.one_of(
    st.none(),
    st.floats(),
    st.integers(-(10**9), 10**9).map(lambda n: n / 1e6),
    st.integers(-(10**16), 10**16).map(float),
    st.sampled_from([0.0, -0.0, 0.1, 1e-10, 1e-11, 1e17, 99999999.9999999999]),
)


@given(st.lists(st.tuples(NUMBERS, NUMBERS, st.booleans()), max_size=30))
def test_any_floats_come_back_to_the_last_bit_but_for_a_zeros_sign(
    rows: list[tuple[float | None, float | None, bool]],
) -> None:
    frame = pl.DataFrame(
        {
            "coin": ["BTC"] * len(rows),
            "a": [a for a, _, _ in rows],
            "b": [b for _, b, _ in rows],
            "twin": [a for a, _, _ in rows],
            "near": [a if same else b for a, b, same in rows],
        },
        schema={"coin": pl.String, "a": pl.Float64, "b": pl.Float64, "twin": pl.Float64, "near": pl.Float64},
    )
    assert_frame_equal(unpacked(*packed(frame)), frame, check_exact=True)


@given(st.lists(st.integers(-(10**12), 10**12), min_size=1), st.integers(0, 10))
def test_decimals_are_stored_as_decimals(numbers: list[int], places: int) -> None:
    frame = pl.DataFrame({"px": [float(f"{n}e-{places}") for n in numbers]})
    stored, _ = packed(frame)
    assert isinstance(stored["px"].dtype, pl.Decimal)
    assert stored["px"].dtype.scale <= places
    assert_frame_equal(unpacked(*packed(frame)), frame, check_exact=True)


def test_a_column_that_equals_another_is_stored_once() -> None:
    px = [1 / 3, None, 2.5]
    frame = pl.DataFrame({"read": px, "map": px, "solved": [1 / 3, None, 2.6], "none": [None] * 3})
    stored, _ = packed(frame.cast({"none": pl.Float64}))
    assert stored.columns == ["read", "solved", "none"]


def test_a_table_of_somebody_else_is_left_as_it_is() -> None:
    frame = pl.DataFrame({"px": pl.Series(["1.5"]).cast(pl.Decimal(18, 2))})
    assert unpacked(frame, {"ARROW:schema": "x"}).equals(frame)


def test_a_sweep_of_many_accounts_takes_at_most_sixty_bytes_a_row(tmp_path: Path) -> None:
    """20,000 positions with a price, a size and a profit of their own each; an account's facts with every position."""
    rng, rows = np.random.default_rng(5), 20_000
    owner = np.sort(rng.integers(0, rows // 4, rows))
    coin = rng.integers(0, 230, rows)
    mark_px = np.round(np.exp(rng.uniform(0, 11, 230)), 2)[coin]
    szi = np.round(rng.lognormal(7, 2, rows) / mark_px, 4)
    liq_px = np.round(mark_px * rng.lognormal(0, 0.5, rows), 8)
    equity = np.round(rng.lognormal(9, 2, rows), 6)
    frame = pl.DataFrame(
        {
            "address": np.array([f"0x{rng.bytes(20).hex()}" for _ in range(rows)])[owner],
            "coin": [f"COIN{n}" for n in coin],
            "szi": szi,
            "mark_px": mark_px,
            "notional_usd": np.round(szi * mark_px, 6),
            "account_value_usd": equity[owner],
            "liq_px_exchange": liq_px,
            "liq_px_solved": liq_px * (1 + rng.normal(0, 1e-12, rows)),
            "liq_px": liq_px,
            "as_of": [datetime(2026, 9, 6, tzinfo=UTC)] * rows,
        }
    ).sort("coin", maintain_order=True)
    stored, metadata = packed(frame)
    place = Folder(tmp_path)
    name = write_new(stored, place, "day", "r1", metadata)
    assert place.full(name).stat().st_size / rows < 60
    assert_frame_equal(read_parquet(place, name)[0], frame, check_exact=True)
    one, _ = read_parquet(place, name, pl.col("coin") == "COIN7")
    assert_frame_equal(one, frame.filter(coin="COIN7"), check_exact=True)


def test_a_name_that_is_taken_gets_a_suffix_and_nothing_is_overwritten(tmp_path: Path) -> None:
    first, second = (write_new(pl.DataFrame({"n": [n]}), Folder(tmp_path), "day", "a/b") for n in (1, 2))
    assert first == "day/a%2Fb.parquet"
    assert second != first
    assert [pl.read_parquet(tmp_path / name)["n"].to_list() for name in (first, second)] == [[1], [2]]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(NotWritten, match=r"cannot write .*file/r1\.parquet: Not a directory|File exists"):
        write_new(pl.DataFrame({"n": [1]}), Folder(tmp_path), "file", "r1")
