"""Whatever answers of accounts are saved in, the same accounts come out; a bad one takes no other with it."""

import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from info_endpoint import NOW_MS, address_of, btc, state

from liqtruth.heatmap.errors import BadInput
from liqtruth.indexer.errors import ImportRefused
from liqtruth.indexer.files.account_imports import AccountsRead, Asked, read_accounts
from liqtruth.indexer.files.answers.account_files import answers_of_folder
from liqtruth.indexer.files.answers.answers import Answer, answers_of_document, answers_of_lines, is_lines
from liqtruth.indexer.files.imports import import_paths
from liqtruth.indexer.positions.readings import positions_as_of
from liqtruth.storage.files.content import head_of, lines_of, read_content
from liqtruth.storage.store import Store

States = dict[str, dict[str, Any]]
"""By address."""


def xyz(coin: str = "xyz:TSLA") -> dict[str, Any]:
    return {**btc(1.0, 45_000.0), "coin": coin}


def lines(documents: list[Any]) -> bytes:
    return "\n".join(map(json.dumps, documents)).encode()


def frame(channel: str, data: Any) -> dict[str, Any]:
    return {"channel": channel, "data": data}


def each(wrap: Callable[[str, dict[str, Any]], Any]) -> Callable[[States], bytes]:
    """JSON lines, one a state."""
    return lambda states: lines([wrap(address, one) for address, one in states.items()])


WRAPPINGS: dict[str, Callable[[States], bytes]] = {
    "user and clearinghouseState": each(lambda a, s: {"user": a, "clearinghouseState": s}),
    "address, dex and state": each(lambda a, s: {"address": a, "dex": "", "state": s}),
    "upper case address": each(lambda a, s: {"address": "0x" + a[2:].upper(), "state": s}),
    "user beside the fields": each(lambda a, s: {"user": a, **s}),
    "request and response": each(lambda a, s: {"request": {"user": a, "dex": ""}, "response": s}),
    "dex to state": each(lambda a, s: {"user": a, "dexToClearinghouseState": [["", s]]}),
    "frames of clearinghouseState": each(
        lambda a, s: frame("clearinghouseState", {"dex": "", "user": a, "clearinghouseState": s})
    ),
    "frames of allDexsClearinghouseState": each(
        lambda a, s: frame("allDexsClearinghouseState", {"user": a, "clearinghouseStates": [["", s]]})
    ),
    "frames of webData2": each(lambda a, s: frame("webData2", {"user": a, "clearinghouseState": s})),
    "frames among others": lambda states: lines(
        [
            frame("subscriptionResponse", {"method": "subscribe"}),
            *(frame("webData2", {"user": a, "clearinghouseState": s}) for a, s in states.items()),
            frame("webData3", {"userState": {"abstraction": "default"}, "perpDexStates": []}),
            frame("pong", None),
        ]
    ),
    "array": lambda states: json.dumps([{"user": a, "state": s} for a, s in states.items()]).encode(),
    "array, indented": lambda states: json.dumps(
        [{"user": a, "state": s} for a, s in states.items()], indent=1
    ).encode(),
    "by address": lambda states: json.dumps(states).encode(),
    "by address, wrapped": lambda states: json.dumps(
        {a: {"clearinghouseState": s} for a, s in states.items()}
    ).encode(),
    "a batch with its request": lambda states: json.dumps(
        {
            "request": {"type": "batchClearinghouseStates", "users": [*states]},
            "response": [*states.values()],
        }
    ).encode(),
    "a batch with its accounts": lambda states: json.dumps(
        {"users": [*states], "states": [*states.values()]}
    ).encode(),
    "a batch by JSON-RPC": lambda states: json.dumps(
        {
            "jsonrpc": "2.0",
            "result": {
                "successful_states": [{"address": a, "data": s} for a, s in states.items()],
                "failed_wallets": [],
            },
        }
    ).encode(),
    "snapshots": lambda states: json.dumps(
        {"snapshots": [{"user": a, "clearinghouse_state": s} for a, s in states.items()]}
    ).encode(),
}


