"""Files are taken for what they are, or refused with the place of the fault and nothing written."""

import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from info_endpoint import CTX, MARK_PX, META, NOW_MS, address_of, btc, state
from polars.testing import assert_frame_equal

from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.words.notes import any_synthetic, note, texts
from liqtruth.indexer.files.imports import ImportSummary, import_paths
from liqtruth.indexer.files.summary import described
from liqtruth.indexer.frames import POSITIONS
from liqtruth.indexer.positions.markets import VENUE, stored_tables
from liqtruth.indexer.positions.readings import coin_as_of, positions_as_of
from liqtruth.storage.database.markets import last_market
from liqtruth.storage.errors import NothingStored
from liqtruth.storage.store import Settings, Store

HEADER = "addr,av,coin,szi,entryPx,notional,upnl,liqPx,lev,levType,ts"
T1, T2 = "2026-08-21T11:00:00+00:00", "2026-08-21T12:00:00+00:00"
FIRST, SECOND = datetime(2026, 8, 21, 11, tzinfo=UTC), datetime(2026, 8, 21, 12, tzinfo=UTC)


def row(number: int = 1, szi: object = "-2.0", ts: str = T1, **other: object) -> str:
    """A position that agrees with itself at a mark of 50,000; what is no number is taken for -2."""
    try:
        size = float(str(szi))
    except ValueError:
        size = -2.0
    cells = {
        "addr": address_of(number), "av": "10000", "coin": "BTC", "szi": szi, "entryPx": "49000",
        "notional": 50_000 * abs(size), "upnl": 1000 * size, "liqPx": "61000.5" if size < 0 else "41000.5",
        "lev": "20", "levType": "cross", "ts": ts, **other,
    }  # fmt: skip
    return ",".join(str(cells[name]) for name in HEADER.split(","))


def table(*rows: str) -> str:
    return "\n".join([HEADER, *rows]) + "\n"


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


SIDED = f"address,coin,side,size,mark,ts\n{address_of(1)},"

Written = Callable[[str, str | bytes], Path]


def imported(store: Store, path: Path, **options: Any) -> ImportSummary:
    return import_paths(store, [path], **options)[0]


# -------------------------------------------------------------------------------------------- tables


def test_each_moment_of_a_table_is_a_reading_of_all_accounts(store: Store, written: Written) -> None:
    path = written("p.csv", table(row(1), row(2, "1.0"), row(2, "3.0", ts=T2)))
    summary = imported(store, path)
    assert (summary.layout, summary.readings) == ("account table (addr, szi, liqPx)", 2)
    assert (summary.first, summary.last) == (FIRST, SECOND)
    assert positions_as_of(store, FIRST, "BTC")["szi"].to_list() == [-2.0, 1.0]
    assert positions_as_of(store, SECOND, "BTC")["szi"].to_list() == [3.0], "account 1 was not seen any more"


def test_an_empty_price_is_the_exchanges_null_and_stays_null(store: Store, written: Written) -> None:
    imported(store, written("p.csv", table(row(1), row(2, "1.0", liqPx=""))))
    known = positions_as_of(store, None, "BTC")
    assert known["status"].to_list() == ["exchange_only", "never"]
    assert known["liq_px"].to_list() == [61_000.5, None]
    assert known["liq_px_solved"].to_list() == [None, None], "the collateral is not in the table"


@pytest.mark.parametrize(("source", "synthetic"), [("synthetic: the sandbox", True), ("my node", False)])
def test_a_file_that_says_it_is_synthetic_stays_so(
    store: Store, written: Written, source: str, synthetic: bool
) -> None:
    header, *rows = table(row(1), row(2)).splitlines()
    imported(store, written("p.csv", "\n".join([f"{header},source", *(f"{one},{source}" for one in rows)])))
    assert any_synthetic(positions_as_of(store, None, "BTC")["source"]) is synthetic


def test_what_was_recognised_is_reported(store: Store, written: Written) -> None:
    summary = imported(store, written("p.csv", table(row(1), row(2, liqPx=""), row(3, "0", notional="0"))))
    message = "\n".join(summary.describe())
    for part in (
        "liq_px_exchange=liqPx",
        "2 position rows of 2 accounts in BTC",
        "2 not checked (2 no margin tables)",
        "1 rows of size 0",
    ):
        assert part in message
    assert summary.unpriced == 1


