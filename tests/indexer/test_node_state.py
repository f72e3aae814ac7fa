"""A node's state file, written from the synthetic ledger, gives back the ledger's positions and liquidation prices.

The ledger's prices come from direct search, in a package that never imports the readers.
"""

import gzip
import re
import tracemalloc
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import lz4.frame
import msgpack
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from liqtruth.heatmap.errors import BadInput
from liqtruth.indexer.errors import ImportRefused, WireError
from liqtruth.indexer.maps.exact import exact_map
from liqtruth.indexer.node.imports import import_state
from liqtruth.indexer.node.state import NodeState, read_state
from liqtruth.indexer.positions.catalogue import known_coins
from liqtruth.indexer.positions.markets import stored_tables
from liqtruth.indexer.positions.readings import positions_as_of
from liqtruth.sandbox.hyperliquid.node_state import write_state, write_synthetic_state
from liqtruth.sandbox.market.market import Market
from liqtruth.sandbox.truth import true_positions
from liqtruth.storage.store import Store

Document = Any


@pytest.fixture(scope="module")
def state_file(tmp_path_factory: pytest.TempPathFactory, small_market: Market) -> Path:
    path = tmp_path_factory.mktemp("node") / "942770000.rmp"
    write_state(small_market, path)
    return path


@pytest.fixture(scope="module")
def marks(small_market: Market) -> Mapping[tuple[str, str], float]:
    rows = true_positions(small_market).select("dex", "coin", "mark_px").unique().iter_rows()
    return {(dex, coin): px for dex, coin, px in rows}


@pytest.fixture(scope="module")
def state(state_file: Path, marks: Mapping[tuple[str, str], float]) -> NodeState:
    return read_state(state_file, marks)


@pytest.fixture(scope="module")
def joined(state: NodeState, small_market: Market) -> pl.DataFrame:
    """Every position of the ledger beside what was read of it; the truth's columns end in `_true`."""
    truth = true_positions(small_market)
    both = truth.join(
        state.positions, on=["address", "dex", "coin"], how="full", suffix="_read", coalesce=True
    )
    return both.rename({name: f"{name}_true" for name in truth.columns if f"{name}_read" in both.columns})


@pytest.fixture
def changed(state_file: Path, tmp_path: Path) -> Callable[..., Path]:
    """Writes the state with something changed in its document."""

    def write(change: Callable[[Document], object]) -> Path:
        document = msgpack.unpackb(state_file.read_bytes(), strict_map_key=False)
        change(document)
        path = tmp_path / "changed.rmp"
        path.write_bytes(msgpack.packb(document))
        return path

    return write


def locus(document: Document) -> Document:
    return document["exchange"]["locus"]


def first_holder(document: Document) -> Document:
    return next(
        state for _, state in locus(document)["cls"][0]["user_states"]["user_to_state"] if state["p"]["p"]
    )


# -------------------------------------------------------------------------------------------------- truth


def test_every_position_of_the_ledger_is_read_exactly(joined: pl.DataFrame) -> None:
    assert joined.height > 300
    assert joined["szi_true"].equals(joined["szi_read"].rename("szi_true"))
    for name in ("margin_mode", "leverage", "max_leverage"):
        assert (joined[f"{name}_true"] == joined[f"{name}_read"]).all(), name
    assert ((joined["entry_px_true"] / joined["entry_px_read"] - 1).abs() < 1e-12).all()


def test_holdings_in_outcome_markets_are_no_positions(
    changed: Callable[..., Path], state: NodeState, marks: Mapping[tuple[str, str], float]
) -> None:
    """Their ids, from 100000000 on, would fall on those of perpetuals."""

    def hold(document: Document) -> None:
        for dex in locus(document)["cls"]:
            for _, account in dex["user_states"]["user_to_state"]:
                held = account["p"]["p"]
                outcome = {"s": 700, "e": 1_000_000, "l": {"C": 1}, "M": 1, "f": {"a": 0, "o": 0, "c": 0}}
                account["p"]["p"] = [[100_000_000, outcome], *held, [100_010_001, outcome]]

    read = read_state(changed(hold), marks)
    assert read.positions.drop("source").equals(state.positions.drop("source"))
    assert read.left_out.total == 0


