"""Realised liquidations out of a node's fills, and the funding census: each liquidation once, whatever repeats it."""

import gzip
import json
import os
import random
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import lz4.frame
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from liqtruth.heatmap.errors import BadInput
from liqtruth.indexer.errors import ImportRefused, WireError
from liqtruth.indexer.frames import LIQUIDATIONS
from liqtruth.indexer.node.fills import DATASET, import_fills, read_liquidations
from liqtruth.indexer.positions.markets import VENUE
from liqtruth.storage.store import Store

NOON_MS = 1_788_264_000_000
NOW_MS = int(datetime.now(UTC).timestamp() * 1000)
VICTIM, TAKER = "0x" + "11" * 20, "0x" + "22" * 20
NO_HASH = "0x" + "0" * 64

Fill = Mapping[str, Any]
Pair = tuple[str, Fill]


def fill(tid: int, px: float = 100.0, sz: float = 1.0, side: str = "A", **other: Any) -> Fill:
    return {"coin": "BTC", "px": str(px), "sz": str(sz), "side": side, "time": NOON_MS, "hash": "0x" + "ab" * 32,
            "tid": tid, "oid": 7, "startPosition": "3.0", "dir": "Close Long", "fee": "0.1", **other}  # fmt: skip


def both_sides(tid: int, victim: str = VICTIM, **given: Any) -> list[Pair]:
    """The two fills of one trade of a liquidation, as the node writes them."""
    message: dict[str, Any] = {
        "liquidation": {"liquidatedUser": victim, "markPx": "99.5", "method": given.pop("method", "market")}
    }
    own = fill(tid, **given, **message)
    return [(victim, own), (TAKER, {**own, "side": "B" if own["side"] == "A" else "A", "oid": 8})]


def by_block(pairs: Sequence[Pair]) -> str:
    block = {
        "local_time": "x",
        "block_time": "y",
        "block_number": 1,
        "events": [list(pair) for pair in pairs],
    }
    return json.dumps(block) + "\n"


def one_by_one(pairs: Sequence[Pair]) -> str:
    return "".join(json.dumps(pair) + "\n" for pair in pairs)


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


sizes = st.lists(st.tuples(st.floats(1, 1e5), st.floats(1e-4, 1e4)), min_size=1, max_size=8)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    per_victim=st.lists(sizes, min_size=1, max_size=4), side=st.sampled_from("AB"), seed=st.integers(0, 99)
)
def test_each_liquidations_notional_is_counted_once_however_often_its_fills_are_repeated(
    tmp_path: Path, per_victim: list[list[tuple[float, float]]], side: str, seed: int
) -> None:
    pairs = [
        pair
        for number, trades in enumerate(per_victim)
        for k, (px, sz) in enumerate(trades)
        for pair in both_sides(100 * number + k, f"0x{number:040x}", px=px, sz=sz, side=side)
    ]
    pairs += [(TAKER, fill(9999, px=5.0))]
    random.Random(seed).shuffle(pairs)
    half = len(pairs) // 2
    first = write(tmp_path / "first", one_by_one(pairs))
    second = write(tmp_path / "second", by_block(pairs[:half]) + by_block(pairs[half:]))
    read = read_liquidations([first, second])
    found = {row["address"]: row for row in read.liquidations.iter_rows(named=True)}
    assert len(found) == len(per_victim)
    for number, trades in enumerate(per_victim):
        row, size = found[f"0x{number:040x}"], sum(sz for _, sz in trades)
        assert row["notional_usd"] == pytest.approx(sum(px * sz for px, sz in trades), rel=1e-12)
        assert row["size"] == pytest.approx(size, rel=1e-12)
        assert row["mean_px"] == pytest.approx(row["notional_usd"] / size, rel=1e-12)
        assert (row["fills"], row["side"]) == (len(trades), "long" if side == "A" else "short")
    trades_in_all = sum(len(trades) for trades in per_victim)
    assert (read.counterparty_fills, read.repeated_fills) == (trades_in_all, 2 * trades_in_all)


def test_other_hashes_coins_and_methods_are_other_liquidations(tmp_path: Path) -> None:
    other = "0x" + "cd" * 32
    pairs = [
        *both_sides(1),
        *both_sides(2, hash=other),
        *both_sides(3, coin="ETH"),
        *both_sides(4, method="backstop"),
    ]
    rows = read_liquidations([write(tmp_path / "fills", by_block(pairs))]).liquidations
    assert rows.height == 4
    assert sorted(rows["method"]) == ["backstop", "market", "market", "market"]