def test_of_many_files_each_with_a_problem_is_described_and_the_others_together(
    store: Store, written: Written
) -> None:
    paths = [
        written(f"{hour:02}.csv", table(row(1, ts=f"2026-08-21T{hour:02}:00:00+00:00"))) for hour in range(8)
    ]
    paths.append(written("odd.csv", table(*map(row, range(60)), row(60, notional="1"))))
    parts = list[float]()
    summaries = import_paths(store, paths, on_part=parts.append)
    assert parts == sorted(parts)
    assert parts[-1] == 1
    lines = described(summaries)
    named = [path.name for path in paths if any(str(path) in line for line in lines if "note on" not in line)]
    assert named == ["odd.csv"]
    assert any(line.startswith("9 files, 8 of them without a problem") for line in lines)
    assert any(
        "68 position rows in BTC, 9 readings 2026-08-21T00:00:00Z .. 2026-08-21T11:" in line for line in lines
    )
    assert len(lines) < 12
    unnamed = [
        ImportSummary(
            f"{number}.json", "account", "answers", notes=(note("account_not_named", label=f"{number}"),)
        )
        for number in range(6)
    ]
    assert sum("6 files, first 0.json" in line for line in described(unnamed)) == 1
    assert described(summaries[:2]) == [line for one in summaries[:2] for line in one.describe()]


def test_the_mark_is_what_the_notional_was_valued_at(store: Store, written: Written) -> None:
    imported(store, written("p.csv", table(row(1, "-2.0", notional="100001.0"))))
    assert positions_as_of(store, None, "BTC")["mark_px"].to_list() == [50_000.5]


def test_importing_again_changes_nothing(store: Store, written: Written) -> None:
    path = written("p.csv", table(row(1), row(2)))
    imported(store, path)
    before = positions_as_of(store)
    imported(store, path)
    assert_frame_equal(positions_as_of(store), before)


def test_a_corrected_file_replaces_what_it_had_before(store: Store, written: Written) -> None:
    imported(store, written("p.csv", table(row(1), row(1, coin="ETH"))))
    imported(store, written("p.csv", table(row(1, "-7.0"))))
    assert positions_as_of(store)["szi"].to_list() == [-7.0]


def test_as_accounts_a_table_says_nothing_of_others(store: Store, written: Written) -> None:
    imported(store, written("all.csv", table(row(1), row(2))))
    imported(store, written("some.csv", table(row(2, "5.0", ts=T2))), census=False)
    assert positions_as_of(store, None, "BTC").sort("address")["szi"].to_list() == [-2.0, 5.0]


@pytest.mark.parametrize("name", ["p.csv", "p.csv.gz", "p.jsonl", "p.json", "p.parquet"])
def test_every_format_of_a_table_gives_the_same_positions(store: Store, tmp_path: Path, name: str) -> None:
    frame = pl.read_csv(table(row(1), row(2, liqPx="")).encode(), infer_schema=False)
    path = tmp_path / name
    if name.endswith("gz"):
        path.write_bytes(gzip.compress(frame.write_csv().encode()))
    else:
        {"p.csv": frame.write_csv, "p.jsonl": frame.write_ndjson, "p.json": frame.write_json,
         "p.parquet": frame.write_parquet}[name](path)  # fmt: skip
    assert imported(store, path).statuses == {"exchange_only": 1, "never": 1}


@pytest.mark.parametrize("suffix", ["csv", "json", "parquet"])
def test_what_we_export_imports_again_as_it_was(
    store: Store, tmp_path: Path, written: Written, suffix: str
) -> None:
    meta = written("meta.json", json.dumps(META))
    isolated = btc(1.0, 45_569.6202531646, isolated_raw_usd=-45_000.0)
    account = written("a.json", json.dumps(state(isolated)))
    imported(store, account, meta=meta, address=address_of(9))
    imported(store, written("p.csv", table(row(1), row(2, liqPx=""))), census=False)
    before = positions_as_of(store).sort("address")
    path = tmp_path / f"export.{suffix}"
    {"csv": before.write_csv, "json": before.write_json, "parquet": before.write_parquet}[suffix](path)
    with Store.open(Settings(data_dir=tmp_path / "other")) as other:
        summary = imported(other, path)
        after = positions_as_of(other).sort("address")
    assert (summary.layout, summary.readings) == ("liqtruth export", 1)
    assert_frame_equal(after.select(*POSITIONS), before.select(*POSITIONS), rel_tol=1e-15)


