"""Payloads decode exactly, whatever the spelling of their numbers; bad ones are refused by path and value."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.heatmap.errors import LiqtruthError
from liqtruth.indexer.errors import WireError
from liqtruth.indexer.info import wire

SUMMARY = {"accountValue": "1.5", "totalNtlPos": "0.0", "totalRawUsd": "-2.25", "totalMarginUsed": "0.0"}
ASSET = {"name": "BTC", "szDecimals": 5, "maxLeverage": 40, "marginTableId": 56}
TIER = {"lowerBound": "0.0", "maxLeverage": 10}
META = {"universe": [ASSET], "marginTables": [], "collateralToken": 0}
CONTEXT = {
    "funding": "0.0000125",
    "openInterest": "688.11",
    "markPx": "14.3",
    "oraclePx": "14.3",
    "midPx": None,
}


def position(**changes: Any) -> dict[str, Any]:
    """The position of the exchange's documentation, with fields changed, or left out where None is `...`."""
    fields = {
        "coin": "ETH",
        "szi": "0.0335",
        "leverage": {"type": "isolated", "value": 20, "rawUsd": "-95.059824"},
        "entryPx": "2986.3",
        "positionValue": "100.02765",
        "unrealizedPnl": "-0.0134",
        "liquidationPx": "2866.26936529",
        "marginUsed": "4.967826",
        "maxLeverage": 50,
        **changes,
    }
    return {name: value for name, value in fields.items() if value is not ...}


def state(**changes: Any) -> bytes:
    return json.dumps(
        {
            "marginSummary": SUMMARY,
            "crossMarginSummary": SUMMARY,
            "crossMaintenanceMarginUsed": "0.0",
            "withdrawable": "0.0",
            "assetPositions": [{"type": "oneWay", "position": position(**changes)}],
            "time": 1708622398623,
        }
    ).encode()


def refusal(raw: bytes) -> str:
    with pytest.raises(WireError) as refused:
        wire.decode_clearinghouse_state(raw, "api")
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_the_documented_position_decodes() -> None:
    decoded = wire.decode_clearinghouse_state(state(), "api")
    [holdings] = decoded.asset_positions
    assert holdings.position.szi == 0.0335
    assert holdings.position.leverage.raw_usd == -95.059824
    assert holdings.position.liquidation_px == 2866.26936529
    assert decoded.margin_summary.total_raw_usd == -2.25


def test_numbers_may_arrive_as_json_numbers() -> None:
    assert wire.decode_clearinghouse_state(state(szi=0.0335), "api") == wire.decode_clearinghouse_state(
        state(), "api"
    )


@given(st.floats(min_value=-1e18, max_value=1e18))
def test_decimal_strings_become_the_nearest_float(value: float) -> None:
    for sent in (repr(value), value):
        [entry] = wire.decode_clearinghouse_state(state(unrealizedPnl=sent), "api").asset_positions
        assert entry.position.unrealized_pnl == value


def test_a_null_liquidation_price_stays_null() -> None:
    decoded = wire.decode_clearinghouse_state(state(liquidationPx=None), "api")
    assert decoded.asset_positions[0].position.liquidation_px is None


def test_unknown_fields_are_ignored() -> None:
    assert wire.decode_clearinghouse_state(state(maxTradeSzs=["1", "2"]), "api") is not None


@pytest.mark.parametrize(
    ("field", "value", "shown"),
    [
        ("szi", "abc", '"abc"'),
        ("szi", "nan", '"nan"'),
        ("szi", "inf", '"inf"'),
        ("szi", [1], "[1]"),
        ("szi", None, "null"),
        ("szi", True, "true"),
        ("entryPx", "", '""'),
        ("positionValue", "-5", '"-5"'),
        ("positionValue", "NaN", '"NaN"'),
        ("coin", 7, "7"),
        ("maxLeverage", 0, "0"),
    ],
)
def test_a_bad_value_is_named_with_its_path(field: str, value: Any, shown: str) -> None:
    message = refusal(state(**{field: value}))
    assert message.startswith(f"clearinghouseState from api: $.assetPositions[0].position.{field} is {shown}")


@pytest.mark.parametrize("field", ["szi", "positionValue", "liquidationPx", "leverage", "maxLeverage"])
def test_a_missing_field_is_named(field: str) -> None:
    message = refusal(state(**{field: ...}))
    assert message == f"clearinghouseState from api: $.assetPositions[0].position.{field} is missing"


def test_an_isolated_position_needs_its_cash_leg() -> None:
    assert "leverage.rawUsd is missing" in refusal(state(leverage={"type": "isolated", "value": 3}))


@pytest.mark.parametrize("kept", [1, 100, 500])
def test_a_truncated_payload_is_distinguished_from_a_malformed_one(kept: int) -> None:
    assert f"cut off after {kept} bytes" in refusal(state()[:kept])


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (
            b"<html>\n<h1>502 Bad Gateway</h1> nginx and more of it",
            "'<html> <h1>502 Bad Gateway</h1> nginx an'",
        ),
        (b"", "the answer is empty"),
        (b"null", "$ is null: Expected `object`, got `null`"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"[" * 200_000, "not JSON (maximum recursion depth"),
        (b'{"marginSummary": 5, "crossMar', "cut off after 30 bytes"),
        (state() + b"trailing", "not JSON (JSON is malformed: trailing characters"),
    ],
)
def test_what_is_no_payload_is_quoted(raw: bytes, problem: str) -> None:
    assert problem in refusal(raw)