def test_without_a_hash_the_time_tells_liquidations_apart(tmp_path: Path) -> None:
    later = both_sides(3, hash=NO_HASH, time=NOON_MS + 30_000)
    pairs = [*both_sides(1, hash=NO_HASH), *both_sides(2, hash=NO_HASH), *later]
    rows = read_liquidations([write(tmp_path / "fills", by_block(pairs))]).liquidations
    assert rows["fills"].to_list() == [2, 1]


def test_what_only_the_other_side_shows_is_noted_and_not_counted(tmp_path: Path) -> None:
    own, theirs = both_sides(1)
    nobody = (VICTIM, fill(2, liquidation={"markPx": "99.5", "method": "market"}))
    read = read_liquidations([write(tmp_path / "fills", one_by_one([theirs, nobody]))])
    assert read.liquidations.is_empty()
    assert read.notes == (
        "1 fill with a liquidation of no named account, left out",
        "1 fill of counterparties whose liquidated side no file has, left out",
    )
    assert read_liquidations([write(tmp_path / "own", one_by_one([own]))]).liquidations.height == 1


def test_liquidations_are_kept_per_coin_and_importing_again_adds_none(tmp_path: Path, store: Store) -> None:
    path = write(tmp_path / "fills", by_block([*both_sides(1), *both_sides(2, coin="xyz:TSLA")]))
    assert [import_fills(store, [path]).added for _ in range(2)] == [2, 0]
    assert store.lake.series_coins(DATASET) == [(VENUE, "BTC"), (VENUE, "xyz:TSLA")]
    later = write(tmp_path / "later", by_block(both_sides(3, time=NOON_MS + 86_400_000, hash="0x2")))
    assert import_fills(store, [path, later]).added == 1
    rows = store.lake.read_series(DATASET, VENUE, "BTC", LIQUIDATIONS)
    assert rows["ts"].dt.day().to_list() == [1, 2]


def test_files_without_liquidations_bring_none_and_say_so(tmp_path: Path, store: Store) -> None:
    done = import_fills(store, [write(tmp_path / "fills", by_block([(TAKER, fill(1))]))])
    assert done.describe()[1] == "  no liquidation among them"
    assert done.added == 0