def read(content: bytes, dex: str = "") -> AccountsRead:
    """Without a store, the way that the file door goes."""
    who = Answer("x", b"")
    entries = (
        answers_of_lines(content.split(b"\n"), who)
        if is_lines(content)
        else answers_of_document(content, who)
    )
    return read_accounts(entries, asked(Path("x"), dex))


def asked(path: Path, dex: str = "") -> Asked:
    def undated() -> Any:
        raise AssertionError("every answer has a time")

    return Asked(
        path=path, source="x", label=None, dex=dex, spot=None, undated=undated,
        collateral_token=lambda dex, ms: 0,
    )  # fmt: skip


def reported(found: AccountsRead) -> list[tuple[Any, ...]]:
    return sorted(found.positions.select("address", "dex", "coin", "szi", "liq_px_exchange").iter_rows())


sizes = st.one_of(st.floats(0.001, 1e6), st.floats(-1e6, -0.001))
accounts = st.dictionaries(
    st.integers(1, 50).map(address_of),
    st.one_of(st.just([]), sizes.map(lambda szi: [btc(szi, 45_000.0)])).map(
        lambda holdings: state(*holdings)
    ),
    min_size=1,
    max_size=6,
)


@pytest.mark.parametrize("wrapping", WRAPPINGS)
@given(states=accounts)
def test_every_wrapping_gives_the_accounts_that_were_wrapped(wrapping: str, states: States) -> None:
    found = read(WRAPPINGS[wrapping](states))
    assert sorted(found.accounts["address"]) == sorted(states)
    assert found.left_out.total == 0
    assert reported(found) == sorted(
        (address, "", "BTC", float(one["position"]["szi"]), 45_000.0)
        for address, answer in states.items()
        for one in answer["assetPositions"]
    )


def test_a_batch_loses_only_the_accounts_that_it_has_no_state_of() -> None:
    asked_of = [address_of(n) for n in (1, 2, 3)]
    states = [state(btc(1.0, 45_000.0)), None, state(btc(-2.0, 61_000.0))]
    found = read(json.dumps({"users": asked_of, "states": states}).encode())
    assert sorted(found.accounts["address"]) == [address_of(1), address_of(3)]
    assert found.left_out.counts == {"accounts": 1}
    failed = {
        "result": {
            "successful_states": [{"address": asked_of[0], "data": states[0]}],
            "failed_wallets": [{"address": asked_of[1], "error": "timeout"}, asked_of[2]],
        }
    }
    found = read(json.dumps(failed).encode())
    assert (found.accounts["address"].to_list(), found.left_out.total) == ([address_of(1)], 2)


def test_a_batch_with_fewer_answers_than_accounts_is_refused() -> None:
    content = json.dumps({"users": [address_of(1), address_of(2)], "states": [state()]}).encode()
    with pytest.raises(ImportRefused, match="answers must be as many as users, got 1 and 2"):
        read(content)


