"""Every layout is recognised by its structure and gives the levels that its file was made of."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import liqtruth as lt
from liqtruth.compare.errors import VendorMapRefused
from liqtruth.compare.imported.named_files import names_file
from liqtruth.compare.imported.read import (
    open_maps,
    read_leverage_model,
    read_map,
    read_maps,
    read_series,
)
from liqtruth.compare.imported.vendor_map import Given
from liqtruth.compare.statistics.effective_sample_size import ENOUGH, granularity
from liqtruth.heatmap.drawing.notebook import series_html as page_of
from liqtruth.heatmap.drawing.series_figure import series_figure
from liqtruth.heatmap.drawing.view import coverage_line
from liqtruth.heatmap.heatmap import Heatmap
from tests.compare.imported import layouts
from tests.compare.imported.layouts import AT, LEVELS, LONG_USD, MARK, SHORT_USD, written

Make = Callable[[], Any]
COIN = {"coin": "BTC"}
OF_MARK = {"mark": MARK}
NAMELESS = "no-name"
"""A table of nobody is called by its file; its vendor stays `table`, so that two files of one kind can be followed."""

SHAPES: dict[str, tuple[Make, dict[str, Any], str, float]] = {
    "coinglass heatmap": (layouts.coinglass_heatmap, COIN, "coinglass", 1.0),
    "coinglass site heatmap": (layouts.coinglass_site_heatmap, {}, "coinglass", 1.0),
    "coinglass map, documented": (layouts.coinglass_map_documented, {**COIN, **OF_MARK}, "coinglass", 1.0),
    "coinglass map, captured": (layouts.coinglass_map_captured, {}, "coinglass", 2.0),
    "coinglass site map": (layouts.coinglass_site_map, {}, "coinglass", 1.0),
    "coinglass site by exchange": (layouts.coinglass_site_by_exchange, {}, "coinglass", 2.0),
    "scraped heatmap": (layouts.scraped_heatmap, {}, "coinglass", 1.0),
    "scraped pair heatmap": (layouts.scraped_pair_heatmap, {}, "coinglass", 1.0),
    "coinank by leverage": (layouts.coinank_by_leverage, {}, "coinank", 1.0),
    "coinank by exchange": (layouts.coinank_by_exchange, COIN, "coinank", 1.0),
    "coinank heatmap": (layouts.coinank_heatmap, OF_MARK, "coinank", 1.0),
    "scraped coinank heatmap": (layouts.scraped_coinank_heatmap, OF_MARK, "coinank", 1.0),
    "hyblock levels": (layouts.hyblock_levels, {**COIN, **OF_MARK}, "hyblock", 1.0),
    "hyblock heatmap": (layouts.hyblock_heatmap, {**COIN, **OF_MARK}, "hyblock", 1.0),
    "datamaxi": (layouts.datamaxi, {}, "datamaxi", 1.0),
    "0xarchive": (layouts.oxarchive, COIN, "0xarchive", 1.0),
    "liquidvision": (layouts.liquidvision, {}, "liquidvision", 1.0),
    "liquidvision measured": (layouts.liquidvision_measured, {"venue": "hyperliquid"}, "liquidvision", 1.0),
    "liquidvision heatmap": (layouts.liquidvision_heatmap, {}, "liquidvision", 1.0),
    "ironflow": (layouts.ironflow, {}, "ironflow", 1.0),
    "undertow": (layouts.undertow, {}, "undertow", 100 / (LONG_USD + SHORT_USD)),
    "kiyotaka": (layouts.kiyotaka, {**COIN, **OF_MARK}, "kiyotaka", 1.0),
    "table": (layouts.table_csv, {**COIN, **OF_MARK}, NAMELESS, 1.0),
    "table of sides": (layouts.table_of_sides_csv, {**COIN, **OF_MARK}, NAMELESS, 1.0),
    "grid by time": (layouts.grid_by_time_csv, {**COIN, **OF_MARK}, NAMELESS, 1.0),
    "grid by exchange": (layouts.grid_by_exchange_csv, {**COIN, **OF_MARK}, NAMELESS, 1.0),
    "grid by price": (layouts.grid_by_price_csv, {**COIN, **OF_MARK}, NAMELESS, 1.0),
}
"""What makes the file, what the user must state beside it, the vendor, and amounts over those of `LEVELS`."""


@pytest.mark.parametrize("shape", SHAPES)
def test_a_layout_gives_the_levels_it_was_made_of(shape: str, tmp_path: Path) -> None:
    make, given, vendor, factor = SHAPES[shape]
    found = read_map(written(tmp_path, make(), NAMELESS), **given)
    assert found.in_grid_usd.long == pytest.approx(factor * LONG_USD)
    assert found.in_grid_usd.short == pytest.approx(factor * SHORT_USD)
    assert (found.coin, found.mark_px, found.model) == ("BTC", MARK, vendor)
    assert found.origin is not None
    assert found.origin.vendor == ("table" if vendor == NAMELESS else vendor)
    for px, usd in LEVELS:
        near = np.abs(found.grid.centers / px - 1) < 0.006
        assert (found.long_usd + found.short_usd)[near].sum() == pytest.approx(factor * usd)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_map_survives_its_own_file(shape: str, tmp_path: Path) -> None:
    make, given, *_ = SHAPES[shape]
    found = read_map(written(tmp_path, make()), **given)
    lt.write_map(found, tmp_path / "own.parquet")
    again = read_map(tmp_path / "own.parquet")
    assert (again.origin, again.covers, again.coverage.notes) == (
        found.origin,
        found.covers,
        found.coverage.notes,
    )
    assert np.array_equal(again.long_usd, found.long_usd)


@pytest.mark.parametrize("shape", [name for name, (_, given, *_) in SHAPES.items() if "mark" in given])
def test_a_file_without_a_price_is_refused_until_one_is_given(shape: str, tmp_path: Path) -> None:
    make, given, *_ = SHAPES[shape]
    rest = {name: value for name, value in given.items() if name != "mark"}
    with pytest.raises(VendorMapRefused, match="--mark") as refused:
        read_map(written(tmp_path, make()), **rest)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("shape", [name for name, (_, given, *_) in SHAPES.items() if "coin" in given])
def test_a_file_without_a_coin_is_refused_until_one_is_given(shape: str, tmp_path: Path) -> None:
    make, given, *_ = SHAPES[shape]
    with pytest.raises(VendorMapRefused, match="--coin BTC"):
        read_map(written(tmp_path, make()), **{**given, "coin": None})


def test_a_map_of_another_coin_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VendorMapRefused, match="must be a map of ETH, got one of BTC"):
        read_map(written(tmp_path, layouts.coinank_by_leverage()), coin="ETH")


def test_a_price_beside_the_files_own_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VendorMapRefused, match="leave --mark out"):
        read_map(written(tmp_path, layouts.coinank_by_leverage()), mark=61_000.0)


def codes(found: Heatmap) -> set[str]:
    return {one.code for one in found.coverage.notes}


def test_every_map_states_its_prices_and_whether_its_unit_is_known(tmp_path: Path) -> None:
    for make, given, *_ in SHAPES.values():
        found = read_map(written(tmp_path, make()), **given)
        assert "vendor_prices" in codes(found)
        assert found.origin is not None
        assert ("unit_unknown" in codes(found)) == (found.origin.unit == "unknown")


# ---------------------------------------------------------------------------------- several maps


def test_a_file_by_leverage_gives_each_tier_and_their_sum(tmp_path: Path) -> None:
    maps = read_maps(written(tmp_path, layouts.coinank_by_leverage()), venue="binance")
    assert [*maps] == ["all", "x25", "x30", "x40", "x50", "x60", "x70", "x80", "x90", "x100"]
    assert maps["x25"].in_grid_usd.long == pytest.approx(LONG_USD / 9)
    assert maps["all"].filter(leverage="25x").in_grid_usd.long == pytest.approx(LONG_USD / 9)
    assert maps["all"].venue == "binance"


def test_a_file_by_exchange_gives_each_under_the_name_that_this_program_has_for_it(tmp_path: Path) -> None:
    path = written(tmp_path, layouts.coinank_by_exchange())
    maps = read_maps(path, coin="BTC")
    assert {name: maps[name].venue for name in maps} == {
        "all": "all",
        "Binance": "binance",
        "Okex": "okx",
        "Hyperliquid": "hyperliquid",
    }
    assert read_map(f"{path}#hyperliquid", coin="BTC").label == "hyperliquid coinank"
    assert read_map(path, "Okex", coin="BTC").in_grid_usd.long == pytest.approx(LONG_USD / 4)


def test_a_name_that_the_file_lacks_is_answered_with_those_it_has(tmp_path: Path) -> None:
    with pytest.raises(
        VendorMapRefused, match="no map 'Deribit'; the file holds all, Binance, Okex, Hyperliquid"
    ):
        read_map(written(tmp_path, layouts.coinank_by_exchange()), "Deribit", coin="BTC")


def test_an_exchange_or_leverage_without_levels_is_named_whatever_is_left(tmp_path: Path) -> None:
    none = [0.0] * len(layouts.AXIS)
    alone = layouts.coinglass_map_captured()
    alone["data"]["data"].pop(1)
    unanswered = layouts.coinglass_map_captured()
    del unanswered["data"]["data"][2]["liqMapV2"]
    for document, names in (
        (unanswered, ("OKX",)),
        (layouts.coinglass_map_captured(), ("OKX",)),
        (alone, ("OKX",)),
        (layouts.coinank_by_exchange(Okex=none), ("Okex",)),
        (layouts.coinank_by_exchange(Okex=none, Binance=none), ("Binance", "Okex")),
        (layouts.coinank_by_leverage(x30=none), ("x30",)),
    ):
        found = read_map(written(tmp_path, document), coin="BTC")
        assert [one.values["names"] for one in found.coverage.notes if one.code == "empty_parts"] == [names]


def test_max_pain_is_chosen_by_coin_and_its_sides_follow_the_price(tmp_path: Path) -> None:
    path = written(tmp_path, layouts.coinglass_max_pain())
    assert read_map(path, coin="BTC").in_grid_usd == pytest.approx((3e6, 2e6))
    turned = read_map(path, coin="ETH")
    assert turned.in_grid_usd == pytest.approx((2e6, 3e6))
    with pytest.raises(VendorMapRefused, match=r"holds 2 maps .*--coin"):
        read_map(path)


def test_all_columns_of_a_heatmap_make_a_series_whose_sides_follow_each_close(tmp_path: Path) -> None:
    candles = layouts.candles()
    candles[0][3] = candles[0][4] = "58000"
    document = layouts.coinglass_heatmap(price_candlesticks=candles)
    series = read_series(written(tmp_path, document), coin="BTC")
    assert series.source == "imported"
    assert not series.in_usd
    colorbar = series_figure(series).layout.coloraxis.colorbar
    assert colorbar.title.text == "liquidated, in the vendor's own unit, per 0.1 % of price"
    assert not any("$" in text for text in colorbar.ticktext)
    assert series.mark_px.tolist() == [58_000.0, 59_999.0, MARK]
    assert series.long_usd.sum(axis=1) == pytest.approx([5e6, LONG_USD, LONG_USD])
    assert series.short_usd.sum(axis=1) == pytest.approx([10e6, SHORT_USD, SHORT_USD])


def test_a_moment_of_a_series_without_cells_is_not_known(tmp_path: Path) -> None:
    document = layouts.coinglass_heatmap(liquidation_leverage_data=layouts.cells(columns=(0, 2)))
    series = read_series(written(tmp_path, document), coin="BTC")
    assert series.known.tolist() == [1.0, 0.0, 1.0]
    assert np.isnan(series.long_usd[1]).all()


def test_what_has_no_columns_or_no_prices_beside_them_is_no_series(tmp_path: Path) -> None:
    for make in (layouts.coinank_by_leverage, layouts.coinank_heatmap):
        with pytest.raises(VendorMapRefused, match="must be a map over time with its prices"):
            read_series(written(tmp_path, make()))


def test_an_earlier_column_is_a_map_of_its_own(tmp_path: Path) -> None:
    document = layouts.coinglass_heatmap(
        liquidation_leverage_data=[[0, 10, 7e6], *layouts.cells(columns=(2,))]
    )
    maps = read_maps(written(tmp_path, document), coin="BTC")
    assert [*maps] == ["2026-08-20T11:50:00Z", "2026-08-20T12:00:00Z"]
    assert maps["2026-08-20T11:50:00Z"].in_grid_usd.long == pytest.approx(7e6)


def test_a_grid_of_times_takes_the_last(tmp_path: Path) -> None:
    found = read_map(written(tmp_path, layouts.grid_by_time_csv()), coin="BTC", mark=MARK)
    assert found.as_of == AT


# -------------------------------------------------------------------------------- other layouts


def test_columns_of_an_unknown_table_are_named(tmp_path: Path) -> None:
    content = layouts.table_csv().replace(b"price,usd", b"a,b")
    path = written(tmp_path, content, "odd.csv")
    with pytest.raises(VendorMapRefused, match="--columns price"):
        read_map(path, coin="BTC", mark=MARK)
    found = read_map(path, coin="BTC", mark=MARK, columns="price=a,usd=b")
    assert found.in_grid_usd == pytest.approx((LONG_USD, SHORT_USD))
    with pytest.raises(VendorMapRefused, match="no column 'c'"):
        read_map(path, columns={"price": "c"})
    with pytest.raises(VendorMapRefused, match="--columns: must be price, low"):
        read_map(path, columns={"prize": "a"})


def test_amounts_of_a_table_are_usd_where_they_are_called_so(tmp_path: Path) -> None:
    for header, columns, unit in (
        (b"price,usd", None, "usd"),
        (b"price,notional_usd", None, "usd"),
        (b"price,size", None, "unknown"),
        (b"price,size", "usd=size", "usd"),
    ):
        path = written(tmp_path, layouts.table_csv().replace(b"price,usd", header), "map.csv")
        found = read_map(path, coin="BTC", mark=MARK, columns=columns)
        assert found.origin is not None
        assert found.origin.unit == unit


def test_drawings_name_the_unit_that_the_amounts_have(tmp_path: Path) -> None:
    usd = read_map(written(tmp_path, layouts.datamaxi()))
    unknown = read_map(written(tmp_path, layouts.coinank_by_leverage()))
    percent = read_map(written(tmp_path, layouts.undertow()))
    titles = [one.plot().layout.xaxis.title.text for one in (usd, unknown, percent)]
    assert ["USD" in title for title in titles] == [True, False, False]
    assert "own unit" in titles[1]
    assert sum(sum(bars.x) for bars in percent.plot().data[:2]) == pytest.approx(100)
    assert "60 % long / 40 % short" in coverage_line(percent)


def test_a_series_states_whose_it_is_and_what_its_amounts_are(tmp_path: Path) -> None:
    series = read_series(written(tmp_path, layouts.coinglass_heatmap()), coin="BTC")
    assert any("coinglass does not state" in line for line in series.describe())
    assert "coinglass over time" in page_of(series)


def test_json_rows_json_lines_and_parquet_are_tables_too(tmp_path: Path) -> None:
    rows = [{"price": px, "usd": usd} for px, usd in LEVELS]
    lines = "\n".join(f'{{"price": {px}, "usd": {usd}}}' for px, usd in LEVELS).encode()
    pl.DataFrame(rows).write_parquet(tmp_path / "map.parquet")
    for path in (written(tmp_path, rows), written(tmp_path, lines, "map.jsonl"), tmp_path / "map.parquet"):
        assert read_map(path, coin="BTC", mark=MARK).in_grid_usd == pytest.approx((LONG_USD, SHORT_USD))


def test_a_csv_of_this_program_without_its_facts_is_a_table_of_intervals(tmp_path: Path) -> None:
    found = read_map(written(tmp_path, layouts.coinank_by_leverage()))
    lt.write_map(found, tmp_path / "own.csv")
    (tmp_path / "own.csv.meta.json").unlink()
    again = read_map(tmp_path / "own.csv", coin="BTC", mark=found.mark_px)
    assert again.long_usd == pytest.approx(found.long_usd)


def test_packed_files_are_read(tmp_path: Path) -> None:
    path = written(tmp_path, layouts.coinank_by_leverage(), "map.json.gz")
    assert read_map(path).in_grid_usd == pytest.approx((LONG_USD, SHORT_USD))
    assert names_file(str(path))
    assert names_file(f"{path}#x25")
    assert not names_file("binance:tiers")


def test_an_exact_map_of_another_provider_is_exact_and_names_it(tmp_path: Path) -> None:
    document = layouts.oxarchive(flagged_notional=5e5)
    found = read_map(written(tmp_path, document), coin="BTC")
    assert (found.source, found.label, found.as_of) == ("exact", "hyperliquid 0xarchive", AT)
    assert found.coverage.positions == len(LEVELS)
    assert {"exact_of", "not_in_buckets"} <= codes(found)
    sides = granularity(found)
    assert [side.positions for side in sides] >= [3, 2]
    assert all(side.effective_most < ENOUGH for side in sides), "few levels must not pass the gate of claims"
    del document["data"]["levels"][0]["long_count"]
    uncounted = granularity(read_map(written(tmp_path, document), coin="BTC"))
    assert all(0 < side.effective_most < ENOUGH for side in uncounted)
    with pytest.raises(VendorMapRefused, match="levels must be there, got null"):
        read_map(written(tmp_path, layouts.oxarchive(levels=None)), coin="BTC")


def test_positions_that_liquidvision_has_read_are_exact_and_their_venue_must_be_known(tmp_path: Path) -> None:
    path = written(tmp_path, layouts.liquidvision_measured())
    with pytest.raises(VendorMapRefused, match="--venue hyperliquid"):
        read_map(path)
    found = read_map(path, venue="lighter")
    assert (found.source, found.venue) == ("exact", "lighter")
    modelled = read_map(written(tmp_path, layouts.liquidvision()))
    assert (modelled.source, modelled.venue) == ("imported", "all")
    cut = read_map(
        written(tmp_path, layouts.liquidvision_measured(total_long_below=2 * LONG_USD)), venue="lighter"
    )
    assert "levels_of_total" in codes(cut)


def test_levels_of_far_more_than_the_provider_states_in_all_are_refused(tmp_path: Path) -> None:
    with pytest.raises(VendorMapRefused, match="levels must hold no more than"):
        read_map(written(tmp_path, layouts.oxarchive(total_long=1.0, total_short=1.0)), coin="BTC")


def test_an_answer_that_states_its_age_is_so_much_older_than_its_file(tmp_path: Path) -> None:
    path = written(tmp_path, layouts.liquidvision(age_s=600))
    found = read_map(path)
    assert path.stat().st_mtime - found.as_of.timestamp() == pytest.approx(600, abs=1e-3)
    assert "moment_by_age" in codes(found)
    assert read_map(path, as_of="2026-08-20T12:00Z").as_of == AT


def test_bins_are_named_by_their_centres_or_where_there_is_one_more_by_their_edges(tmp_path: Path) -> None:
    edges = [px - 150 for px in layouts.AXIS] + [layouts.AXIS[-1] + 150]
    by_edge = read_map(written(tmp_path, layouts.liquidvision(bins=edges)))
    by_centre = read_map(written(tmp_path, layouts.liquidvision()))
    assert by_edge.long_usd == pytest.approx(by_centre.long_usd)


def test_the_columns_of_liquidvision_are_a_series(tmp_path: Path) -> None:
    series = read_series(written(tmp_path, layouts.liquidvision_heatmap()))
    assert series.long_usd.sum(axis=1) == pytest.approx([LONG_USD / 2, LONG_USD])
    undated = layouts.liquidvision_heatmap()
    del undated["times"], undated["prices"]
    assert read_map(written(tmp_path, undated)).in_grid_usd.long == pytest.approx(LONG_USD)


def test_ironflow_is_valued_at_the_mark_and_exact_while_no_range_is_missing(tmp_path: Path) -> None:
    found = read_map(written(tmp_path, layouts.ironflow()))
    assert (found.source, found.venue, found.as_of) == ("exact", "hyperliquid", AT)
    assert "revalued_at_mark" in codes(found)
    document = layouts.ironflow()
    document["ranges"] = [row for row in document["ranges"] if row["notional_usd"] > 2.5e6]
    part = read_map(written(tmp_path, document))
    assert part.source == "imported"
    (missing,) = (one for one in part.coverage.notes if one.code == "ranges_missing")
    assert 0.5 < missing.values["share"] < 0.95
    for row in document["ranges"]:
        del row["cumulative_usd"]
    assert read_map(written(tmp_path, document)).source == "imported", "gaps are seen without running totals"


def test_leverages_that_a_vendor_states_become_a_leverage_model(tmp_path: Path) -> None:
    model = read_leverage_model(written(tmp_path, layouts.datamaxi()))
    assert model.leverage == (10.0, 25.0, 50.0, 100.0)
    assert model.long == model.short == ((0.4, 0.3, 0.2, 0.1),)
    assert model.kind == "prior"
    with pytest.raises(VendorMapRefused, match=r"assumptions\.tiers"):
        read_leverage_model(written(tmp_path, layouts.undertow()))


def test_what_is_no_map_is_refused_in_one_line_that_names_the_file(tmp_path: Path) -> None:
    for document in ({"a": 1}, {"data": {"a": {"b": 2}}}, [], {}, 7, [[1, 2], [3]], "text"):
        path = written(tmp_path, document)
        with pytest.raises(lt.LiqtruthError) as refused:
            read_map(path, coin="BTC", mark=MARK)
        assert str(path.name) in str(refused.value)
        assert "\n" not in str(refused.value)


def test_positions_of_accounts_are_sent_to_the_door_that_stores_them(tmp_path: Path) -> None:
    """HyperTracker's CSV and others like it: no map, but what exact maps and fits are made of."""
    header = b"id,address,coin,side,dex,size,value,entryPrice,liquidationPrice,crossLeverage,openTime\n"
    row = b"1,0x1111111111111111111111111111111111111111,BTC,long,main,1.5,90000,59000,55000,10,2026-08-01\n"
    with pytest.raises(VendorMapRefused, match="index import"):
        read_map(written(tmp_path, header + row, "positions.csv"), coin="BTC", mark=MARK)


def test_a_file_lists_its_maps_without_making_any(tmp_path: Path) -> None:
    held = open_maps(written(tmp_path, layouts.coinank_by_exchange()), Given())
    assert [*held] == ["all", "Binance", "Okex", "Hyperliquid"]
    assert held.held.layout == "by exchange"


@pytest.mark.parametrize(("stated", "made_up"), [("synthetic", True), ("success", False)])
def test_a_map_that_states_it_is_synthetic_is_called_so(tmp_path: Path, stated: str, made_up: bool) -> None:
    answer = {"code": "0", "msg": stated, "data": layouts.coinglass_heatmap()["data"]}
    found = read_map(written(tmp_path, answer), coin="BTC")
    assert found.synthetic is made_up
    assert found.model == ("synthetic coinglass" if made_up else "coinglass")
    assert ("synthetic_map" in {one.code for one in found.coverage.notes}) is made_up