def test_columns_are_mapped_by_name(store: Store, written: Written) -> None:
    path = written("p.csv", f"who,what,q,worth,out,when\n{address_of(1)},BTC,-2,100000,61000,{T1}\n")
    columns = {
        "address": "who",
        "coin": "what",
        "szi": "q",
        "notional": "worth",
        "liq_px": "out",
        "ts": "when",
    }
    assert imported(store, path, columns=columns).columns["liq_px_exchange"] == "out"
    assert positions_as_of(store)["liq_px"].to_list() == [61_000.0]


def test_names_in_common_use_are_known(store: Store, written: Written) -> None:
    header = "User,Symbol,side,size,mark_price,liquidation_price,timestamp"
    rows = [
        f"{address_of(1)},BTC,LONG,2,50000,41000,1787310000",
        f"{address_of(2)},BTC,sell,3,50000,61000,1787310000",
    ]
    summary = imported(store, written("p.csv", "\n".join([header, *rows])))
    assert summary.layout == "common names"
    known = positions_as_of(store)
    assert known["szi"].to_list() == [2.0, -3.0]
    assert known["notional_usd"].to_list() == [100_000.0, 150_000.0]


def test_columns_that_are_not_used_are_named(store: Store, written: Written) -> None:
    path = written("p.csv", table(row(1)).replace("\n", ",mood\n", 1).replace(f"{T1}\n", f"{T1},good\n"))
    assert any("mood" in note for note in texts(imported(store, path).notes))


@pytest.mark.parametrize(
    ("columns", "modes"), [({"margin_mode": ":isolated"}, ["isolated"]), ({"margin_mode": "-"}, [None])]
)
def test_a_column_can_be_the_same_in_every_row_or_left_out(
    store: Store, written: Written, columns: dict[str, str], modes: list[str | None]
) -> None:
    imported(store, written("p.csv", table(row(1))), columns=columns)
    assert positions_as_of(store)["margin_mode"].to_list() == modes


def test_any_columns_of_our_own_are_known_by_their_names(
    store: Store, tmp_path: Path, written: Written
) -> None:
    meta = written("meta.json", json.dumps(META))
    isolated = btc(1.0, 45_569.6202531646, isolated_raw_usd=-45_000.0)
    imported(store, written("a.json", json.dumps(state(isolated))), meta=meta, address=address_of(9))
    before = positions_as_of(store)
    some = [
        "as_of",
        "address",
        "coin",
        "szi",
        "mark_px",
        "margin_mode",
        "isolated_raw_usd",
        "max_leverage",
        "dex",
    ]
    before.select(some).write_csv(tmp_path / "some.csv")
    with Store.open(Settings(data_dir=tmp_path / "other")) as other:
        imported(other, tmp_path / "some.csv", meta=meta)
        after = positions_as_of(other)
    assert_frame_equal(after.select(some), before.select(some), rel_tol=1e-15)
    assert after["liq_px"].to_list() == pytest.approx(before["liq_px"].to_list())


@pytest.mark.parametrize("word", ["null", "None", "N/A", "n/a", "-", "nan", " NULL "])
def test_words_for_nothing_are_empty_cells_of_columns_that_may_be_empty(
    store: Store, written: Written, word: str
) -> None:
    cells = {"liqPx": word, "upnl": word, "lev": word, "entryPx": word}
    imported(store, written("p.csv", table(row(1), row(2, "1.0", **cells))))
    known = positions_as_of(store, None, "BTC").sort("address")
    for name in ("liq_px", "unrealized_pnl_usd", "leverage", "entry_px"):
        assert known[name].is_null().to_list() == [False, True]