@pytest.mark.parametrize(
    ("mode", "margin_mode", "at_least"),
    [
        ("standard", "cross", 100),
        ("standard", "isolated", 60),
        ("unified", "cross", 40),
        ("unified", "isolated", 15),
        ("portfolio", "isolated", 3),
    ],
)
def test_the_solved_price_is_the_ledgers(
    joined: pl.DataFrame, mode: str, margin_mode: str, at_least: int
) -> None:
    rows = joined.filter((pl.col("account_mode_read") == mode) & (pl.col("margin_mode_read") == margin_mode))
    assert rows.height >= at_least
    assert set(rows["status"]) <= {"solved_only", "never"}
    assert rows["liq_px_true"].is_null().equals(rows["liq_px_read"].is_null())
    error = (rows["liq_px_read"] / rows["liq_px_true"] - 1).abs().max()
    assert isinstance(error, float)
    assert error < 1e-9


def test_positions_of_the_builder_dex_and_grandfathered_ones_are_among_them(joined: pl.DataFrame) -> None:
    assert joined.filter(pl.col("dex") == "xyz").height > 5
    grandfathered = joined.filter((pl.col("margin_table_id") == 50) & (pl.col("status") == "solved_only"))
    assert grandfathered.height > 0
    assert set(grandfathered["max_leverage_read"]) == {50.0}


def test_a_cross_position_in_portfolio_margin_gets_no_invented_price(
    joined: pl.DataFrame, state: NodeState
) -> None:
    rows = joined.filter(
        (pl.col("account_mode_read") == "portfolio") & (pl.col("margin_mode_read") == "cross")
    )
    assert rows.height > 3
    assert set(rows["status"]) == {"unknown_collateral"}
    assert rows["liq_px_read"].is_null().all()
    assert any(f"{rows.height} portfolio" in note for note in state.notes)


def test_open_interest_is_what_all_longs_hold(state: NodeState, small_market: Market) -> None:
    truth = true_positions(small_market).filter(pl.col("szi") > 0).group_by("coin").agg(pl.col("szi").sum())
    read = dict(state.markets.select("coin", "open_interest").iter_rows())
    assert read == {coin: pytest.approx(size, rel=1e-12) for coin, size in truth.iter_rows()}
    assert state.violations == ()


def test_accounts_carry_cash_plus_the_value_of_their_positions(
    state: NodeState, small_market: Market
) -> None:
    ledger, mark = small_market.hyperliquid.ledger, small_market.path.mark_units[-1]
    equity = (ledger.cash + (ledger.cross_lots() * mark).sum(axis=1)) / 1e6
    of = dict(zip(small_market.addresses, equity.tolist(), strict=True))
    rows = state.accounts.filter((pl.col("account_mode") == "standard") & (pl.col("dex") == ""))
    assert rows.height > 100
    assert rows["cross_account_value_usd"].to_list() == pytest.approx(
        [of[a] for a in rows["address"]], rel=1e-9
    )


def test_without_marks_the_oracle_stands_for_them_and_it_is_reported(
    state_file: Path, small_market: Market
) -> None:
    read = read_state(state_file)
    assert "no mark given for 5 of 5 coins: oracle prices stand for them, approximately" in read.notes
    path, asset = small_market.path, small_market.spec.assets[0]
    btc = read.positions.filter(pl.col("coin") == "BTC")["mark_px"].unique().to_list()
    assert btc == [path.oracle_units[-1, 0] / asset.px_scale]


def test_marks_may_be_a_frame_and_may_leave_coins_out(state_file: Path, state: NodeState) -> None:
    frame = state.markets.select("dex", "coin", "mark_px")
    assert read_state(state_file, frame).positions.equals(state.positions)
    fewer = read_state(state_file, frame.filter(pl.col("coin") == "BTC"))
    assert any(note.startswith("no mark given for 4 of 5 coins") for note in fewer.notes)


