"""What vendors' files are known to get wrong or to leave open, and input that means harm: each has one known answer."""

import gzip
import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from liqtruth.compare.errors import VendorMapRefused
from liqtruth.compare.imported.read import read_map, read_series
from liqtruth.heatmap.errors import LiqtruthError
from liqtruth.heatmap.heatmap import Heatmap
from tests.compare.imported import layouts
from tests.compare.imported.layouts import AT, AT_S, AXIS, LEVELS, LONG_USD, MARK, SHORT_USD, STEP_S, written

WHOLE = pytest.approx((LONG_USD, SHORT_USD))


def note_of(found: Heatmap, code: str) -> dict[str, Any]:
    """The values of the one note of that code."""
    (one,) = (one for one in found.coverage.notes if one.code == code)
    return one.values


def refused(folder: Path, document: Any, **given: Any) -> str:
    """The line with which a document is refused."""
    with pytest.raises(LiqtruthError) as error:
        read_map(written(folder, document), **{"coin": "BTC", **given})
    line = str(error.value)
    assert error.value.exit_code == 2
    assert "\n" not in line
    assert len(line) <= 300
    return line


# ------------------------------------------------------------------------------------ envelopes


@pytest.mark.parametrize("code", ["0", 0, "1", 1])
def test_1_codes_of_success_are_text_or_number(code: Any, tmp_path: Path) -> None:
    assert read_map(written(tmp_path, layouts.coinank_by_leverage(code=code))).in_grid_usd == WHOLE
    document = {**layouts.coinglass_heatmap(), "code": code}
    assert read_map(written(tmp_path, document), coin="BTC").in_grid_usd == WHOLE


@pytest.mark.parametrize("code", ["40001", 40003, "-1", 2])
def test_1_another_code_is_an_error_with_what_the_vendor_states(code: Any, tmp_path: Path) -> None:
    line = refused(tmp_path, {"code": code, "msg": "upgrade plan", "data": None})
    assert f"code '{code}'" in line
    assert "upgrade plan" in line
    assert "got an error" in refused(tmp_path, {**layouts.coinank_by_leverage(), "success": False})


def test_2_a_list_of_one_is_the_object_in_it(tmp_path: Path) -> None:
    document = layouts.coinglass_heatmap()
    assert read_map(written(tmp_path, [document]), coin="BTC").in_grid_usd == WHOLE
    assert read_map(written(tmp_path, [document["data"]]), coin="BTC").in_grid_usd == WHOLE
    refused(tmp_path, [document, document])


def test_3_numbers_may_be_text(tmp_path: Path) -> None:
    cells = [[str(part) for part in cell] for cell in layouts.cells()]
    document = layouts.coinglass_heatmap(liquidation_leverage_data=cells, y_axis=[str(px) for px in AXIS])
    assert read_map(written(tmp_path, document), coin="BTC").in_grid_usd == WHOLE
    document = layouts.coinank_by_leverage(lastPrice=str(MARK), lastIndex=str(AXIS.index(MARK)))
    assert read_map(written(tmp_path, document)).mark_px == MARK


@pytest.mark.parametrize("unit", [1, 1000, 1_000_000, 1_000_000_000])
def test_4_moments_are_read_in_the_one_unit_in_which_they_are_believed(unit: int, tmp_path: Path) -> None:
    candles = [[row[0] * unit, *row[1:]] for row in layouts.candles()]
    document = layouts.coinglass_heatmap(update_time=AT_S * unit, price_candlesticks=candles)
    assert read_map(written(tmp_path, document), coin="BTC").as_of == AT


@pytest.mark.parametrize("wrong", [0, 1e30, -5, AT_S * 60, "soon", "1971-01-01"])
def test_4_a_moment_of_no_unit_is_refused(wrong: Any, tmp_path: Path) -> None:
    assert "time of update" in refused(tmp_path, layouts.coinglass_heatmap(update_time=wrong))