CLOSED = {"szi": "-0.0", "entryPx": None, "positionValue": "0.0", "liquidationPx": None, "coin": "SOL"}


def account(*entries: dict[str, Any]) -> bytes:
    """The documented account with these entries instead of its own."""
    reported = json.loads(state())
    reported["assetPositions"] = [{"type": "oneWay", "position": entry} for entry in entries]
    return json.dumps(reported).encode()


@pytest.mark.parametrize("size", ["0.0", "-0.0", "0", 0, -0.0, "0e5", "1e-999"])
def test_an_entry_of_size_zero_holds_nothing_and_is_passed_over(size: Any) -> None:
    decoded = wire.decode_clearinghouse_state(account(position(), position(**CLOSED | {"szi": size})), "api")
    assert [entry.position.coin for entry in decoded.asset_positions] == ["ETH"]
    assert (decoded.closed, decoded.left_out) == (1, ())
    only = wire.decode_clearinghouse_state(account(position(**CLOSED)), "api")
    assert (only.asset_positions, only.closed, only.left_out) == ([], 1, ())


BAD_POSITIONS: list[dict[str, Any]] = [
    {"entryPx": None},
    {"entryPx": "0.0"},
    {"szi": "abc"},
    {"szi": "1e308"},
    {"leverage": {"type": "cross", "value": 1e30}},
    {"leverage": {"type": "cross", "value": 10**30}},
    {"leverage": {"type": "portfolio", "value": 3}},
    {"leverage": None},
    {"maxLeverage": 10**9},
    {"positionValue": "-1.0"},
    {"positionValue": "1e308"},
    {"liquidationPx": "7" * 400},
    {"unrealizedPnl": "nan"},
    {"marginUsed": ...},
    {"coin": ".."},
    {"coin": "a/b"},
    {"coin": ""},
    {"coin": "x" * 1000},
]


@pytest.mark.parametrize("bad", BAD_POSITIONS, ids=str)
def test_a_position_that_cannot_be_read_voids_no_other(bad: dict[str, Any]) -> None:
    raw = account(position(coin="BTC"), position(**{"coin": "SOL"} | bad), position())
    decoded, sifted = wire.decode_clearinghouse_state.read(raw, "api")
    assert [entry.position.coin for entry in decoded.asset_positions] == ["BTC", "ETH"]
    assert len(decoded.left_out) == len(sifted.problems) == 1
    assert decoded.left_out[0].startswith("$.assetPositions[1].position.")
    assert refusal(account(position(**bad))), "an account none of whose positions can be read is refused"


@given(st.lists(st.sampled_from(["fine", "closed", "bad"]), min_size=1, max_size=12))
def test_of_every_account_exactly_the_good_entries_are_kept(kinds: list[str]) -> None:
    changes = {"fine": {}, "closed": CLOSED, "bad": {"szi": "x"}}
    entries = [position(**changes[kind] | {"coin": f"C{n}"}) for n, kind in enumerate(kinds)]
    raw = account(*entries)
    if "bad" in kinds and "fine" not in kinds:
        refusal(raw)
        return
    decoded = wire.decode_clearinghouse_state(raw, "api")
    kept = [entry.position.coin for entry in decoded.asset_positions]
    assert kept == [f"C{n}" for n, kind in enumerate(kinds) if kind == "fine"]
    assert (decoded.closed, len(decoded.left_out)) == (kinds.count("closed"), kinds.count("bad"))


def test_an_account_that_lists_a_coin_twice_is_refused() -> None:
    assert "lists ETH more than once" in refusal(account(position(), position(szi="-5.0")))
    closed_twice = account(position(**CLOSED), position(**CLOSED))
    assert wire.decode_clearinghouse_state(closed_twice, "api").closed == 2


@pytest.mark.parametrize("ms", [0, 86_400_000, 1_500_000_000_000, 1_787_310_105, 10**13, -1, "soon", None])
def test_an_account_of_an_impossible_time_is_refused(ms: Any) -> None:
    reported = json.loads(state())
    reported["time"] = ms
    assert "$.time is" in refusal(json.dumps(reported).encode())


def markets(*contexts: Any, assets: list[Any] | None = None) -> bytes:
    listed = assets or [ASSET | {"name": f"C{number}"} for number in range(len(contexts))]
    return json.dumps([META | {"universe": listed}, list(contexts)]).encode()