def test_a_time_given_that_is_not_the_answers_own_is_refused(store: Store, written: Written) -> None:
    path = written("a.json", json.dumps(state(btc(1.0, 45_000.0))))
    with pytest.raises(BadInput, match="--as-of"):
        imported(store, path, as_of=SECOND)
    own = datetime.fromtimestamp(NOW_MS // 60_000 * 60, UTC)
    assert imported(store, path, as_of=own).last == datetime.fromtimestamp(NOW_MS / 1000, UTC)


def test_semicolons_and_a_header_in_mid_file_are_read_and_reported(store: Store, written: Written) -> None:
    content = table(row(1), HEADER, row(2)).replace(",", ";")
    summary = imported(store, written("p.csv", content))
    assert summary.positions == 2
    assert any("header" in note for note in texts(summary.notes))


def test_names_of_other_tools_are_folded_with_their_factor(store: Store, written: Written) -> None:
    pepe = {"entryPx": "0.0000098", "notional": "100", "upnl": "2", "liqPx": "0.000008"}
    path = written("p.csv", table(row(1, "10000000", coin="PEPE", **pepe), row(2, coin="BTC-PERP")))
    imported(store, path)
    known = positions_as_of(store).sort("coin").select("coin", "szi", "mark_px", "entry_px", "liq_px")
    assert known.row(1) == ("kPEPE", pytest.approx(10_000), *map(pytest.approx, (0.01, 0.0098, 0.008)))
    assert known["coin"].to_list() == ["BTC", "kPEPE"]


def test_sizes_with_a_sign_and_a_side_must_agree(store: Store, written: Written) -> None:
    head = "address,coin,side,size,mark,ts\n"
    rows = [f"{address_of(1)},BTC,short,-2,5,1787310000", f"{address_of(2)},BTC,long,2,5,1787310000"]
    imported(store, written("p.csv", head + "\n".join(rows)))
    assert positions_as_of(store).sort("address")["szi"].to_list() == [-2.0, 2.0]
    mixed = [rows[0], f"{address_of(2)},BTC,short,2,5,1787310000"]
    with pytest.raises(BadInput, match="row 2"):
        imported(store, written("q.csv", head + "\n".join(mixed)))


@pytest.mark.parametrize("reported", [{"dex": "abc"}, {}])
def test_a_dex_that_is_not_the_coins_prefix_is_refused(
    store: Store, written: Written, reported: dict[str, str]
) -> None:
    rows = [f"{row(1, coin='xyz:TSLA')},{'xyz' if reported else 'abc'}"]
    with pytest.raises(BadInput, match="row 1"):
        imported(store, written("p.csv", "\n".join([f"{HEADER},dex", *rows])), **reported)


def test_a_folder_of_tables_is_read_as_its_files(store: Store, written: Written) -> None:
    for name, ts in (("a.csv", T1), ("b.csv", T2)):
        folder = written(f"tables/{name}", table(row(ts=ts))).parent
    summaries = import_paths(store, [folder])
    assert [Path(one.file).name for one in summaries] == ["a.csv", "b.csv"]
    for moment in (FIRST, SECOND):
        assert coin_as_of(store, "BTC", moment)[0]["as_of"].to_list() == [moment]


def test_a_table_without_times_takes_the_one_given(store: Store, written: Written) -> None:
    path = written("p.csv", f"address,coin,szi,notional\n{address_of(1)},BTC,-2,100000\n")
    with pytest.raises(BadInput, match=r"p\.csv: .*--as-of"):
        imported(store, path)
    assert imported(store, path, as_of=FIRST).first == FIRST
    assert positions_as_of(store)["status"].to_list() == ["unknown_collateral"]


def test_the_prefix_of_a_coin_is_its_dex(store: Store, written: Written) -> None:
    imported(store, written("p.csv", table(row(1, coin="xyz:TSLA"), row(1))))
    assert dict(positions_as_of(store).select("coin", "dex").iter_rows()) == {"BTC": "", "xyz:TSLA": "xyz"}


def test_accounts_with_times_of_their_own_are_all_known_each_as_of_its_own(
    store: Store, written: Written
) -> None:
    rows = [row(n, ts=f"2026-08-21T11:00:{n:02d}Z") for n in range(1, 9)]
    summary = imported(store, written("p.csv", table(*rows)))
    assert (summary.accounts, summary.readings) == (8, 1)
    known = positions_as_of(store)
    assert known.height == 8
    assert known["as_of"].n_unique() == 8
    assert positions_as_of(store, datetime(2026, 8, 21, 11, 0, 3, tzinfo=UTC)).height == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (table(row(1), row(2, "abc")), r"row 2, column 'szi': 'abc' is not a number"),
        (table(row(1), row(2, "")), r"row 2, column 'szi': None is empty"),
        (table(row(1), row(2, notional="-5")), r"row 2, column 'notional': -5\.0 is negative"),
        (table(row(1), row(2, notional="")), r"row 2, column 'notional': None is missing"),
        (table(row(1), row(2, liqPx="-1")), r"row 2, column 'liqPx': -1\.0 is negative"),
        (table(row(1), row(2, liqPx="1e308")), r"row 2, column 'liqPx': 1e\+308 is no price"),
        (table(row(1), row(2, coin="=cmd|calc")), r"row 2, column 'coin'"),
        (table(row(1), row(2, coin="a/b")), r"row 2, column 'coin'"),
        (table(row(1), row(2, "none")), r"row 2, column 'szi': 'none' is not a number"),
        (table(row(1), row(2, liqPx="inf")), r"row 2, column 'liqPx': 'inf'"),
        (table(row(1), row(2, levType="both")), r"row 2, column 'levType': 'both' is neither"),
        (table(row(1), row(2, coin="")), r"row 2, column 'coin': None is empty"),
        (table(row(1), row(2, addr=" ")), r"row 2, column 'addr': ' ' is empty"),
        (table(row(1), row(2, ts="soon")), r"row 2, column 'ts': 'soon' is not a time"),
        (table(row(1), row(2), row(1, "9.0")), r"rows 1 and 3 both give the BTC position of 0x0+1 at"),
        (table(), "a header and no rows"),
        ("addr,coin,szi\n0x1,BTC,1\n", r"no column for notional_usd or mark_px; it has addr, coin, szi; map"),
        ("a,b\n1,2\n", r"no column for address; it has a, b"),
        (SIDED + "BTC,long,-2,5,1787310000\n", r"column 'size': -2\.0 is negative beside"),
        (SIDED + "BTC,up,2,5,1787310000\n", r"row 1, column 'side': 'up' is no side"),
        (table(row(1), row(2, addr="0x5eb5…3ffd")), r"row 2, column 'addr': '0x5eb5…3ffd' is no whole address"),
        (table(row(1), row(2, ts="2286-01-01T00:00Z")), r"row 2, column 'ts'"),
        (table(row(1), row(2, ts="1970-01-02T00:00Z")), r"row 2, column 'ts'"),
        (table(row(1), row(2, coin="..")), r"row 2, column 'coin'"),
        (table(row(1), row(2, coin="BTC-27MAR26")), r"row 2, column 'coin': 'BTC-27MAR26' ends on a day"),
        (table(row(1), row(2)[:-40]), r"line 3 has"),
        (table(row(1), row(2)).partition("\n")[2], r"no header"),
        ("ts,coin,mark,funding\n2026-08-21T11:00Z,BTC,1,25\n", r"row 1, column 'funding'"),
        ("ts,coin,mark,oi\n2026-08-21T11:00Z,BTC,1,1e308\n", r"row 1, column 'oi'"),
        (f"ts,coin,mark\n{T1},BTC,1\n{T1},BTC,2\n", r"rows 1 and 2 both give BTC"),
        ("ts,coin,mark\n2026-08-21T11:00Z,BTC,0\n", r"row 1, column 'mark': 0\.0 is not a positive price"),
        ("ts,coin,mark,oi\n2026-08-21T11:00Z,BTC,1,-1\n", r"row 1, column 'oi': -1\.0 is negative"),
        ("", "empty"),
        (b"\x00\x01\x02\xff\xfe not a table", "p.csv"),
        ('{"marginSummary": {"accountValue": "1.0"', r"clearinghouseState from .*cut off after 40 bytes"),
        ('{"balances": []}', r"--spot"),
        ('{"BTC": "1.5",\n "ETH": "2"}', r"a JSON object of BTC, ETH: what can be read is"),
        ('{"snapshots": [], "warnings": []}', r"a JSON object of snapshots, warnings"),
    ],
)  # fmt: skip
def test_a_bad_file_is_refused_in_one_line_and_nothing_is_written(
    store: Store, written: Written, content: str | bytes, message: str
) -> None:
    good = written("good.csv", table(row(5)))
    with pytest.raises(BadInput, match=message) as caught:
        import_paths(store, [good, written("p.csv", content)])
    assert "p.csv" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2
    with pytest.raises(NothingStored, match="no positions are stored"):
        positions_as_of(store, None, "BTC")