# ----------------------------------------------------------------------------------------- axes


def test_5_the_current_map_is_the_last_column_and_not_the_sum_over_time(tmp_path: Path) -> None:
    found = read_map(written(tmp_path, layouts.coinglass_heatmap()), coin="BTC")
    assert found.in_grid_usd == WHOLE
    assert note_of(found, "column_of_file")["count"] == 3
    assert found.as_of == datetime.fromtimestamp(AT_S + 0.5, UTC)


def test_5_a_last_candle_without_cells_makes_the_column_before_it_current(tmp_path: Path) -> None:
    document = layouts.coinglass_heatmap(liquidation_leverage_data=layouts.cells(columns=(0, 1)))
    found = read_map(written(tmp_path, document), coin="BTC")
    assert found.as_of == datetime.fromtimestamp(AT_S - 300, UTC)
    assert found.mark_px == MARK - 1


def test_6_an_uneven_axis_keeps_every_level_where_it_is(tmp_path: Path) -> None:
    axis = [px for px in AXIS if px not in (57_300.0, 57_600.0, 60_900.0)]
    cells = [[0, axis.index(px), usd] for px, usd in LEVELS]
    document = layouts.coinglass_heatmap(
        y_axis=axis, liquidation_leverage_data=cells, price_candlesticks=layouts.candles(1)
    )
    found = read_map(written(tmp_path, document), coin="BTC")
    assert found.in_grid_usd == WHOLE
    beyond = found.grid.centers > 57_300
    assert found.long_usd[beyond].sum() == pytest.approx(4e6 + 5e6 * 150 / 600, rel=0.01)


def test_6_an_axis_that_does_not_ascend_is_refused(tmp_path: Path) -> None:
    assert "must ascend" in refused(tmp_path, layouts.coinank_by_leverage(prices=AXIS[::-1]))
    assert "must ascend" in refused(tmp_path, layouts.coinank_by_leverage(prices=[*AXIS[:-1], AXIS[-2]]))


def test_7_a_map_states_how_far_its_prices_reach(tmp_path: Path) -> None:
    found = read_map(written(tmp_path, layouts.coinank_by_leverage()))
    assert found.covers == (AXIS[0], AXIS[-1])
    assert note_of(found, "vendor_prices")["below_pct"] == pytest.approx(-10.0)


def test_8_a_file_without_a_price_takes_the_one_that_is_given_and_states_it(tmp_path: Path) -> None:
    document = layouts.coinank_heatmap()
    assert "--mark" in refused(tmp_path, document)
    found = read_map(written(tmp_path, document), mark=58_000.0)
    assert found.in_grid_usd == pytest.approx((5e6, 10e6))
    assert note_of(found, "mark_given") == {"mark_px": 58_000.0}
    for wrong in (0.0, -1.0, float("nan"), float("inf")):
        assert "--mark" in refused(tmp_path, document, mark=wrong)


@pytest.mark.parametrize(
    "document",
    [
        layouts.scraped_heatmap(
            y_axis=[], liquidation_leverage_data=[], price_candlesticks=[], message="quota is used up"
        ),
        layouts.scraped_heatmap(liquidation_leverage_data=[], message="quota is used up"),
        layouts.scraped_heatmap(LEVELS[:0], message="quota is used up"),
        layouts.scraped_heatmap([(px, 0.0) for px, _ in LEVELS], message="quota is used up"),
    ],
)
def test_9_an_empty_map_of_success_is_an_error_with_what_the_vendor_states(
    document: Any, tmp_path: Path
) -> None:
    line = refused(tmp_path, document)
    assert "the map is empty" in line
    assert "quota is used up" in line