# ------------------------------------------------------------------------------------------- other forms


def test_addresses_may_be_written_as_text(
    small_market: Market, tmp_path: Path, state: NodeState, marks: Any
) -> None:
    write_state(small_market, tmp_path / "text.rmp", binary_addresses=False)
    read = read_state(tmp_path / "text.rmp", marks).positions.drop("source")
    assert read.equals(state.positions.drop("source"))


@pytest.mark.parametrize("pack", [gzip.compress, lz4.frame.compress])
def test_a_compressed_state_is_read_alike(
    state_file: Path, tmp_path: Path, state: NodeState, marks: Any, pack: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "packed"
    path.write_bytes(pack(state_file.read_bytes()))
    assert read_state(path, marks).positions.drop("source").equals(state.positions.drop("source"))
    path.write_bytes(pack(state_file.read_bytes())[:-2000])
    with pytest.raises(WireError, match="cut off after"):
        read_state(path)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(["ctx", "cls", "ust", "scl"]), extra=st.text(max_size=5))
def test_the_order_of_the_parts_and_unknown_ones_change_nothing(
    changed: Callable[..., Path], state: NodeState, marks: Any, order: list[str], extra: str
) -> None:
    def shuffle(document: Document) -> None:
        parts = locus(document)
        document["exchange"]["locus"] = {f"?{extra}": [1, {"a": None}]} | {
            name: parts[name] for name in order
        }
        parts["cls"][0][f"?{extra}"] = {5: b"x"}
        first_holder(document)[f"?{extra}"] = 1.5

    read = read_state(changed(shuffle), marks)
    assert read.positions.drop("source").equals(state.positions.drop("source"))


def test_a_position_without_a_setting_has_its_assets_default(changed: Callable[..., Path]) -> None:
    def forget(document: Document) -> None:
        for _, account in locus(document)["cls"][0]["user_states"]["user_to_state"]:
            for _, position in account["p"]["p"]:
                if "C" in position["l"]:
                    del position["l"], position["M"]

    rows = read_state(changed(forget)).positions.filter(
        (pl.col("dex") == "") & (pl.col("margin_mode") == "cross")
    )
    assert dict(rows.select("coin", "leverage").unique().iter_rows()) == {
        "BTC": 20.0, "ETH": 20.0, "SOL": 20.0, "HYPE": 10.0,
    }  # fmt: skip


def test_an_empty_dex_and_positions_of_no_size_change_nothing(
    changed: Callable[..., Path], state: NodeState, marks: Any
) -> None:
    def add(document: Document) -> None:
        empty = {
            "meta": {"universe": [], "marginTableIdToMarginTable": [], "collateralToken": 0, "pdi": 2},
            "oracle": {"pxs": []},
            "user_states": {"users_with_positions": [], "asset_to_oi_szi": [], "user_to_state": []},
        }
        locus(document)["cls"].append(empty)
        accounts = locus(document)["cls"][0]["user_states"]["user_to_state"]
        flat = next(account for _, account in accounts if not account["p"]["p"])
        flat["p"]["p"].append([0, {"s": 0, "e": 0, "l": {"C": 5}, "M": 56}])

    read = read_state(changed(add), marks)
    assert read.violations == ()
    assert read.positions.drop("source").equals(state.positions.drop("source"))


def test_coins_of_a_builder_dex_without_its_name_are_not_mixed_with_the_main_ones(
    changed: Callable[..., Path],
) -> None:
    read = read_state(
        changed(lambda d: set_in(locus(d)["cls"][1]["meta"], "universe", 0, "name", value="BTC"))
    )
    assert set(read.tables) == {"", "dex1"}
    assert "dex1:BTC" in read.positions["coin"]
    assert any("dex 1 carry no dex name" in note for note in read.notes)