def test_a_column_of_ours_that_there_is_not_is_refused_with_those_near_it(
    store: Store, written: Written
) -> None:
    with pytest.raises(BadInput, match=r"--columns: 'liq_prc' is no column of ours; near it: .*liq_px"):
        imported(store, written("p.csv", table(row(1))), columns={"liq_prc": "liqPx"})


def test_a_column_of_theirs_that_there_is_not_is_refused_with_those_there_are(
    store: Store, written: Written
) -> None:
    with pytest.raises(BadInput, match=r"no column 'nope' \(for leverage\); the file has addr"):
        imported(store, written("p.csv", table(row(1))), columns={"leverage": "nope"})


def test_a_missing_file_is_named(store: Store, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"none\.csv: no such file"):
        imported(store, tmp_path / "none.csv")


# ------------------------------------------------------------------------------------------- markets

MARKET = "ts,coin,mark,oi,funding,premium\n" + f"{T1},BTC,50000,100.5,0.0000125,\n{T2},BTC,51000,99,,\n"


def test_a_market_table_is_read_beside_positions_or_alone(store: Store, written: Written) -> None:
    market = written("m.csv", MARKET)
    summaries = import_paths(store, [written("p.csv", table(row(1)))], market=market)
    assert [one.kind for one in summaries] == ["positions", "markets"]
    assert imported(store, market).market_rows == 2
    found = coin_as_of(store, "BTC", FIRST)[1]
    assert found is not None
    assert (found.mark_px, found.open_interest, found.funding_rate) == (50_000.0, 100.5, 0.0000125)