@pytest.mark.parametrize(
    "document",
    [
        {"code": "0", "msg": "success", "data": {}},
        {"success": True, "code": 1, "data": None},
        {"success": True, "data": []},
        layouts.coinank_by_leverage([(px, 0.0) for px, _ in LEVELS]),
        layouts.coinank_by_exchange([(px, 0.0) for px, _ in LEVELS]),
        layouts.coinank_by_leverage(prices=[]),
        layouts.coinank_heatmap(data=[]),
        layouts.undertow(clusters=[]),
        layouts.datamaxi(buckets=[]),
        layouts.oxarchive(levels=[]),
        layouts.ironflow(ranges=[]),
        layouts.liquidvision(bins=[]),
        layouts.liquidvision([(px, 0.0) for px, _ in LEVELS]),
        layouts.liquidvision_heatmap(grid=[]),
        {"code": "0", "data": {"lastPrice": MARK, "liqMapV2": {"60000": []}}},
        {
            "code": "0",
            "data": {"data": [{"instrument": {"exName": "OKX"}, "liqMapV2": {}}], "last_price": MARK},
        },
    ],
)
def test_9_no_layout_takes_nothing_for_a_map(document: Any, tmp_path: Path) -> None:
    assert "empty" in refused(tmp_path, document)


def test_10_buckets_are_placed_by_centre_by_edge_and_by_interval(tmp_path: Path) -> None:
    """The same 1 million around 57,000 in three files; one of a single price stays in one bin."""
    centre = read_map(written(tmp_path, layouts.coinank_by_leverage([(57_000.0, 1e6)])))
    interval = read_map(written(tmp_path, layouts.hyblock_heatmap([(57_000.0, 1e6)])), coin="BTC", mark=MARK)
    edge = read_map(written(tmp_path, b"low_px,high_px,usd\n57000,57300,1000000\n"), coin="BTC", mark=MARK)
    point = read_map(written(tmp_path, layouts.table_csv([(57_000.0, 1e6)])), coin="BTC", mark=MARK)
    ends = {}
    for name, found in (("centre", centre), ("interval", interval), ("edge", edge), ("point", point)):
        rows = found.frame()
        ends[name] = rows["low_px"].min(), rows["high_px"].max()
        assert rows["notional_usd"].sum() == pytest.approx(1e6)
    width = MARK * 1e-3
    for name, low, high in (
        ("centre", 56_850, 57_150),
        ("interval", 56_900, 57_100),
        ("edge", 57_000, 57_300),
    ):
        assert ends[name] == (pytest.approx(low, abs=width), pytest.approx(high, abs=width))
    assert point.frame().height == 1


def test_10_a_bucket_across_the_mark_is_of_both_sides(tmp_path: Path) -> None:
    found = read_map(written(tmp_path, layouts.coinank_by_leverage([(MARK, 1e6)])))
    assert found.in_grid_usd == pytest.approx((5e5, 5e5))


# ----------------------------------------------------------------------------- sides, units, tiers


def test_11_a_little_that_the_price_contradicts_is_left_out_and_counted(tmp_path: Path) -> None:
    document = layouts.datamaxi()
    odd = {
        "price": 60_300.0,
        "side": "long",
        "l10xUsd": 5e5,
        "l25xUsd": 0,
        "l50xUsd": 0,
        "l100xUsd": 0,
        "totalUsd": 5e5,
    }
    document["buckets"].append(odd)
    found = read_map(written(tmp_path, document))
    assert found.in_grid_usd == WHOLE
    values = note_of(found, "side_contradicted")
    assert values["count"] == 1
    assert values["share"] == pytest.approx(5e5 / 15.5e6)


def test_11_sides_of_ironflow_and_liquidvision_that_the_price_contradicts_are_refused(tmp_path: Path) -> None:
    """A named side is checked against the price, whoever names it."""
    turned = layouts.liquidvision()
    turned["long"], turned["short"] = turned["short"], turned["long"]
    document = layouts.ironflow()
    for row in document["ranges"]:
        row["side"] = "short" if row["side"] == "long" else "long"
        del row["cumulative_usd"]
    for wrong in (turned, document):
        assert "sides must follow the price, got 100 %" in refused(tmp_path, wrong)


