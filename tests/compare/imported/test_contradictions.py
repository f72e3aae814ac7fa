"""Files of maps that contradict themselves, or hold what only looks like an amount: refused, or left out and stated."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from liqtruth.compare.imported.read import read_map, read_maps
from liqtruth.heatmap.errors import LiqtruthError
from tests.compare.imported import layouts
from tests.compare.imported.layouts import AXIS, LEVELS, LONG_USD, MARK, SHORT_USD, written
from tests.conftest import Run

GIVEN: dict[str, Any] = {"coin": "BTC", "mark": MARK}
MARK_OF = {"kiyotaka": MARK, "rows": MARK}
WHOLE = pytest.approx((LONG_USD, SHORT_USD))
TABLE = "\n".join(f"{px:.0f},{usd:.0f}" for px, usd in LEVELS)


def refused(folder: Path, content: Any, **given: Any) -> str:
    """The line with which a file is refused."""
    with pytest.raises(LiqtruthError) as error:
        read_map(written(folder, content), **{"coin": "BTC", **given})
    assert error.value.exit_code == 2
    return str(error.value)


LAYOUTS: dict[str, tuple[Callable[[], Any], str]] = {
    "coinglass heatmap": (layouts.coinglass_heatmap, "10, 5000000.0"),
    "coinglass map": (layouts.coinglass_map_captured, "57000.0, 5000000.0"),
    "coinglass site map": (layouts.coinglass_site_map, "57000.0, 2500000.0"),
    "coinank by leverage": (layouts.coinank_by_leverage, "0.0, 333333.3333333333"),
    "coinank by exchange": (layouts.coinank_by_exchange, "0.0, 1250000.0"),
    "datamaxi": (layouts.datamaxi, '"l10xUsd": 400000.0'),
    "undertow": (layouts.undertow, '"share": 0.2'),
    "0xarchive": (layouts.oxarchive, '"long_notional": 5000000.0'),
    "ironflow": (layouts.ironflow, '"notional_usd": 0.0'),
    "liquidvision": (layouts.liquidvision, "0.0, 5000000.0"),
    "kiyotaka": (layouts.kiyotaka, "57000.0, 5000000.0"),
    "rows": (lambda: [{"price": px, "usd": usd} for px, usd in LEVELS], '"usd": 5000000.0'),
}
"""Documents, and where each has an amount."""
NO_AMOUNTS = (
    "true",
    "false",
    '"1_000"',
    '"\u0661"',
    '"5%"',
    '"5K"',
    "NaN",
    "Infinity",
    "-5",
    "1e400",
    '"nan"',
    '"inf"',
)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_no_amount_is_refused_in_any_layout(layout: str, tmp_path: Path) -> None:
    make, place = LAYOUTS[layout]
    text = json.dumps(make())
    assert place in text
    before, _ = place.rsplit(" ", 1)
    for wrong in NO_AMOUNTS:
        refused(tmp_path, text.replace(place, f"{before} {wrong}", 1).encode(), mark=MARK_OF.get(layout))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_key_that_stands_twice_in_one_object_is_refused(layout: str, tmp_path: Path) -> None:
    text = json.dumps(LAYOUTS[layout][0]())
    objects = [at for at, sign in enumerate(text) if sign == "{" and text[at + 1] == '"']
    assert objects or layout == "kiyotaka"
    for at in {*objects[:1], *objects[-1:]}:
        key = text[at + 1 : text.index(":", at) + 1]
        assert "twice" in refused(tmp_path, f"{text[: at + 1]}{key} 1, {text[at + 1 :]}".encode())


def test_the_same_key_in_two_objects_is_none_that_stands_twice(tmp_path: Path) -> None:
    rows = [{"price": px, "usd": usd} for px, usd in LEVELS]
    assert read_map(written(tmp_path, rows), **GIVEN).in_grid_usd == WHOLE


@pytest.mark.parametrize("between", [b",", b"\n"])
def test_a_key_that_stands_twice_in_a_row_is_refused(between: bytes, tmp_path: Path) -> None:
    rows = [json.dumps({"price": px, "usd": usd}).encode() for px, usd in LEVELS]
    rows[1] = rows[1].replace(b'"usd"', b'"usd": 5, "usd"')
    content = between.join(rows)
    assert "'usd' twice" in refused(
        tmp_path, content if between == b"\n" else b"[" + content + b"]", mark=MARK
    )


# ----------------------------------------------------------------------------------------- totals


def note_codes(folder: Path, content: Any, **given: Any) -> set[str]:
    found = read_map(written(folder, content), **{**GIVEN, **given})
    assert found.in_grid_usd == WHOLE
    return {one.code for one in found.coverage.notes}


@pytest.mark.parametrize(
    ("place", "word"),
    [("price", "Total"), ("label", "TOTAL:"), ("side", "Grand Total"), ("exchange", "sum"), ("price", "All")],
)
def test_a_row_of_the_total_is_left_out_and_stated(place: str, word: str, tmp_path: Path) -> None:
    lines = [f"{place if place != 'price' else 'x'},price,usd"]
    beside = {"side": lambda px: "long" if px < MARK else "short", "exchange": lambda px: "okx"}
    for at, (px, usd) in enumerate(LEVELS):
        lines.append(f"{beside.get(place, lambda px, at=at: f'a{at}')(px)},{px},{usd}")
    lines.append(f"{'' if place == 'price' else word},{word if place == 'price' else MARK},15000000")
    assert "total_rows_left_out" in note_codes(tmp_path, "\n".join(lines).encode())


def test_a_total_of_less_than_its_rows_is_refused_and_one_of_more_is_stated(tmp_path: Path) -> None:
    head = f"price,usd\n{TABLE}\n"
    assert "must be the sum" in refused(tmp_path, f"{head}Total,9000000\n".encode(), mark=MARK)
    assert "levels_of_total" in note_codes(tmp_path, f"{head}Total,90000000\n".encode())
    assert "levels_of_total" not in note_codes(tmp_path, f"{head}Total,15000000\n".encode())


def test_a_table_of_the_sum_of_all_exchanges_alone_is_a_map(tmp_path: Path) -> None:
    rows = "\n".join(f"{line},All" for line in TABLE.splitlines())
    assert "total_rows_left_out" not in note_codes(tmp_path, f"price,usd,exchange\n{rows}\n".encode())
    grid = TABLE.replace("\n", ",\n") + ","
    assert "totals_left_out" not in note_codes(tmp_path, f"price,Total,\n{grid}\n".encode())


@pytest.mark.parametrize("name", ["Total", "all"])
def test_an_exchange_that_is_the_sum_of_the_others_is_none_of_them(name: str, tmp_path: Path) -> None:
    half = [usd / 2 for _, usd in LEVELS]
    rows = [f"{px},{one},{one},{2 * one}" for (px, _), one in zip(LEVELS, half, strict=True)]
    grid = "\n".join([f"price,Binance,OKX,{name}", *rows]).encode()
    assert "totals_left_out" in note_codes(tmp_path, grid)
    assert list(read_maps(written(tmp_path, grid), **GIVEN)) == ["all", "Binance", "OKX"]
    by_place = dict(LEVELS)
    amounts = [by_place.get(px, 0.0) for px in AXIS]
    lists = {"Binance": [one / 2 for one in amounts], "Okex": [one / 2 for one in amounts], name: amounts}
    assert "totals_left_out" in note_codes(tmp_path, {"prices": AXIS, "lastPrice": MARK, **lists}, mark=None)
    lists[name] = [one / 3 for one in amounts]
    assert "must be the sum" in refused(tmp_path, {"prices": AXIS, "lastPrice": MARK, **lists})


@pytest.mark.parametrize("turned", [False, True])
def test_a_total_among_moments_or_prices_is_no_moment_and_no_price(turned: bool, tmp_path: Path) -> None:
    moments = ["2026-08-20T11:55:00Z", "2026-08-20T12:00:00Z"]
    if turned:
        values = [f"{usd}" for _, usd in LEVELS]
        rows = [",".join([moment, *values, "15000000"]) for moment in (*moments, "Total")]
        grid = "\n".join([",".join(["time", *(f"{px:.0f}" for px, _ in LEVELS), "Total"]), *rows])
    else:
        rows = [f"{px:.0f},{usd},{usd},{2 * usd}" for px, usd in LEVELS]
        grid = "\n".join([f"price,{','.join(moments)},Total", *rows])
    assert "totals_left_out" in note_codes(tmp_path, grid.encode())
    assert list(read_maps(written(tmp_path, grid.encode()), **GIVEN)) == moments


# ----------------------------------------------------------------------------- rows, and what is beside them


@pytest.mark.parametrize("header", ["price,usd", "price,usd,side", "price,usd,leverage"])
def test_a_price_that_stands_twice_is_refused_where_nothing_tells_its_rows_apart(
    header: str, tmp_path: Path
) -> None:
    beside = {"price,usd": "", "price,usd,side": ",long", "price,usd,leverage": ",25"}[header]
    rows = f"57000,5{beside}\n58000,6{beside}\n57000.0,7{beside}\n"
    assert "rows 1 and 3" in refused(tmp_path, f"{header}\n{rows}".encode(), mark=MARK)


def test_rows_of_one_price_that_differ_in_anything_else_are_several_levels(tmp_path: Path) -> None:
    rows = b"price,usd,id\n57000,5000000,1\n57000,1,2\n62000,1,2\n"
    assert sum(read_map(written(tmp_path, rows), **GIVEN).in_grid_usd) == pytest.approx(5e6 + 2)


def test_a_cell_that_stands_twice_in_a_column_is_refused(tmp_path: Path) -> None:
    cells = [*layouts.cells(), [2, AXIS.index(LEVELS[0][0]), 9.0]]
    line = refused(tmp_path, layouts.coinglass_heatmap(liquidation_leverage_data=cells))
    assert "each price must be there once" in line


def test_columns_without_name_and_values_are_none(tmp_path: Path) -> None:
    rows = TABLE.replace("\n", ",,\n") + ",,"
    assert note_codes(tmp_path, f"price,usd,,\n{rows}\n".encode()) is not None
    line = refused(tmp_path, f"price,usd,,\n{rows[:-1]},7\n".encode(), mark=MARK)
    assert "column 4 has values and no name" in line


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "index"])
def test_numbers_of_rows_are_no_exchange(name: str, tmp_path: Path) -> None:
    rows = "\n".join(f"{at},{line}" for at, line in enumerate(TABLE.splitlines()))
    path = written(tmp_path, f"{name},price,Binance\n{rows}\n".encode())
    assert list(read_maps(path, **GIVEN)) == ["Binance"]


def test_a_byte_order_mark_and_clear_thousands_change_nothing(tmp_path: Path) -> None:
    rows = "\n".join(f'"{px:,.1f}","{usd:,.1f}"' for px, usd in LEVELS)
    note_codes(tmp_path, b"\xef\xbb\xbf" + f"price,usd\n{rows}\n".encode())
    note_codes(tmp_path, b"\xef\xbb\xbf" + json.dumps(layouts.coinank_by_leverage()).encode(), mark=None)
    for unclear in ('"57,000","5,000"', "5%,5", "57000,5K", "57000,$5"):
        refused(tmp_path, f"price,usd\n{unclear}\n".encode(), mark=MARK)


def test_the_commands_refuse_them_with_the_exit_code_of_usage(run: Run, tmp_path: Path) -> None:
    wrong = str(written(tmp_path, b'[{"price": 57000, "usd": 1, "usd": 2}]'))
    run("map", "import", wrong, "--coin", "BTC", "--mark", "60000", code=2)
    run("check", "BTC", "--map", wrong, "--mark", "60000", "--base-url", "http://127.0.0.1:9", code=2)


# ---------------------------------------------------------------------------- coins that pairs alone state


def by_exchange_of(*pairs: str) -> dict[str, Any]:
    """A map by exchange whose instruments are known by their pair alone."""
    entries = [
        {
            "instrument": {"exName": f"Venue{at}", "instrumentId": pair},
            "liqMapV2": layouts.rows_by_price(LEVELS),
        }
        for at, pair in enumerate(pairs)
    ]
    return {"code": "0", "data": {"last_price": MARK, "data": entries}}


def test_exchanges_whose_pairs_are_of_two_coins_are_not_added_up(tmp_path: Path) -> None:
    assert "the coin must be one" in refused(tmp_path, by_exchange_of("BTCUSDT", "ETHUSDT"))
    whole = read_map(written(tmp_path, by_exchange_of("BTCUSDT", "BTC-USDT-SWAP")), coin="BTC")
    assert whole.in_grid_usd == pytest.approx((2 * LONG_USD, 2 * SHORT_USD))


def test_exchanges_whose_pairs_are_of_two_units_are_not_added_up(tmp_path: Path) -> None:
    with pytest.raises(LiqtruthError):
        read_map(written(tmp_path, by_exchange_of("1000PEPEUSDT", "PEPEUSDT")))


@pytest.mark.parametrize("base", ["PEPE", "1000PEPE"])
def test_prices_are_those_of_the_pair_whatever_its_coin_is_called(base: str, tmp_path: Path) -> None:
    document = layouts.coinglass_site_map()
    document["data"]["instrument"] = {"exName": "Binance", "instrumentId": "1000PEPEUSDT", "baseAsset": base}
    found = read_map(written(tmp_path, document))
    assert (found.coin, found.mark_px) == ("kPEPE", MARK)


def test_two_pairs_of_two_units_in_one_file_are_refused(tmp_path: Path) -> None:
    document = layouts.coinglass_site_map()
    document["data"] |= {
        "pair": "PEPEUSDT",
        "instrument": {"exName": "Binance", "instrumentId": "1000PEPEUSDT"},
    }
    with pytest.raises(LiqtruthError) as error:
        read_map(written(tmp_path, document))
    assert error.value.exit_code == 2