def test_several_market_tables_and_metas_are_all_read(store: Store, written: Written) -> None:
    markets = [written(f"{coin}.csv", MARKET.replace("BTC", coin)) for coin in ("BTC", "ETH")]
    builder = json.loads(json.dumps(META).replace('"BTC"', '"xyz:BTC"').replace('"ETH"', '"xyz:ETH"'))
    metas = [written("main.json", json.dumps([META, [CTX] * 2])), written("xyz.json", json.dumps(builder))]
    account = written("a.json", json.dumps(state(btc(1.0, 45_000.0))))
    import_paths(store, [account], market=markets, meta=metas)
    assert all(last_market(store.database, VENUE, coin, FIRST) for coin in ("BTC", "ETH"))
    assert {dex: bool(stored_tables(store, [dex], SECOND)[0]) for dex in ("", "xyz", "abc")} == {
        "": True,
        "xyz": True,
        "abc": False,
    }
    with pytest.raises(BadInput, match="main dex"):
        import_paths(store, [account], meta=[metas[0], metas[0]])


def test_more_than_there_is_is_a_warning(store: Store, written: Written) -> None:
    market = written("m.csv", MARKET.replace("100.5", "0.0005"))
    summary = import_paths(store, [written("p.csv", table(row(1), row(2, "1.0")))], market=market)[0]
    assert len(summary.warnings) == 1
    assert imported(store, written("p.csv", table(row(1)))).warnings == summary.warnings, "also as stored"
    assert imported(store, written("n.csv", MARKET.replace("100.5", "100500000"))).warnings


def test_positions_offered_as_market_are_refused(store: Store, written: Written) -> None:
    path = written("p.csv", table(row(1)))
    with pytest.raises(BadInput, match="--market"):
        import_paths(store, [path], market=path)


# ------------------------------------------------------------------------------------------ accounts


def test_an_account_answer_is_a_reading_of_that_account_only(store: Store, written: Written) -> None:
    imported(store, written("all.csv", table(row(1), row(2))))
    later = NOW_MS + 3_600_000
    path = written("a.json", json.dumps(state(btc(1.0, 45_000.0), time=later)))
    summary = imported(store, path, address=address_of(2).upper().replace("0X", "0x"))
    assert (summary.kind, summary.positions, summary.readings) == ("account", 1, 1)
    assert positions_as_of(store).sort("address")["szi"].to_list() == [-2.0, 1.0]


