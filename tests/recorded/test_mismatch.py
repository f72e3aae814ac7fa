"""What the recorded accounts hold against our prices: every mismatch, by its reason."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from liqtruth.indexer.audit.mismatch import count_reasons, mismatches
from liqtruth.indexer.info import wire
from liqtruth.indexer.margin.checks import Checks, check
from liqtruth.indexer.margin.tables import MarginTables
from liqtruth.indexer.positions.accounts import MODE_OF_ABSTRACTION
from tests.recorded.accounts import positions_of

pytestmark = pytest.mark.recorded


@pytest.fixture(scope="module")
def folder(recorded: Path) -> Path:
    return recorded / "hyperliquid"


@pytest.fixture(scope="module")
def tables(folder: Path) -> dict[str, MarginTables]:
    raw = (folder / "capture-2026-09-06" / "meta.json").read_bytes()
    return {"": MarginTables.from_meta(wire.decode_meta(raw, "capture"))}


def read(path: Path, **facts: Any) -> pl.DataFrame:
    state = wire.decode_clearinghouse_state(path.read_bytes(), path.name)
    return positions_of(state, address=path.stem, source="recorded", **facts)


def test_the_coherent_capture_has_none(folder: Path, tables: dict[str, MarginTables]) -> None:
    """44 positions, 16 of them null on both sides, all within a millionth."""
    held = read(folder / "capture-2026-09-06" / "clearinghouseState.json")
    assert held.height == 44
    assert mismatches(held, tables).is_empty()


def test_of_the_two_june_accounts_three_positions_do_not_follow_from_what_was_captured(
    folder: Path, tables: dict[str, MarginTables]
) -> None:
    """The whale's OP and SEI followed table 51, which is found; the small account's pool was not captured."""
    june = folder / "accounts-2026-06-22"
    held = pl.concat([read(june / "clearinghouse_whale.json"), read(june / "clearinghouse_small.json")])
    found = mismatches(held, tables)
    assert held.height == 37
    assert count_reasons(found) == {"collateral_unknown": 3}
    assert found["address"].n_unique() == 1


def test_the_small_accounts_three_prices_imply_one_pool(
    folder: Path, tables: dict[str, MarginTables]
) -> None:
    found = mismatches(read(folder / "accounts-2026-06-22" / "clearinghouse_small.json"), tables)
    assert found["implied_available_usd"].to_list() == pytest.approx([799_469.759] * 3, rel=1e-8)
    assert found["captured_available_usd"].to_list() == pytest.approx([271_225.877] * 3, rel=1e-8)
    assert found["implying_prices"].to_list() == [3] * 3


def test_read_as_standard_the_small_account_shows_a_changed_mode(
    folder: Path, tables: dict[str, MarginTables]
) -> None:
    """What a sweep that trusted its memory would find, and the reason for it to ask again."""
    held = read(folder / "accounts-2026-06-22" / "clearinghouse_small.json", mode="standard")
    assert count_reasons(mismatches(held, tables)) == {"mode_changed": 3}


def test_the_portfolio_margin_accounts_agree_with_their_pool_and_are_not_checked_without(
    folder: Path,
) -> None:
    """The long that is null stays null either way: it is covered by far."""
    path = folder / "portfolio-margin-2026-03-31" / "accounts.json"
    with_pool, without = [], []
    for snapshot in json.loads(path.read_bytes())["snapshots"]:
        state = json.dumps(snapshot["clearinghouse_state"]).encode()
        spot = json.dumps(snapshot["spot_clearinghouse_state"]).encode()
        facts: dict[str, Any] = {
            "address": snapshot["user"],
            "source": "recorded",
            "mode": MODE_OF_ABSTRACTION[snapshot["user_abstraction"]],
        }
        decoded = wire.decode_clearinghouse_state(state, "wrapper")
        with_pool.append(positions_of(decoded, spot=wire.decode_spot_state(spot, "wrapper"), **facts))
        without.append(positions_of(decoded, **facts))
    listed = {"universe": [{"name": "HYPE", "szDecimals": 2, "maxLeverage": 10, "marginTableId": 52}]}
    tiers = [{"lowerBound": "0", "maxLeverage": 10}, {"lowerBound": "20000000", "maxLeverage": 5}]
    meta = json.dumps({**listed, "marginTables": [[52, {"marginTiers": tiers}]]}).encode()
    march = {"": MarginTables.from_meta(wire.decode_meta(meta, "March"))}
    assert mismatches(pl.concat(with_pool), march).is_empty()
    assert mismatches(pl.concat(without), march).is_empty()
    assert Checks.of(check(pl.concat(without), march)) == Checks(0, 0, 2, {"no_collateral": 2})