def test_11_sides_that_the_price_contradicts_throughout_are_refused(tmp_path: Path) -> None:
    """A side may be that of the closing order, or the mark is wrong: either way nothing is where it is named."""
    document = layouts.datamaxi()
    for row in document["buckets"]:
        row["side"] = "short" if row["side"] == "long" else "long"
    assert "sides must follow the price, got 100 %" in refused(tmp_path, document)


def test_12_shares_are_kept_as_shares(tmp_path: Path) -> None:
    found = read_map(written(tmp_path, layouts.undertow(stale=True)))
    assert found.origin is not None
    assert found.origin.unit == "percent"
    assert found.in_grid_usd.total == pytest.approx(100)
    assert found.coverage.open_interest_usd is None
    assert {"unit_percent", "stated_stale"} <= {one.code for one in found.coverage.notes}


def test_13_a_file_that_states_no_moment_has_that_of_the_file_and_states_it(tmp_path: Path) -> None:
    path = written(tmp_path, layouts.coinank_by_leverage())
    found = read_map(path)
    assert found.as_of == datetime.fromtimestamp(path.stat().st_mtime, UTC)
    note_of(found, "moment_of_file")
    given = read_map(path, as_of="2026-08-20T12:00Z")
    assert given.as_of == AT
    assert "moment_of_file" not in {one.code for one in given.coverage.notes}


def test_13_what_the_file_states_may_not_be_contradicted(tmp_path: Path) -> None:
    stated = layouts.coinglass_site_heatmap()
    assert "leave --as-of out" in refused(tmp_path, stated, as_of="2026-08-19T12:00Z")
    assert "leave --venue out" in refused(tmp_path, stated, venue="bybit")
    found = read_map(written(tmp_path, stated), as_of=AT, venue="Binance", coin="BTC")
    assert (found.as_of, found.venue) == (AT, "binance")


def test_13_what_a_document_states_beside_its_rows_is_of_all_of_them(tmp_path: Path) -> None:
    rows = [{"price": px, "usd": usd} for px, usd in LEVELS]
    beside = {"coin": "BTC", "exchange": "Binance", "mark_px": MARK}
    grid = [{"price": px, "OKX": usd, "Bybit": usd} for px, usd in LEVELS]
    for moment in ({"as_of": AT.isoformat()}, {"timestamp": AT_S * 1000}):
        found = read_map(written(tmp_path, {**beside, **moment, "levels": rows}))
        assert (found.coin, found.venue, found.mark_px, found.as_of) == ("BTC", "binance", MARK, AT)
        of_grid = read_map(written(tmp_path, {**beside, **moment, "levels": grid}))
        assert (of_grid.coin, of_grid.mark_px, of_grid.as_of) == ("BTC", MARK, AT)
    with pytest.raises(VendorMapRefused, match="ETH"):
        read_map(written(tmp_path, {**beside, "levels": rows}), coin="ETH")
    moments = [{"time": at, **row} for at in (AT_S - STEP_S, AT_S) for row in rows]
    with pytest.raises(VendorMapRefused, match="--mark"):
        read_map(written(tmp_path, {**beside, "levels": moments}))


def test_14_tiers_that_a_map_lacks_are_named(tmp_path: Path) -> None:
    found = read_map(written(tmp_path, layouts.coinank_by_leverage()))
    assert found.origin is not None
    assert found.origin.leverages[:2] == (25.0, 30.0)
    values = note_of(found, "tiers_missing")
    assert values["missing"] == ("5x", "10x")
    assert values["reach"] == pytest.approx(0.04)


# ------------------------------------------------------------------------------------ hostile input

CELLS = layouts.cells()