def test_an_account_without_positions_takes_its_old_ones_away(store: Store, written: Written) -> None:
    imported(store, written("all.csv", table(row(1), row(2))))
    imported(store, written("a.json", json.dumps(state(time=NOW_MS + 3_600_000))), address=address_of(2))
    assert positions_as_of(store)["address"].to_list() == [address_of(1)]


def test_accounts_without_address_are_distinguished_by_their_files(store: Store, written: Written) -> None:
    content = json.dumps(state(btc(1.0, 45_000.0)))
    paths = [written("one/state.json", content), written("two/state.json", content)]
    summaries = import_paths(store, paths)
    assert positions_as_of(store)["address"].to_list() == ["file:one/state", "file:two/state"]
    assert note("account_not_named", label="file:one/state") == summaries[0].notes[0]


def test_one_address_cannot_own_two_files(store: Store, written: Written) -> None:
    paths = [written(name, json.dumps(state())) for name in ("a.json", "b.json")]
    with pytest.raises(BadInput, match="--address belongs to one account file, and 2"):
        import_paths(store, paths, address=address_of(1))
    with pytest.raises(BadInput, match="'0x12' is no address"):
        import_paths(store, paths[:1], address="0x12")


def test_meta_gives_margin_tables_and_marks_and_is_remembered(store: Store, written: Written) -> None:
    path = written("a.json", json.dumps(state(btc(1.0, 45_569.6202531646, isolated_raw_usd=-45_000.0))))
    assert imported(store, path, address=address_of(1)).statuses == {"exchange_only": 1}
    summaries = import_paths(
        store, [path], meta=written("m.json", json.dumps([META, [CTX] * 2])), address=address_of(1)
    )
    assert summaries[0].statuses == {"agree": 1}
    assert summaries[1].market_rows == 2
    found = coin_as_of(store, "BTC")[1]
    assert found is not None
    assert (found.mark_px, found.as_of.timestamp() * 1000) == (MARK_PX, NOW_MS)
    again = imported(store, path, address=address_of(1))
    assert again.statuses == {"agree": 1}
    assert any("margin tables of the main dex as stored of 2026-08-21" in one.text for one in again.notes)


def test_a_spot_state_tells_the_mode_and_the_pool(store: Store, written: Written) -> None:
    spot = {"balances": [], "tokenToAvailableAfterMaintenance": [[0, "9375.0"]]}
    path = written("a.json", json.dumps(state(btc(-1.0, 60_000 / 1.0125), account_value=5.0)))
    summary = imported(
        store, path, meta=written("m.json", json.dumps(META)), spot=written("s.json", json.dumps(spot))
    )
    assert summary.statuses == {"agree": 1}
    assert positions_as_of(store)["account_mode"].to_list() == ["unified"]


def test_an_answer_without_time_is_dated_by_option_path_or_file(store: Store, written: Written) -> None:
    answer = state(btc(1.0, 45_000.0))
    del answer["time"]
    path = written("capture-2026-09-06/a.json", json.dumps(answer))
    assert imported(store, path, as_of=FIRST).last == FIRST
    by_path = imported(store, path)
    assert by_path.last == datetime(2026, 9, 6, tzinfo=UTC)
    assert any(one.code == "dated_by_path" for one in by_path.notes)
    by_file = imported(store, written("plain/a.json", json.dumps(answer)))
    assert any(one.code == "dated_by_file" for one in by_file.notes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"crossMaintenanceMarginUsed": None}, r"\$\.crossMaintenanceMarginUsed is null"),
        ({"time": "noon"}, r"\$\.time is \"noon\""),
        ({"assetPositions": [{"position": {**btc(1.0, 45_000.0), "szi": "many"}}]}, r"szi is \"many\""),
    ],
)
def test_a_wrong_type_in_an_answer_is_named_by_its_path(
    store: Store, written: Written, change: dict[str, object], message: str
) -> None:
    with pytest.raises(BadInput, match=rf"clearinghouseState from .*a\.json: {message}|{message}"):
        imported(store, written("a.json", json.dumps({**state(), **change})))


def test_a_meta_that_is_none_is_refused(store: Store, written: Written) -> None:
    path = written("a.json", json.dumps(state()))
    with pytest.raises(BadInput, match=r"neither a `meta` nor a `metaAndAssetCtxs`"):
        imported(store, path, meta=path)