def test_a_last_line_still_being_written_is_left_out_and_noted(tmp_path: Path) -> None:
    line = by_block(both_sides(2))
    read = read_liquidations([write(tmp_path / "17", by_block(both_sides(1)) + line[: len(line) // 2])])
    assert read.liquidations.height == 1
    assert "the last line breaks off" in read.notes[0]


GOOD = by_block(both_sides(1))
SPOILED: dict[str, tuple[str, str]] = {
    "garbage": ("garbage\n", "1 lines left out, e.g. .*:2: no JSON object or pair: 'garbage'"),
    "half a line": ('{"events": [\n', "1 lines left out, e.g. .*:2: no JSON"),
    "no fills": (
        '{"time": "liquidation", "liquidation": 1}\n',
        r"1 lines left out, e.g. .*:2: Object missing",
    ),
    "not UTF-8": (
        '{"events": [["liquidation", "\udcff"]]}\n',
        r"1 fills left out, e.g. .*:2: \$\.events\[0\]",
    ),
    "nested": ("[" * 5_000 + '"liquidation"' + "]" * 5_000 + "\n", r"1 lines left out, e.g. .*:2: "),
    "no address": (by_block([("0x12", fill(2, liquidation={}))]), r"1 fills left out, .*\$\.events\[0\]"),
    "price below zero": (by_block(both_sides(2, px=-1.0)), r"2 fills left out, .*:2: \$\.events\[0\]: .*px"),
    "endless price": (by_block(both_sides(2, px="9" * 400)), r"2 fills left out, .*\$\.events\[0\]"),
    "no size": (by_block(both_sides(2, sz=0.0)), r"2 fills left out"),
    "huge size": (by_block(both_sides(2, sz=1e30)), r"2 fills left out"),
    "no side": (by_block(both_sides(2, side="C")), r"1 fills left out, .*side"),
    "no number": (
        one_by_one(both_sides(2, time="noon")),
        r"2 lines left out, e.g. .*:2: Expected `int`",
    ),
    "huge number": (by_block(both_sides(2**64)), r"2 fills left out"),
    "coin of a path": (by_block(both_sides(2, coin="..")), r"2 fills left out, .*:2: .*\.\."),
    "1970": (by_block(both_sides(2, time=1_000)), r"2 fills left out"),
    "2019": (
        by_block(both_sides(2, time=1_577_836_799_999)),
        r"2 fills left out, .*time",
    ),
    "tomorrow": (
        by_block(both_sides(2, time=NOW_MS + 86_400_000)),
        r"2 fills left out, .*time \d+ is not a time from",
    ),
    "2286": (
        by_block(both_sides(2, time=9_999_999_999_999)),
        r"2 fills left out, .*time",
    ),
}


@pytest.mark.parametrize("kind", SPOILED)
def test_what_is_not_as_documented_is_left_out_and_named_and_the_rest_is_read(
    tmp_path: Path, kind: str
) -> None:
    text, message = SPOILED[kind]
    path = tmp_path / "17"
    path.write_bytes((GOOD + text + by_block(both_sides(3, coin="ETH"))).encode(errors="surrogateescape"))
    read = read_liquidations([path])
    assert sorted(read.liquidations["coin"]) == ["BTC", "ETH"]
    [line] = read.left_out.describe()
    assert re.match(message, line), line


@pytest.mark.parametrize("kind", ["garbage", "half a line", "no fills", "nested", "no number"])
def test_a_file_of_nothing_but_that_is_refused_in_one_line(tmp_path: Path, kind: str) -> None:
    text, _ = SPOILED[kind]
    with pytest.raises(WireError, match=r"17:1: ") as caught:
        read_liquidations([write(tmp_path / "17", text)])
    assert "\n" not in str(caught.value)


def test_one_file_that_cannot_be_read_is_left_out_whole_and_the_others_are_read(tmp_path: Path) -> None:
    (tmp_path / "17.gz").write_bytes(gzip.compress(by_block(both_sides(1)).encode() * 50)[:-20])
    read = read_liquidations(
        [write(tmp_path / "18", by_block(both_sides(2, coin="ETH"))), tmp_path / "17.gz"]
    )
    assert read.liquidations["coin"].to_list() == ["ETH"]
    assert read.left_out.counts == {"files": 1}


def test_a_line_of_any_length_is_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("liqtruth.indexer.node.events.LONGEST_LINE", 1000)
    text = GOOD + "{" + " " * 12_345 + "}\n" + by_block(both_sides(3, coin="ETH"))
    read = read_liquidations([write(tmp_path / "17", text)])
    assert sorted(read.liquidations["coin"]) == ["BTC", "ETH"]
    assert "longer than" in read.left_out.first["lines"]


@pytest.mark.parametrize("pack", [gzip.compress, lz4.frame.compress])
def test_an_archive_that_unpacks_to_far_more_than_itself_ends_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: Callable[[bytes], bytes]
) -> None:
    monkeypatch.setattr("liqtruth.indexer.node.formats.FREE_BYTES", 1 << 20)
    (tmp_path / "17").write_bytes(pack(b"[" + b" " * (40 << 20)))
    with pytest.raises(ImportRefused, match="unpacks to more than"):
        read_liquidations([tmp_path / "17"])


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "17")
    with pytest.raises(ImportRefused, match="no regular file"):
        read_liquidations([tmp_path / "17"])


byte_changes = st.lists(st.tuples(st.integers(0, 900), st.integers(0, 255)), max_size=6)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    changes=byte_changes,
    cut=st.tuples(st.integers(0, 900), st.integers(0, 40)),
    put=st.binary(max_size=9),
    pack=st.sampled_from([bytes, gzip.compress, lz4.frame.compress]),
    share=st.floats(0, 1),
)
def test_any_bytes_end_in_liquidations_or_in_one_printable_line(
    tmp_path: Path,
    changes: list[tuple[int, int]],
    cut: tuple[int, int],
    put: bytes,
    pack: Callable[[bytes], bytes],
    share: float,
) -> None:
    whole = bytearray(GOOD.encode() + one_by_one(both_sides(2)).encode())
    for at, byte in changes:
        whole[at] = byte
    whole[cut[0] : cut[0] + cut[1]] = put
    packed = pack(bytes(whole))
    (tmp_path / "17").write_bytes(packed[: round(share * len(packed))])
    message = ""
    try:
        rows = read_liquidations([tmp_path / "17"]).liquidations
    except BadInput as error:
        rows, message = pl.DataFrame(schema=LIQUIDATIONS), str(error)
    assert message.isprintable()
    assert rows["notional_usd"].is_finite().all()


def test_a_broken_archive_an_empty_folder_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "17.gz").write_bytes(gzip.compress(by_block(both_sides(1)).encode() * 50)[:-20])
    with pytest.raises(WireError, match="cut off after line"):
        read_liquidations([tmp_path / "17.gz"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ImportRefused, match="empty: holds no file"):
        read_liquidations([tmp_path / "empty"])
    with pytest.raises(ImportRefused, match=r"none: cannot be read: No such file"):
        read_liquidations([tmp_path / "none"])


# ------------------------------------------------------------------------------------------- funding census