@pytest.mark.parametrize(
    ("document", "named"),
    [
        (layouts.coinglass_heatmap(liquidation_leverage_data=[[0, 1, "NaN"]]), "cell 1"),
        (layouts.coinglass_heatmap(liquidation_leverage_data=[[0, 1, None]]), "cell 1"),
        (
            layouts.coinglass_heatmap(liquidation_leverage_data=[*CELLS, [0, 1, -5.0]]),
            f"cell {len(CELLS) + 1}",
        ),
        (layouts.coinglass_heatmap(liquidation_leverage_data=[[0, 1, 10**400]]), "cell 1"),
        (layouts.coinglass_heatmap(liquidation_leverage_data=[[0, 1, "9" * 400]]), "cell 1"),
        (layouts.coinglass_heatmap(liquidation_leverage_data=[[0, len(AXIS), 1.0]]), "from 0 to 40, got 41"),
        (layouts.coinglass_heatmap(liquidation_leverage_data=[[3, 1, 1.0]]), "from 0 to 2, got 3"),
        (layouts.coinglass_heatmap(liquidation_leverage_data=[[-1, 1, 1.0]]), "got -1"),
        (layouts.coinglass_heatmap(liquidation_leverage_data=[[0, 1.5, 1.0]]), "got 1.5"),
        (layouts.coinglass_heatmap(liquidation_leverage_data=[[0, 1]]), "a list of 3 numbers"),
        (layouts.coinglass_heatmap(liquidation_leverage_data=[[0, 1, 1.0], [0, [1], 1.0]]), "cell 2"),
        (layouts.coinglass_heatmap(liquidation_leverage_data={"a": 1}), "list of rows"),
        (layouts.coinglass_heatmap(y_axis=[0.0, *AXIS[1:]]), "above zero"),
        (layouts.coinglass_heatmap(y_axis=["x", *AXIS[1:]]), "must be a number"),
        (layouts.coinglass_heatmap(price_candlesticks=[[AT_S, "a", "b", "c", "d"]] * 3), "of candle"),
        (layouts.coinglass_heatmap(price_candlesticks=[1, 2, 3]), "candles"),
        (layouts.coinglass_heatmap(price_candlesticks=layouts.candles()[::-1]), "ascend"),
        (layouts.coinank_by_leverage(x25=[1.0]), "x25 must have an amount for each of 41 prices, got 1"),
        (layouts.coinank_by_leverage(x25=["NaN"] * 41), "x25"),
        (layouts.coinank_by_leverage(x25=[-1.0] * 41), "x25"),
        (layouts.coinank_by_leverage(lastIndex=99), "from 0 to 40, got 99"),
        (layouts.coinank_by_leverage(lastIndex=0), "lastIndex must point at lastPrice"),
        (layouts.coinank_by_leverage(lastPrice=-1), "lastPrice"),
        (layouts.coinank_by_leverage(Binance=[1.0] * 41), "leverages or exchanges"),
        (layouts.coinank_heatmap(data=[["0", "3"]]), "pairs without an amount"),
        (layouts.undertow(clusters=[{"price": 1.0, "share": -1}]), "share of cluster"),
        (layouts.undertow(clusters=[7]), "list of objects"),
        (layouts.datamaxi(buckets=[{"price": 1.0, "side": "up", "totalUsd": 1}]), "long or short"),
        (layouts.liquidvision(long=[1.0]), "of one length"),
        (layouts.liquidvision(bins=AXIS[:-1]), "each of 40 bins"),
        (layouts.liquidvision(bins=AXIS[::-1]), "must ascend"),
        (layouts.liquidvision(age_s=-5), "age_s"),
        (layouts.liquidvision(age_s=1e12), "age_s"),
        (layouts.liquidvision_heatmap(grid=[[1.0] * 41, [1.0]]), "of one length"),
        (layouts.liquidvision_heatmap(times=[AT_S]), "times must be one for each of 2 rows"),
        (layouts.ironflow(snapshot={"age_s": "old"}), "age_s"),
        (
            layouts.ironflow(
                ranges=[{**row, "price_low": row["price_high"]} for row in layouts.ironflow()["ranges"]]
            ),
            "must end above",
        ),
        (
            layouts.ironflow(ranges=[{**row, "cumulative_usd": 1.0} for row in layouts.ironflow()["ranges"]]),
            "running totals",
        ),
        (layouts.ironflow(ranges=[{"side": "long", "notional_usd": 1.0}]), "a low price"),
        ({"lastPrice": MARK, "liqMapV2": {"60000": [[60_000]]}}, "each level"),
        ({"lastPrice": MARK, "liqMapV2": {"60000": 5}}, "no"),
        (
            layouts.oxarchive(
                levels=[
                    {
                        "price": 1.0,
                        "long_notional": 1,
                        "short_notional": 0,
                        "long_count": 1e15,
                        "short_count": 0,
                    }
                ]
            ),
            "counts of levels",
        ),
        (b"[" * 100_000, "not"),
        (b'{"prices": ' + b"[" * 5_000 + b"]" * 5_000 + b', "lastPrice": 1}', ""),
        (b'{"prices": [1, 2', "JSON"),
        (b"price,usd\n57000,nan\n", "row 1"),
        (b"price,usd\n57000,-4\n", "amount of row"),
        (b"price,usd\n57000,\n", "row 1"),
        (b"price,usd\n0,5\n", "above zero"),
        (b"price,usd,side\n57000,5,up\n", "long or short"),
        (b"price,usd,leverage\n57000,5,0.5\n", "at least 1"),
        (b"low_px,high_px,usd\n57000,56000,5\n", "must end above"),
        (b"price,usd\n" + b"9" * 400 + b",5\n", "row 1"),
        (b"", "empty"),
    ],
)
def test_input_that_cannot_be_is_refused_by_its_place(document: Any, named: str, tmp_path: Path) -> None:
    assert named in refused(tmp_path, document, mark=None if isinstance(document, dict) else MARK)