def test_collateral_in_a_token_of_unknown_unit_leaves_the_pool_unknown(
    changed: Callable[..., Path], marks: Any
) -> None:
    def in_other_token(document: Document) -> None:
        locus(document)["cls"][0]["meta"]["collateralToken"] = 360
        for _, account in locus(document)["scl"]["user_states"]:
            account["b"][0][0] = 360

    read = read_state(changed(in_other_token), marks)
    unified = read.positions.filter(
        (pl.col("account_mode") == "unified") & (pl.col("margin_mode") == "cross")
    )
    assert set(unified["status"]) == {"unknown_collateral"}
    assert read.spot_totals["total"].null_count() > 40


def test_without_modes_no_cross_position_is_priced_and_isolated_ones_still_are(
    changed: Callable[..., Path], marks: Any
) -> None:
    read = read_state(changed(lambda document: locus(document).pop("ust")), marks)
    by_mode = read.positions.group_by("margin_mode").agg(pl.col("status").unique().sort())
    assert dict(by_mode.iter_rows()) == {"cross": ["unknown_collateral"], "isolated": ["solved_only"]}
    assert any("no account modes (ust)" in note for note in read.notes)


def test_without_balances_unified_accounts_are_unknown(changed: Callable[..., Path], marks: Any) -> None:
    read = read_state(changed(lambda document: locus(document).pop("scl")), marks)
    unified = read.positions.filter(
        (pl.col("account_mode") == "unified") & (pl.col("margin_mode") == "cross")
    )
    assert set(unified["status"]) == {"unknown_collateral"}
    assert any("no spot balances (scl)" in note for note in read.notes)


def test_a_mode_of_unknown_meaning_is_not_taken_for_another(changed: Callable[..., Path]) -> None:
    def rename(document: Document) -> None:
        for _, setting in locus(document)["ust"]:
            setting["a"] = "z"

    read = read_state(changed(rename))
    assert read.modes["account_mode"].is_null().all()
    assert any(note.startswith("account modes z have no known meaning") for note in read.notes)


# ---------------------------------------------------------------------------------------------- refusals


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 0.999999))
def test_a_state_that_breaks_off_anywhere_is_refused_in_one_line(
    state_file: Path, tmp_path: Path, share: float
) -> None:
    whole = state_file.read_bytes()
    path = tmp_path / "broken.rmp"
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(
        WireError, match=r"node state from .*broken\.rmp: cut off after [\d,]+ bytes, inside "
    ) as caught:
        read_state(path)
    assert "\n" not in str(caught.value)


def set_in(document: Document, *steps: Any, value: Any) -> None:
    for step in steps[:-1]:
        document = document[step]
    document[steps[-1]] = value


def every_holder(document: Document, change: Callable[[Document], object]) -> None:
    for dex in locus(document)["cls"]:
        for _, account in dex["user_states"]["user_to_state"]:
            if account["p"]["p"]:
                change(account)


def first_position(document: Document) -> Document:
    return first_holder(document)["p"]["p"][0]


SPOILED: dict[str, tuple[Callable[[Document], object], str]] = {
    "no cash": (lambda d: first_holder(d).pop("u"), r"user_to_state\[\d+\] lacks 'u'"),
    "cash as text": (lambda d: set_in(first_holder(d), "u", value="12"), "'12' is no whole number"),
    "no size": (lambda d: first_position(d)[1].pop("s"), r"user_to_state\[\d+\] lacks 's'"),
    "size of a fraction": (lambda d: set_in(first_position(d), 1, "s", value=0.5), "0.5 is no whole number"),
    "size beyond 64 bits": (
        lambda d: set_in(first_position(d), 1, "s", value=2**64 - 1),
        "no whole number of 64 bits",
    ),
    "cost below zero": (lambda d: set_in(first_position(d), 1, "e", value=-5), "cost -5"),
    "another setting": (lambda d: set_in(first_position(d), 1, "l", value={"X": 1}), "lacks 'I'"),
    "leverage of 1e18": (lambda d: set_in(first_position(d), 1, "l", value={"C": 10**18}), "leverage 10+"),
    "table of a word": (lambda d: set_in(first_position(d), 1, "M", value="56"), "'56' is no whole number"),
    "unlisted asset": (
        lambda d: set_in(first_position(d), 0, value=99),
        "asset 99 on the main dex, which lists 4",
    ),
    "asset twice": (
        lambda d: first_holder(d)["p"]["p"].append(first_position(d)),
        "an asset is listed twice",
    ),
    "account twice": (
        lambda d: locus(d)["cls"][0]["user_states"]["user_to_state"].append(
            next(e for e in locus(d)["cls"][0]["user_states"]["user_to_state"] if e[1]["p"]["p"])
        ),
        "the account is listed twice",
    ),
}


