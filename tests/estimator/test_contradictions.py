"""Columns that say one thing twice: a file in another unit is refused by the unit, a few wrong rows are left out."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.estimator.feeds.imports import import_feed
from liqtruth.estimator.series.series import load_series
from liqtruth.estimator.venues.table import venue_named
from liqtruth.storage.errors import TableRefused
from liqtruth.storage.store import Settings, Store
from tests.estimator.feed_files import stored, write

PX = 77_000.0
COUNT = 40


def times() -> list[int]:
    return [1785542400 + 3600 * at for at in range(COUNT)]


def bars(tmp_path: Path, volume: float, quote: float, wrong: int = 0) -> Path:
    """Candles of about `PX`; in the first `wrong` rows the volume is five times what it was."""
    rows = [
        f"{ts},{PX},{PX * 1.01},{PX * 0.99},{PX},{volume * (5 if at < wrong else 1)},{quote}"
        for at, ts in enumerate(times())
    ]
    return write(tmp_path, ["ts,open,high,low,close,volume,quote_volume", *rows])


def holdings(
    tmp_path: Path, coins: float | None, usd: float | None, price: bool = False, wrong: int = 0
) -> Path:
    """Open interest, in the first `wrong` rows a tenth of its coins."""
    columns = {"open_interest": coins, "open_interest_usd": usd, "price": PX if price else None}
    given_columns = {name: value for name, value in columns.items() if value is not None}
    rows = [
        ",".join(
            [
                str(ts),
                *(
                    str(value / (10 if at < wrong and name == "open_interest" else 1))
                    for name, value in given_columns.items()
                ),
            ]
        )
        for at, ts in enumerate(times())
    ]
    return write(tmp_path, [",".join(["ts", *given_columns]), *rows], "oi.csv")


def test_volume_that_agrees_with_its_value_is_read(store: Store, tmp_path: Path) -> None:
    import_feed(store, bars(tmp_path, 100, 100 * PX), "binance", "BTC")
    assert stored(store, "candles", "binance", "BTC")["volume"].to_list() == [100.0] * COUNT


@pytest.mark.parametrize(
    ("volume", "quote", "seems"),
    [
        (100 * PX, 100 * PX, "USD, like quote_volume"),
        (77_000, 100, "contracts of 100 USD"),
        (770_000, 100, "contracts of 10 USD"),
        (7_700_000, 100, "contracts of 1 USD"),
        (10_000, 100 * PX, "contracts of 0.01 coins"),
        (0.1, 100 * PX, "contracts of 1000 coins"),
        (33, 100 * PX, "no usual unit"),
    ],
)
def test_volume_in_another_unit_is_refused_by_that_unit(
    store: Store, tmp_path: Path, volume: float, quote: float, seems: str
) -> None:
    with pytest.raises(TableRefused) as refused:
        import_feed(store, bars(tmp_path, volume, quote), "binance", "BTC")
    assert seems in str(refused.value)
    assert "volume, quote_volume" in str(refused.value)
    assert stored(store, "candles", "binance", "BTC").is_empty()


@given(st.integers(0, COUNT))
def test_a_few_rows_that_contradict_themselves_are_left_out_and_many_refuse_the_file(
    tmp_path_factory: pytest.TempPathFactory, wrong: int
) -> None:
    folder = tmp_path_factory.mktemp("bars")
    path = bars(folder, 100, 100 * PX, wrong)
    with Store.open(Settings(data_dir=folder / "data")) as store:
        if wrong > COUNT / 10:
            with pytest.raises(TableRefused):
                import_feed(store, path, "binance", "BTC")
            return
        summary = import_feed(store, path, "binance", "BTC")
        assert stored(store, "candles", "binance", "BTC").height == COUNT - wrong
        assert any(remark.startswith(f"{wrong} rows left out") for remark in summary.remarks) == bool(wrong)


@pytest.mark.parametrize(
    ("coins", "usd", "seems"),
    [
        (90_000, 90_000, "open_interest_usd seems to be coins"),
        (90_000 * PX, 90_000, "under each other's name"),
        (69_300_000, 90_000 * PX, "contracts of 100 USD"),
        (9_000_000, 90_000 * PX, "contracts of 0.01 coins"),
        (90_000, 90 * PX / 1e3, "millions of USD"),
    ],
)
@pytest.mark.parametrize("known", ["in the file", "in the lake"])
def test_open_interest_in_another_unit_is_refused_by_that_unit(
    store: Store, tmp_path: Path, coins: float, usd: float, seems: str, known: str
) -> None:
    if known == "in the lake":
        import_feed(store, bars(tmp_path, 100, 100 * PX), "okx", "BTC")
    path = holdings(tmp_path, coins, usd, price=known == "in the file")
    mapping = (
        {name: name for name in ("ts", "open_interest", "open_interest_usd", "price")}
        if known == "in the file"
        else None
    )
    with pytest.raises(TableRefused) as refused:
        import_feed(store, path, "binance", "BTC", mapping)
    assert seems in str(refused.value)


def test_a_few_wrong_rows_of_open_interest_show_beside_their_neighbours(store: Store, tmp_path: Path) -> None:
    import_feed(store, holdings(tmp_path, 90_000, 90_000 * PX, wrong=3), "binance", "BTC")
    kept = stored(store, "open_interest", "binance", "BTC")
    assert kept["open_interest"].to_list() == [90_000.0] * (COUNT - 3)


@pytest.mark.parametrize(
    ("coins", "usd", "seems"), [(None, 90_000, "coins"), (90_000 * PX, None, "USD"), (None, 6.93, "billions")]
)
def test_a_single_column_in_another_unit_shows_beside_what_is_traded(
    store: Store, tmp_path: Path, coins: float | None, usd: float | None, seems: str
) -> None:
    path = holdings(tmp_path, coins, usd)
    summary = import_feed(store, path, "okx", "BTC")
    assert any("could not be checked" in remark for remark in summary.remarks)
    import_feed(store, bars(tmp_path, 3_000, 3_000 * PX), "binance", "BTC")
    with pytest.raises(TableRefused, match=seems):
        import_feed(store, path, "binance", "BTC")


def test_candles_beside_which_stored_open_interest_is_absurd_warn_in_the_headline(
    store: Store, tmp_path: Path
) -> None:
    import_feed(store, holdings(tmp_path, None, 90_000), "binance", "BTC")
    summary = import_feed(store, bars(tmp_path, 3_000, 3_000 * PX), "binance", "BTC")
    assert "WARNING" in summary.describe()[0]


def test_contracts_taken_for_coins_show_beside_what_is_traded(store: Store, tmp_path: Path) -> None:
    import_feed(store, bars(tmp_path, 3_000, 3_000 * PX), "okx", "BTC")
    with pytest.raises(TableRefused, match="contracts of less than a coin"):
        import_feed(store, holdings(tmp_path, 9_000_000, None), "okx", "BTC")
    import_feed(store, holdings(tmp_path, 90_000, None), "okx", "BTC")


@pytest.mark.parametrize(
    ("coins", "usd"), [(90_000, 90_000 * PX), (9_000_000, 90_000 * PX), (90_000 * PX, 90_000)]
)
def test_two_columns_without_any_price_beside_them_are_reported_as_unchecked(
    store: Store, tmp_path: Path, coins: float, usd: float
) -> None:
    summary = import_feed(store, holdings(tmp_path, coins, usd), "okx", "BTC")
    assert any(
        "could not be checked" in remark and f"{usd / coins:.4g} USD" in remark for remark in summary.remarks
    )


def test_a_map_of_more_than_a_market_can_hold_warns(store: Store, tmp_path: Path) -> None:
    import_feed(store, holdings(tmp_path, None, 2e11), "okx", "BTC")
    import_feed(store, bars(tmp_path, 3_000_000, 3_000_000 * PX), "okx", "BTC")
    at = datetime.fromtimestamp(times()[-1] + 3600, UTC)
    assert any(
        "200 billion" in note.text for note in load_series(store, venue_named("okx"), "BTC", "7d", at).notes
    )


def test_open_interest_beyond_a_market_warns_in_the_headline(store: Store, tmp_path: Path) -> None:
    assert "200 billion" in import_feed(store, holdings(tmp_path, None, 2e11), "okx", "ETH").describe()[0]
    assert "6 trillion" in import_feed(store, holdings(tmp_path, None, 6e12), "okx", "SOL").describe()[0]
    assert "WARNING" not in import_feed(store, holdings(tmp_path, None, 6e9), "okx", "XRP").describe()[0]


def test_a_file_of_two_markets_without_their_names_is_refused(store: Store, tmp_path: Path) -> None:
    rows = [f"{ts},{price},{price},{price},{price},5" for ts in times() for price in (PX, 2_500)]
    path = write(tmp_path, ["ts,open,high,low,close,volume", *rows])
    with pytest.raises(TableRefused, match="40 of 80 rows differ from another row of the same time"):
        import_feed(store, path, "binance", "BTC")


def test_a_ratio_of_takers_the_wrong_way_round_is_refused(store: Store, tmp_path: Path) -> None:
    rows = [f"{ts}000,{0.5},200,100" for ts in times()]
    path = write(tmp_path, ["timestamp,buySellRatio,buyVol,sellVol", *rows])
    with pytest.raises(TableRefused, match="sells over buys"):
        import_feed(store, path, "binance", "BTC")


def test_the_remedy_of_leaving_the_column_out_works(store: Store, tmp_path: Path) -> None:
    path = bars(tmp_path, 100 * PX, 100 * PX)
    mapping = {name: name for name in ("ts", "open", "high", "low", "close")}
    import_feed(store, path, "binance", "BTC", mapping)
    assert stored(store, "candles", "binance", "BTC")["volume"].null_count() == COUNT


@pytest.mark.parametrize("rate", ["1.5", "-2", "1e308"])
def test_funding_of_more_than_all_open_interest_is_left_out_or_refused(
    store: Store, tmp_path: Path, rate: str
) -> None:
    good = [f"{ts},0.0001" for ts in times()]
    import_feed(store, write(tmp_path, ["ts,rate", *good[1:], f"{times()[0]},{rate}"]), "binance", "BTC")
    assert stored(store, "funding", "binance", "BTC").height == COUNT - 1
    with pytest.raises(TableRefused, match="rate"):
        import_feed(
            store, write(tmp_path, ["ts,rate", *(f"{ts},{rate}" for ts in times())]), "binance", "BTC"
        )


def rates(tmp_path: Path, values: list[float]) -> Path:
    return write(tmp_path, ["ts,rate", *(f"{ts},{value}" for ts, value in zip(times(), values, strict=True))])


@pytest.mark.parametrize(
    ("before", "wrong", "factor", "refused"),
    [
        (0.0001, COUNT, 100.0, True),
        (0.0001, COUNT // 4, -1.0, True),
        (0.0001, 2, 100.0, False),
        (0.0001, COUNT, 1.1, False),
        (0.0, COUNT, 1.0, False),
    ],
)
def test_many_rows_that_differ_from_the_stored_ones_are_refused_and_a_few_reported(
    store: Store, tmp_path: Path, before: float, wrong: int, factor: float, refused: bool
) -> None:
    import_feed(store, rates(tmp_path, [before] * COUNT), "okx", "BTC")
    path = rates(tmp_path, [0.0001 * factor if at < wrong else 0.0001 for at in range(COUNT)])
    if refused:
        with pytest.raises(TableRefused, match=f"{wrong} of {COUNT} rows differ from the stored funding"):
            import_feed(store, path, "okx", "BTC")
        assert stored(store, "funding", "okx", "BTC")["rate"].to_list() == [before] * COUNT
    summary = import_feed(store, path, "okx", "BTC", replace=refused)
    assert stored(store, "funding", "okx", "BTC")["rate"][0] == pytest.approx(0.0001 * factor)
    assert any("replaced" in remark for remark in summary.remarks) == (refused or wrong == 2)


def test_bars_of_another_length_are_not_compared_with_the_stored_ones(store: Store, tmp_path: Path) -> None:
    import_feed(store, bars(tmp_path, 100, 100 * PX), "okx", "BTC")
    rows = [f"{times()[0] + 14400 * at},{PX},{PX},{PX},{PX},400" for at in range(COUNT // 4)]
    import_feed(store, write(tmp_path, ["ts,open,high,low,close,volume", *rows]), "okx", "BTC")
    assert stored(store, "candles", "okx", "BTC").height == COUNT + COUNT // 4