def test_a_packed_file_that_breaks_off_is_refused(tmp_path: Path) -> None:
    content = gzip.compress(json.dumps(layouts.coinank_by_leverage()).encode())
    assert "compression is broken" in refused(tmp_path, content[: len(content) // 2])


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LiqtruthError, match="no such file"):
        read_map(tmp_path / "missing.json")
    with pytest.raises(LiqtruthError, match="is a directory"):
        read_map(tmp_path)


def test_a_map_of_this_program_is_not_a_vendors(tmp_path: Path) -> None:
    from liqtruth.compare.imported.read import read_maps
    from liqtruth.heatmap.files import write_map

    write_map(read_map(written(tmp_path, layouts.coinank_by_leverage())), tmp_path / "own.json")
    with pytest.raises(VendorMapRefused, match="it holds one map"):
        read_maps(tmp_path / "own.json")


@pytest.mark.parametrize("name", ["x" * 5000, "\x1b[31mRED\x07", "\u202egnp"])
def test_a_name_that_a_terminal_or_a_table_cannot_show_is_refused(tmp_path: Path, name: str) -> None:
    by_exchange = layouts.coinank_by_exchange()
    by_exchange["data"][name] = by_exchange["data"]["Binance"]
    alone = layouts.coinglass_heatmap()
    alone["data"]["instrument"] = {"exName": name, "baseAsset": "BTC"}
    for document in (by_exchange, alone):
        with pytest.raises(VendorMapRefused, match="printable") as refused:
            read_map(written(tmp_path, document), coin="BTC")
        assert len(str(refused.value)) <= 300
        assert str(refused.value).isprintable()


def by_exchange(**changed: Any) -> dict[str, Any]:
    document = layouts.coinglass_site_by_exchange()
    document["data"].update(changed)
    return document


def of_two_markets(second: str) -> dict[str, Any]:
    document = layouts.coinglass_site_by_exchange()
    document["data"]["data"][1]["instrument"]["baseAsset"] = second
    return document


CLOSED_ABOVE_ITS_HIGH = [*layouts.candles()[:2], [AT_S, "60000", "60010", "59980", "61000", "1"]]
A_DAY_MS = 86_400_000


@pytest.mark.parametrize(
    ("document", "named"),
    [
        (of_two_markets("ETH"), "BTC, ETH"),
        (of_two_markets("1000BTC"), "1000BTC"),
        (by_exchange(rangeLow=66_000, rangeHigh=54_000), "the range"),
        (by_exchange(rangeLow=70_000, rangeHigh=90_000), "the range"),
        (by_exchange(rangeLow=59_990, rangeHigh=60_010), "the range"),
        (layouts.undertow(span_pct=0.1), "the range"),
        (layouts.undertow(clusters=[{"price": 59_000.0, "share": 33.0}]), "at most 1"),
        (by_exchange(lastPrice=60.0), "in one unit"),
        (by_exchange(lastPrice=6e7), "in one unit"),
        (layouts.coinglass_heatmap(y_axis=[1000 * px for px in AXIS]), "in one unit"),
        (layouts.coinglass_heatmap(last_price=0.8 * MARK), "that of the last candle"),
        (layouts.coinglass_heatmap(price_candlesticks=CLOSED_ABOVE_ITS_HIGH), "close of candle 3"),
        (layouts.coinglass_heatmap(update_time=AT_S * 1000 + 60 * A_DAY_MS), "time of update"),
        (layouts.coinglass_heatmap(update_time=AT_S * 1000 - 60 * A_DAY_MS), "time of update"),
        (layouts.oxarchive(total_long=1e6, total_short=1e6), "no more than the total"),
        (layouts.oxarchive(snapshot_ts="2026-08-19T12:00:00Z"), "snapshot_ts_ms"),
        ({"lastPrice": MARK, "liqMapV2": {"600": [[59_000, 5.0, None]]}}, "stands under, 600"),
        (layouts.scraped_heatmap() + layouts.scraped_heatmap(symbol="ETH"), "a list of 2"),
        (b"price,usd,long_usd,short_usd\n57000,5,1,1\n63000,7,1,1\n", "the sum of long_usd and short_usd"),
        (layouts.oxarchive(total_long=0, total_short=0), "no more than the total"),
        (layouts.datamaxi(cumulativeLongUsd=1.0, cumulativeShortUsd=2.0), "no more than the total"),
        (
            layouts.coinglass_heatmap(
                instrument={"exName": "Binance", "instrumentId": "ETHUSDT", "baseAsset": "BTC"}
            ),
            "BTC, ETHUSDT",
        ),
        (layouts.coinglass_heatmap(instrument={"exName": "Binance", "exchange": "OKX"}), "Binance, OKX"),
        (by_exchange(symbol="ETH"), "BTC, ETH"),
        (layouts.coinank_by_leverage(baseCoin="ETH"), "BTCUSDT, ETH"),
        (layouts.coinglass_heatmap(rangeLow=80_000, rangeHigh=90_000), "the range"),
        (layouts.scraped_heatmap(rangeLow=59_990, rangeHigh=60_010), "the range"),
        (b"price,foo,bar\n57000,5,1\n63000,7,2\n", "exchanges or times"),
        (b"price,2031-08-20T12:00Z,2031-08-20T13:00Z\n57000,5,1\n63000,7,2\n", "from 2020 to now"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(document: Any, named: str, tmp_path: Path) -> None:
    """Of two statements that cannot both be true neither is chosen."""
    assert named in refused(tmp_path, document, mark=MARK if isinstance(document, bytes) else None)


@pytest.mark.parametrize("mark", [float("nan"), 60.0, 6e7])
def test_a_price_that_is_no_price_of_the_map_is_refused(mark: float, tmp_path: Path) -> None:
    for document in (layouts.coinglass_map_documented(), layouts.coinglass_site_map()):
        assert "mark must" in refused(tmp_path, document, mark=mark)


def test_a_table_of_sides_and_their_sum_has_the_sides(tmp_path: Path) -> None:
    """The column that is taken for the sum may be another number: what the user names goes first."""
    agreeing = b"price,usd,long_usd,short_usd\n57000,5,5,0\n63000,7,0,7\n"
    other = b"price,volume,long_usd,short_usd\n57000,900,5,0\n63000,900,0,7\n"
    for content, columns in ((agreeing, None), (other, "long=long_usd,short=short_usd")):
        found = read_map(written(tmp_path, content, "m.csv"), coin="BTC", mark=MARK, columns=columns)
        assert (found.long_usd.sum(), found.short_usd.sum()) == (5.0, 7.0)


@pytest.mark.parametrize(
    ("header", "unit"), [("price,btc", "unknown"), ("Price,Share", "unknown"), ("px,amount_usd", "usd")]
)
def test_the_one_column_beside_the_price_is_amounts(header: str, unit: str, tmp_path: Path) -> None:
    """Whatever it is called: it is no exchange, so that its prices are levels and no rungs of a grid."""
    rows = f"{header}\n57000,5\n58000,2\n63000,7\n".encode()
    found = read_map(written(tmp_path, rows, "mine.csv"), coin="BTC", mark=MARK)
    assert found.origin is not None
    assert (found.origin.layout, found.origin.unit) == ("levels", unit)
    assert (found.venue, found.label) == ("unknown", "mine.csv")
    assert (found.long_usd.sum(), found.short_usd.sum()) == (7.0, 7.0)


def test_a_list_that_coinank_sends_as_null_is_named_among_the_empty(tmp_path: Path) -> None:
    for document, name in ((layouts.coinank_by_exchange(), "Okex"), (layouts.coinank_by_leverage(), "x75")):
        document["data"][name] = None
        found = read_map(written(tmp_path, document), coin="BTC")
        assert name in note_of(found, "empty_parts")["names"]


def test_a_series_in_another_unit_than_its_prices_is_refused(tmp_path: Path) -> None:
    document = layouts.coinglass_heatmap(y_axis=[1000 * px for px in AXIS])
    with pytest.raises(VendorMapRefused, match="in one unit"):
        read_series(written(tmp_path, document), coin="BTC")


def test_running_totals_are_no_amounts(tmp_path: Path) -> None:
    running = b"price,cumulative_usd\n57000,5\n58000,12\n63000,19\n"
    assert "running totals" in refused(tmp_path, running, mark=MARK)
    beside = b"price,Binance,cum_usd\n57000,5,5\n58000,7,12\n63000,7,19\n"
    found = read_map(written(tmp_path, beside, "m.csv"), coin="BTC", mark=MARK)
    assert found.origin is not None
    assert found.origin.unit == "unknown"
    assert (found.venue, found.long_usd.sum() + found.short_usd.sum()) == ("binance", pytest.approx(19.0))
    assert list(note_of(found, "totals_left_out")["names"]) == ["cum_usd"]


def test_two_maps_in_one_archive_are_not_added_up(tmp_path: Path) -> None:
    path = tmp_path / "maps.zip"
    for names, said in ((("binance.csv",), None), (("binance.csv", "okx.csv"), "2 files")):
        with zipfile.ZipFile(path, "w") as archive:
            for at, name in enumerate(names):
                archive.writestr(name, f"price,usd\n{57_000 + at},5\n{63_000 + at},7\n")
        if said is None:
            assert read_map(path, coin="BTC", mark=MARK).long_usd.sum() == 5.0
        else:
            with pytest.raises(LiqtruthError, match=said):
                read_map(path, coin="BTC", mark=MARK)