@pytest.mark.parametrize("kind", SPOILED)
def test_an_account_that_is_not_as_documented_is_left_out_and_named_and_all_others_are_read(
    changed: Callable[..., Path], state: NodeState, store: Store, marks: Any, kind: str
) -> None:
    change, message = SPOILED[kind]
    path = changed(change)
    read = read_state(path, marks)
    [line] = read.left_out.describe()
    assert re.match(rf"1 accounts left out, e\.g\. .*{message}", line), line
    assert read.violations == ()
    expected = state.positions.drop("source")
    if kind != "account twice":
        gone = set(state.positions["address"]) - set(read.positions.filter(dex="")["address"])
        kept = read.positions.drop("source")
        expected = expected.join(
            kept.select("address", "dex", "coin"), on=["address", "dex", "coin"], how="semi"
        )
        assert 0 < state.positions.height - kept.height < 10, gone
    columns = ["address", "dex", "coin", "szi", "account_value_usd", "liq_px"]
    assert read.positions.select(columns).equals(expected.select(columns)) or kind != "account twice"
    assert import_state(store, path, marks).left_out.total == 1
    assert "everybody but those left out" in import_state(store, path, marks).describe()[1]


def test_a_node_state_whose_table_field_is_called_margin_is_read_alike(
    changed: Callable[..., Path], state: NodeState, marks: Any
) -> None:
    def rename(document: Document) -> None:
        every_holder(
            document, lambda account: [p.__setitem__("margin", p.pop("M")) for _, p in account["p"]["p"]]
        )

    assert read_state(changed(rename), marks).positions.drop("source").equals(state.positions.drop("source"))


def test_a_mode_that_cannot_be_read_is_unknown_and_not_the_default(
    changed: Callable[..., Path], marks: Any
) -> None:
    def spoil(document: Document) -> None:
        for entry in locus(document)["ust"]:
            entry[1] = {"a": ["u"]}

    read = read_state(changed(spoil), marks)
    assert read.modes["account_mode"].is_null().all()


def test_balances_that_cannot_be_read_are_unknown(changed: Callable[..., Path], marks: Any) -> None:
    def spoil(document: Document) -> None:
        for _, account in locus(document)["scl"]["user_states"]:
            account["b"] = account["b"] * 2

    read = read_state(changed(spoil), marks)
    cross = (pl.col("account_mode") == "unified") & (pl.col("margin_mode") == "cross")
    assert set(read.positions.filter(cross)["status"]) == {"unknown_collateral"}
    assert set(read.left_out.counts) == {"balances of accounts"}


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    changes=st.lists(st.tuples(st.floats(0, 0.9999), st.integers(0, 255)), max_size=4),
    put=st.sampled_from(
        [b"", b"\xdd\xff\xff\xff\xff" * 40, b"\xdf\xff\xff\xff\xff", b"\x91" * 3_000, b"\xc6\xff\xff\xff\xff"]
    ),
    at=st.floats(0, 1),
)
def test_any_bytes_end_in_positions_or_in_one_printable_line(
    state_file: Path, tmp_path: Path, changes: list[tuple[float, int]], put: bytes, at: float
) -> None:
    whole = bytearray(state_file.read_bytes())
    for share, byte in changes:
        whole[int(share * len(whole))] = byte
    whole[int(at * len(whole)) : int(at * len(whole))] = put
    (tmp_path / "spoiled.rmp").write_bytes(whole)
    message = ""
    try:
        read_state(tmp_path / "spoiled.rmp")
    except BadInput as error:
        message = str(error)
    assert message.isprintable()
    assert len(message) <= 300