def broken(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    answer = state(btc(1.0, 45_000.0))
    change(answer)
    return answer


BAD: dict[str, dict[str, Any]] = {
    "no margin": broken(lambda s: s.pop("marginSummary")),
    "a time of 2286": broken(lambda s: s.update(time=9_999_999_999_000)),
    "a time in seconds": broken(lambda s: s.update(time=NOW_MS // 1000)),
    "a time of 1970": broken(lambda s: s.update(time=1)),
    "a coin twice": state(btc(1.0, 45_000.0), btc(2.0, 45_000.0)),
    "coins of two dexes": state(btc(1.0, 45_000.0), xyz()),
    "coins of two builder dexes": state(xyz(), xyz("abc:GOLD")),
    "a price below nothing": broken(lambda s: s["assetPositions"][0]["position"].update(liquidationPx="-5")),
    "a price beyond belief": broken(
        lambda s: s["assetPositions"][0]["position"].update(liquidationPx="1e308")
    ),
    "a size of text": broken(lambda s: s["assetPositions"][0]["position"].update(szi="many")),
    "positions that are no list": broken(lambda s: s.update(assetPositions="none")),
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
@pytest.mark.parametrize("bad", BAD)
def test_one_bad_account_is_left_out_and_the_others_are_read(wrapping: str, bad: str) -> None:
    states = {address_of(1): state(btc(1.0, 45_000.0)), address_of(2): BAD[bad], address_of(3): state()}
    found = read(WRAPPINGS[wrapping](states))
    assert sorted(found.accounts["address"]) == [address_of(1), address_of(3)]
    assert found.left_out.total == 1


@pytest.mark.parametrize("bad", BAD)
def test_where_no_account_can_be_read_the_file_is_refused(bad: str) -> None:
    for count in (1, 3):
        with pytest.raises(BadInput):
            read(lines([{"user": address_of(n), "state": BAD[bad]} for n in range(1, count + 1)]))


@pytest.mark.parametrize(
    "line",
    [
        json.dumps({"user": address_of(9), "state": {**state(), "time": "\ud800"}}).encode(),
        b"{", b"nothing", b"[1]", b"\xff\xfe", b"[" * 5000, b"{}", b'{"user": "0x12"}', b"null",
        b'{"user": 5, "state": {}}', b'{"state": {"state": {"state": {"state": {"state": {"state": {}}}}}}}',
        json.dumps({"user": "0x12", "state": state()}).encode(), json.dumps({"state": state()}).encode(),
    ],
)  # fmt: skip
def test_a_line_that_is_none_is_left_out(line: bytes) -> None:
    good = lines([{"user": address_of(1), "state": state()}])
    found = read(good + b"\n" + line + b"\n\n" + good.replace(address_of(1).encode(), address_of(2).encode()))
    assert found.accounts.height == 2
    assert found.left_out.total == 1


def test_the_prefix_of_the_coins_decides_the_dex_and_a_conflict_is_left_out() -> None:
    entry = {"user": address_of(1), "state": state(xyz())}
    assert read(lines([entry] * 1 + [{**entry, "user": address_of(2), "dex": "xyz"}])).accounts[
        "dex"
    ].to_list() == ["xyz", "xyz"]
    assert read(lines([entry, {**entry, "user": address_of(2), "dex": "abc"}])).left_out.total == 1
    with pytest.raises(BadInput):
        read(lines([entry, entry]), dex="abc")


def test_an_account_without_positions_is_of_the_dex_that_is_reported() -> None:
    found = read(
        lines(
            [
                {"user": address_of(1), "dex": "xyz", "state": state()},
                {"user": address_of(1), "state": state()},
            ]
        )
    )
    assert sorted(found.accounts["dex"]) == ["", "xyz"]


def with_keys_twice() -> dict[str, str]:
    """Lines about account 9 in which a key is there twice, or two fields contradict each other."""
    whole = json.dumps({"user": address_of(9), "state": state(btc(1.0, 45_000.0))})
    mine, other = f'"user": "{address_of(9)}"', f'"user": "{address_of(8)}"'
    return {
        "a size": whole.replace('"szi": "1.0"', '"szi": "1.0", "szi": "-7"'),
        "an escaped size": whole.replace('"szi": "1.0"', '"szi": "1.0", "s\\u007ai": "-7"'),
        "a leverage": whole.replace('"value": 10', '"value": 10, "value": 40'),
        "raw USD": whole.replace('"cross", "value"', '"isolated", "rawUsd": "1", "rawUsd": "2", "value"'),
        "a time": whole.replace('"time"', '"time": 1787310000000, "time"'),
        "an owner": whole.replace(mine, f"{mine}, {other}"),
        "a state": whole.replace('"state"', '"state": {}, "state"'),
        "two owners": whole.replace(mine, other.replace("user", "address") + f", {mine}"),
    }


@pytest.mark.parametrize("twice", with_keys_twice())
@pytest.mark.parametrize("indent", [None, 1])
def test_an_account_of_which_a_key_is_there_twice_is_left_out(twice: str, indent: int | None) -> None:
    line = with_keys_twice()[twice].replace(", ", ", " if indent is None else ",  \t")
    good = {"user": address_of(1), "state": state(btc(1.0, 45_000.0)), "new": {"coin": "a", "time": 1}}
    found = read(lines([good]) + b"\n" + line.encode())
    assert found.accounts["address"].to_list() == [address_of(1)]
    assert found.left_out.total == 1


@pytest.mark.parametrize("indent", [None, 1])
def test_an_object_by_address_loses_only_what_is_there_twice_or_foreign(indent: int | None) -> None:
    one, other = (json.dumps(state(btc(szi, 45_000.0)), indent=indent) for szi in (1.0, 2.0))

    def of(*members: tuple[str, str]) -> bytes:
        return ("{" + ", ".join(f'"{name}": {value}' for name, value in members) + "}").encode()

    good = [(address_of(n), one) for n in (1, 2)]
    differing = read(of(*good, (address_of(2), other), (address_of(3), one)))
    assert sorted(differing.accounts["address"]) == [address_of(1), address_of(3)]
    assert differing.left_out.total == 1
    assert read(of(*good, good[0])).left_out.total == 0, "the same word for word"
    for foreign in (("foo", one), ("0x12", one), ("foo", "5"), ("foo", "null")):
        found = read(of(foreign, *good))
        assert sorted(found.accounts["address"]) == [address_of(1), address_of(2)]
        assert found.left_out.total == 1
        assert foreign[0] in found.left_out.first["accounts"]
    assert read(of(("time", str(NOW_MS)), *good)).left_out.total == 0


def changed(**fields: object) -> dict[str, Any]:
    """A long of 1 BTC bought at its mark of 50,000, with fields of another position."""
    return {**btc(1.0, 45_000.0), **fields}


CONTRADICTING = {
    "another size": changed(szi="-7"),
    "the other side": changed(szi="-1", entryPx="48000", unrealizedPnl="2000", liquidationPx="60000"),
    "a size in USD": changed(szi="50000"),
    "a value of another unit": changed(positionValue="5000000"),
    "a value of zero": changed(positionValue="0"),
    "an entry of another coin": changed(entryPx="2000"),
    "a profit in percent of another": changed(unrealizedPnl="-30000"),
}


@pytest.mark.parametrize("wrong", CONTRADICTING)
def test_an_account_that_contradicts_itself_is_left_out_and_most_are_refused(wrong: str) -> None:
    good = [{"user": address_of(n), "state": state(btc(float(n), 45_000.0))} for n in (1, 2)]
    bad = {"user": address_of(9), "state": state({**btc(1.0, 1.0), "coin": "ETH"}, CONTRADICTING[wrong])}
    found = read(lines([bad, *good]))
    assert sorted(found.accounts["address"]) == [address_of(1), address_of(2)]
    assert set(found.positions["address"]) == {address_of(1), address_of(2)}
    assert found.left_out.total == 1
    with pytest.raises(BadInput, match="--keep-contradictions"):
        read(lines([bad]))
    who = replace(asked(Path("x")), keep=True)
    kept = read_accounts(answers_of_lines([json.dumps(bad).encode()], Answer("x", b"")), who)
    assert (kept.positions.height, kept.left_out.total) == (2, 0)


def test_the_same_answer_twice_is_read_once_and_two_of_one_moment_not_at_all() -> None:
    one = {"user": address_of(1), "state": state(btc(1.0, 45_000.0))}
    other = {"user": address_of(1), "state": state(btc(2.0, 45_000.0))}
    third = {"user": address_of(2), "state": state(btc(3.0, 45_000.0))}
    assert reported(read(lines([one, one, third]))) == reported(read(lines([one, third])))
    found = read(lines([one, other, third]))
    assert found.accounts["address"].to_list() == [address_of(2)]
    assert found.left_out.total == 1


def test_frames_of_one_account_over_time_are_its_history(store: Store, tmp_path: Path) -> None:
    frames = [
        frame(
            "webData2",
            {"user": address_of(1), "clearinghouseState": state(*holdings, time=NOW_MS + 1000 * n)},
        )
        for n, holdings in enumerate([[btc(1.0, 45_000.0)], [btc(2.0, 45_000.0)], []])
    ]
    path = tmp_path / "frames.jsonl"
    path.write_bytes(lines(frames[:2]))
    import_paths(store, [path])
    assert positions_as_of(store)["szi"].to_list() == [2.0]
    path.write_bytes(lines(frames))
    import_paths(store, [path])
    assert positions_as_of(store).is_empty()


@pytest.mark.parametrize("mode", ["unifiedAccount", None])
def test_spot_states_beside_their_accounts_tell_the_pool(mode: str | None) -> None:
    spot = {"balances": [], "tokenToAvailableAfterMaintenance": [[0, "9375.0"]]}
    entry = {"user": address_of(1), "state": state(btc(1.0, 45_000.0)), "spot": spot, "mode": mode}
    found = read(lines([entry, {"user": address_of(2), "state": state(btc(1.0, 45_000.0))}]))
    assert found.positions["account_mode"].to_list() == ["unified", None]
    assert found.positions["pooled_available_usd"].to_list() == [9375.0, None]


def test_a_folder_is_read_by_names_and_what_is_no_account_is_reported(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / f"{address_of(number)}.json").write_text(json.dumps(state(btc(1.0, 45_000.0))))
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / f"{address_of(3)}.json.gz").write_bytes(gzip.compress(json.dumps(state()).encode()))
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "other.json").write_text(json.dumps({"user": address_of(8), "state": state()}))
    (tmp_path / f"{address_of(4)}.json").write_text('{"marginSummary"')
    wrong = {"user": address_of(9), "state": state()}
    (tmp_path / f"{address_of(5)}.json").write_text(json.dumps(wrong))
    found = read_accounts(answers_of_folder(tmp_path, read_content), asked(tmp_path))
    assert sorted(found.accounts["address"]) == [address_of(1), address_of(2), address_of(3)]
    assert found.left_out.total == 2, "the one that breaks off and the one that says it is another"
    assert any({"notes.txt", "other.json"} <= {*one.values.get("names", ())} for one in found.notes)


def test_a_folder_in_which_no_file_is_named_after_an_address_is_read_whole(tmp_path: Path) -> None:
    for number in (1, 2):
        entry = {"user": address_of(number), "state": state()}
        (tmp_path / f"{number}.json").write_text(json.dumps(entry))
    found = read_accounts(answers_of_folder(tmp_path, read_content), asked(tmp_path))
    assert found.accounts.height == 2


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress])
def test_lines_are_the_same_however_they_are_packed(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    content = b"\n".join([b"x" * 3_000_000, b"", b"y", b"z" * 1_500_000])
    path = tmp_path / "lines"
    path.write_bytes(pack(content))
    assert list(lines_of(path)) == content.split(b"\n")
    assert head_of(path) == content if len(content) < 2**22 else head_of(path).endswith(b"\n")


def test_a_file_that_unpacks_to_much_more_than_it_is_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.jsonl.gz"
    good = lines([{"user": address_of(1), "state": state()}] * 2) + b"\n"
    path.write_bytes(gzip.compress(good + b"\n" * 200_000_000))
    with pytest.raises(BadInput, match=r"bomb\.jsonl\.gz"):
        list(lines_of(path))