@pytest.mark.parametrize(
    "bad",
    [
        {"markPx": None},
        {"markPx": "-1"},
        {"markPx": "7" * 400},
        {"markPx": "high"},
        {"openInterest": None},
        {"openInterest": "-5.0"},
        {"openInterest": "1e308"},
        {"funding": "1e308"},
        {"funding": "1.01"},
        {"funding": "-2"},
        {"funding": None},
        {"oraclePx": []},
    ],
    ids=str,
)
def test_one_coin_that_cannot_be_read_voids_no_other(bad: dict[str, Any]) -> None:
    raw = markets(*[CONTEXT] * 100, CONTEXT | bad, *[CONTEXT] * 100)
    meta, ctxs = wire.decode_meta_and_asset_ctxs(raw, "api")
    assert len(meta.universe) == len(ctxs) == 201
    assert [one.mark_px for one in (*ctxs[:100], *ctxs[101:])] == [14.3] * 200
    [expected] = meta.left_out
    assert expected.startswith("C100: ")
    meta, _ = wire.decode_meta_and_asset_ctxs(markets(CONTEXT | bad, CONTEXT | bad), "api")
    assert ([asset.name for asset in meta.universe], len(meta.left_out)) == (["C0", "C1"], 2)


def test_a_null_mark_of_a_delisted_coin_is_nothing_that_is_missing() -> None:
    assets = [ASSET, ASSET | {"name": "OLD", "isDelisted": True}]
    raw = markets(CONTEXT, CONTEXT | {"markPx": None}, assets=assets)
    assert wire.decode_meta_and_asset_ctxs(raw, "api")[0].left_out == ()


def test_an_asset_that_cannot_be_read_is_left_out_with_its_context() -> None:
    assets = [ASSET, ASSET | {"maxLeverage": 1e30, "name": "BAD"}, ASSET | {"name": "ETH"}]
    contexts = [CONTEXT, CONTEXT | {"markPx": "1.0"}, CONTEXT | {"markPx": "2.0"}]
    meta, ctxs = wire.decode_meta_and_asset_ctxs(markets(*contexts, assets=assets), "api")
    assert [asset.name for asset in meta.universe] == ["BTC", "ETH"]
    assert [ctx.mark_px for ctx in ctxs] == [14.3, 2.0]
    assert "$[0].universe[1].maxLeverage" in meta.left_out[0]


def test_a_list_that_must_hold_something_does() -> None:
    with pytest.raises(WireError):
        wire.decode_perp_dexs(b"[]", "api")
    decoded, sifted = wire.decode_perp_dexs.read(
        b'[null,{"name":5},{"name":"xyz","fullName":"","deployer":""}]', "api"
    )
    assert [None if one is None else one.name for one in decoded] == [None, "xyz"]
    assert len(sifted.problems) == 1


@given(st.binary(max_size=400))
def test_any_bytes_end_in_a_payload_or_in_one_line(raw: bytes) -> None:
    for decode in (wire.decode_clearinghouse_state, wire.decode_meta, wire.decode_recent_trades):
        for content in (raw, state()[: len(raw)] + raw, b'{"assetPositions":[' + raw + b"]}"):
            with suppress(WireError):
                decode(content, "api")


def test_a_long_value_is_shortened() -> None:
    assert len(refusal(state(szi="9" * 5000 + "x"))) < 200


def test_wire_errors_are_bad_input_and_not_worth_a_retry() -> None:
    assert issubclass(WireError, LiqtruthError)
    assert (WireError.exit_code, WireError.retryable) == (2, False)


def test_contexts_must_be_parallel_to_the_universe() -> None:
    decoded = wire.decode_meta_and_asset_ctxs(json.dumps([META, [CONTEXT]]).encode(), "api")
    assert decoded[1][0].open_interest == 688.11
    with pytest.raises(WireError, match=r"\$\[1\] has 2 contexts for 1 assets"):
        wire.decode_meta_and_asset_ctxs(json.dumps([META, [CONTEXT] * 2]).encode(), "api")


def test_a_margin_table_needs_a_tier() -> None:
    tables = [[56, {"description": "", "marginTiers": []}], [57, {"marginTiers": [TIER]}]]
    meta = wire.decode_meta(json.dumps(META | {"marginTables": tables}).encode(), "api")
    assert [number for number, _ in meta.margin_tables] == [57]
    assert r"$.marginTables[0][1].marginTiers is []" in meta.left_out[0]


def test_the_first_perp_dex_is_null() -> None:
    raw = b'[null,{"name":"xyz","fullName":"XYZ","deployer":"0x1","oracleUpdater":null}]'
    first, second = wire.decode_perp_dexs(raw, "api")
    assert first is None
    assert second is not None
    assert second.name == "xyz"


def test_outcome_balances_have_no_token_and_k_may_be_absent() -> None:
    raw = b'{"balances":[{"coin":"+12","total":"-1.0","hold":"0.0"}]}'
    spot = wire.decode_spot_state(raw, "api")
    assert spot.balances[0].token is None
    assert spot.token_to_available_after_maintenance is None


def test_k_is_listed_by_token() -> None:
    raw = b'{"balances":[],"tokenToAvailableAfterMaintenance":[[0,"16047.71868809"],[360,1.5]]}'
    spot = wire.decode_spot_state(raw, "api")
    assert spot.token_to_available_after_maintenance == [(0, 16047.71868809), (360, 1.5)]