CHANGES: list[tuple[Callable[[Document], object], str]] = [
    (lambda d: d.pop("exchange"), r"exchange\.locus\.ctx is missing"),
    (lambda d: locus(d).pop("cls"), r"exchange\.locus\.cls is missing"),
    (lambda d: locus(d)["ctx"].pop("height"), r"exchange\.locus\.ctx lacks 'height'"),
    (lambda d: set_in(locus(d), "ctx", "time", value=5), r"exchange\.locus\.ctx\.time is not laid out"),
    (lambda d: set_in(locus(d), "cls", value={}), r"exchange\.locus\.cls is no list"),
    (lambda d: locus(d)["cls"][0].pop("meta"), r"cls\[0\]\.meta is missing"),
    (lambda d: locus(d)["cls"][1]["meta"].pop("universe"), r"cls\[1\]\.meta lacks 'universe'"),
    (lambda d: locus(d)["cls"][0]["user_states"].pop("user_to_state"), r"user_states lacks 'user_to_state'"),
    (lambda d: every_holder(d, lambda account: account.pop("u")), r"accounts beside 0 read: .* lacks 'u'"),
    (
        lambda d: every_holder(d, lambda a: a["p"]["p"][0][1].pop("s")),
        r"accounts beside 0 read: .* lacks 's'",
    ),
    (
        lambda d: set_in(locus(d), "ctx", "height", value="12"),
        r"ctx\.height is not laid out .*no number of a block",
    ),
    (
        lambda d: set_in(locus(d), "ctx", "time", value="2286-01-01T00:00:00"),
        "2286-01-01T00:00:00 is not a time from",
    ),
    (
        lambda d: set_in(locus(d), "ctx", "time", value="1970-01-01T00:00:00Z"),
        "is not a time from 2020 to now",
    ),
    (
        lambda d: set_in(locus(d)["cls"][0]["meta"], "universe", 0, "name", value=".."),
        "'..' is no perpetual's name",
    ),
    (
        lambda d: set_in(locus(d)["cls"][0]["meta"], "universe", 1, "name", value="BTC"),
        "a coin is listed twice",
    ),
    (
        lambda d: set_in(locus(d)["cls"][0]["meta"], "universe", 0, "szDecimals", value=400),
        "400 is not a whole number",
    ),
    (
        lambda d: set_in(locus(d)["cls"][0]["meta"], "collateralToken", value=10**12),
        "is not a whole number from 0 to",
    ),
    (
        lambda d: set_in(locus(d)["cls"][0]["meta"]["marginTableIdToMarginTable"][0], 1, value=5),
        "margin tables of the main dex is not laid out|meta is not laid out",
    ),
    (lambda d: set_in(locus(d)["ust"][3], 0, value="0x12"), r"ust\[3\] is not laid out .* is no address"),
    (lambda d: set_in(locus(d), 7, value=1), "has the key 7 where names are documented"),
]


@pytest.mark.parametrize(("change", "message"), CHANGES)
def test_another_layout_is_refused_naming_the_place(
    changed: Callable[..., Path], change: Callable[[Document], object], message: str
) -> None:
    with pytest.raises(WireError, match=message) as caught:
        read_state(changed(change))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b'{"exchange": {}}', b"\xc1\xc1", msgpack.packb([1, 2])])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "other.rmp").write_bytes(content)
    with pytest.raises(WireError, match=r"the document is no map; this is not a node's state"):
        read_state(tmp_path / "other.rmp")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match=r"none\.rmp: cannot be read: No such file"):
        read_state(tmp_path / "none.rmp")


# ------------------------------------------------------------------------------- invariants, memory, storing


def test_sizes_that_do_not_cancel_are_reported_and_not_imported(
    changed: Callable[..., Path], store: Store
) -> None:
    def double(document: Document) -> None:
        first_holder(document)["p"]["p"][0][1]["s"] *= 3

    path = changed(double)
    assert any("coins, not to zero" in line for line in read_state(path).violations)
    with pytest.raises(BadInput, match="not to zero"):
        import_state(store, path)
    assert known_coins(store) == []
    tolerated = import_state(store, path, tolerate=True)
    assert any("violated: sizes of" in line for line in tolerated.describe())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: set_in(locus(d)["cls"][0]["user_states"], "asset_to_oi_szi", 0, value=5),
         r"asset_to_oi_szi has 5e-05"),
        (lambda d: locus(d)["cls"][0]["user_states"]["users_with_positions"].pop(), "1 accounts are in users_with"),
        (lambda d: set_in(locus(d)["cls"][0]["meta"]["marginTableIdToMarginTable"][-1][1]["margin_tiers"], 1,
                          "maintenance_deduction", value=0), "margin table 56 of the main dex deducts 0.00 USD"),
    ],
)  # fmt: skip
def test_every_cross_check_of_the_layout_can_fail(
    changed: Callable[..., Path], change: Callable[[Document], object], message: str
) -> None:
    violations = read_state(changed(change)).violations
    assert len(violations) == 1
    assert message in violations[0]


def test_a_check_that_the_state_does_not_allow_is_reported_to_be_missing(
    changed: Callable[..., Path],
) -> None:
    def drop(document: Document) -> None:
        users = locus(document)["cls"][0]["user_states"]
        users["asset_to_oi_szi"] = {"of": "another form"}
        del users["users_with_positions"]

    read = read_state(changed(drop))
    assert read.violations == ()
    assert sum("not compared with" in note for note in read.notes) == 2


def peak_bytes(path: Path) -> int:
    tracemalloc.start()
    try:
        assert read_state(path).positions.height == 4000
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_grows_with_holders_and_not_with_accounts(tmp_path: Path) -> None:
    few, many = tmp_path / "few.rmp", tmp_path / "many.rmp"
    write_synthetic_state(few, 40_000, 1000, 4000, resting_orders=0)
    write_synthetic_state(many, 50_000, 1000, 4000, resting_orders=200_000)
    grown = many.stat().st_size - few.stat().st_size
    assert grown > 12e6
    peak_bytes(few)
    assert peak_bytes(many) - peak_bytes(few) < 0.02 * grown  # what is read is not kept


def test_an_imported_state_is_a_census_that_covers_the_market(
    state_file: Path, small_market: Market, store: Store, marks: Any
) -> None:
    done = import_state(store, state_file, marks)
    truth = true_positions(small_market)
    assert (done.positions, done.accounts_read, done.height) == (truth.height, 600, 942_770_000)
    drawn = exact_map(store, "BTC")
    assert drawn.coverage.share is not None
    assert tuple(drawn.coverage.share) == pytest.approx((1.0, 1.0), rel=1e-12)
    assert drawn.synthetic
    tables, _ = stored_tables(store, ["", "xyz"], done.as_of)
    assert set(tables) == {"", "xyz"}
    assert tables[""].row_of_coin.keys() == {"BTC", "ETH", "SOL", "HYPE"}


def test_importing_a_state_again_changes_nothing(state_file: Path, store: Store, marks: Any) -> None:
    first = import_state(store, state_file, marks)
    before = positions_as_of(store)
    assert import_state(store, state_file, marks) == first
    assert positions_as_of(store).equals(before)
    assert first.describe()[0].endswith("node state of block 942,770,000, 2026-09-01T00:00:00Z")


def test_progress_is_reported_up_to_the_end(state_file: Path) -> None:
    reported: list[float] = []
    read_state(state_file, on_progress=reported.append)
    assert reported == sorted(reported)
    assert reported[-1] == 1.0
