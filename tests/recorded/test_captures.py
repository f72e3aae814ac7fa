"""Real payloads through the real decoders: the exchange's own figures come out of the solver."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from liqtruth.indexer.info import wire
from liqtruth.indexer.margin.checks import Checks
from liqtruth.indexer.margin.reconcile import implied_collateral_notes, reconcile
from liqtruth.indexer.margin.solver import maintenance_margin
from liqtruth.indexer.margin.tables import MarginTables
from liqtruth.indexer.positions.accounts import MODE_OF_ABSTRACTION
from liqtruth.indexer.positions.markets import markets_of
from tests.recorded.accounts import positions_of

pytestmark = pytest.mark.recorded

WHALE, SMALL = "clearinghouse_whale.json", "clearinghouse_small.json"


@pytest.fixture(scope="module")
def capture(recorded: Path) -> Path:
    return recorded / "hyperliquid" / "capture-2026-09-06"


@pytest.fixture(scope="module")
def tables(capture: Path) -> dict[str, MarginTables]:
    return {"": MarginTables.from_meta(wire.decode_meta((capture / "meta.json").read_bytes(), "capture"))}


def read_state(path: Path) -> wire.ClearinghouseState:
    return wire.decode_clearinghouse_state(path.read_bytes(), path.name)


def reconciled(state: wire.ClearinghouseState, tables: dict[str, MarginTables], **facts: Any) -> pl.DataFrame:
    return reconcile(positions_of(state, address="0xa", source="recorded", **facts), tables)


def worst_error(frame: pl.DataFrame) -> float:
    worst = frame.select(((pl.col("liq_px_solved") / pl.col("liq_px_exchange")) - 1).abs().max()).item()
    assert isinstance(worst, float)
    return worst


def counts(frame: pl.DataFrame) -> dict[str, int]:
    return dict(frame.group_by("status").len().iter_rows())


class TestCoherentCapture:
    def test_maintenance_margin_is_the_exchanges(
        self, capture: Path, tables: dict[str, MarginTables]
    ) -> None:
        state = read_state(capture / "clearinghouseState.json")
        cross = positions_of(state, address="0xa", source="recorded").filter(margin_mode="cross")
        rows = tables[""].rows_of(cross["coin"], cross["max_leverage"])
        margin = maintenance_margin(cross["notional_usd"].to_numpy(), rows, tables[""]).sum()
        assert margin == pytest.approx(130378.4637, rel=1e-9)
        assert margin == pytest.approx(state.cross_maintenance_margin_used, rel=1e-9)

    def test_every_price_is_reproduced_and_every_null_is_a_null(
        self, capture: Path, tables: dict[str, MarginTables]
    ) -> None:
        frame = reconciled(read_state(capture / "clearinghouseState.json"), tables)
        assert counts(frame) == {"agree": 28, "never": 16}
        assert counts(frame.filter(margin_mode="isolated")) == {"agree": 1}
        assert worst_error(frame) < 2e-9
        nulls = frame.filter(status="never")
        assert nulls["liq_px_solved"].null_count() == nulls["liq_px"].null_count() == 16
        assert (nulls["szi"] > 0).all()

    def test_the_spot_state_without_a_pool_tells_a_standard_account(
        self, capture: Path, tables: dict[str, MarginTables]
    ) -> None:
        spot = wire.decode_spot_state((capture / "spotClearinghouseState.json").read_bytes(), "capture")
        frame = reconciled(read_state(capture / "clearinghouseState.json"), tables, spot=spot)
        assert frame["account_mode"].unique().to_list() == ["standard"]
        assert counts(frame) == {"agree": 28, "never": 16}

    def test_markets_cover_the_universe(self, capture: Path) -> None:
        raw = (capture / "metaAndAssetCtxs.json").read_bytes()
        meta, ctxs = wire.decode_meta_and_asset_ctxs(raw, "capture")
        as_of = positions_of(
            read_state(capture / "clearinghouseState.json"), address="0xa", source="recorded"
        )["as_of"][0]
        btc = markets_of(meta, ctxs, "", as_of).filter(coin="BTC").row(0, named=True)
        assert (btc["mark_px"], btc["open_interest"], btc["margin_table_id"]) == (79666.1, 34782.03188, 56)

    def test_every_other_payload_decodes(self, capture: Path, recorded: Path) -> None:
        def raw(name: str) -> bytes:
            return (capture / f"{name}.json").read_bytes()

        candles = wire.decode_candles(raw("candleSnapshot"), "capture")
        assert (candles[0].open_px, candles[0].high_px, candles[0].close_px) == (79377.0, 79862.0, 79723.0)
        trades = wire.decode_recent_trades(raw("recentTrades"), "capture")
        assert trades[0].users[0] == "0xba62c9e7041b85df5ede64a164ee3404948d2300"
        dexs = wire.decode_perp_dexs(
            (recorded / "hyperliquid" / "accounts-2026-06-22" / "perpdexs.json").read_bytes(), "capture"
        )
        assert [dex and dex.name for dex in dexs[:3]] == [None, "xyz", "flx"]


class TestJuneAccounts:
    """Margin tables are those of September: OP and SEI had another in June."""

    @pytest.fixture
    def june(self, recorded: Path) -> Path:
        return recorded / "hyperliquid" / "accounts-2026-06-22"

    def test_every_price_is_reproduced_two_by_a_table_that_was_adopted(
        self, june: Path, tables: dict[str, MarginTables]
    ) -> None:
        """September's meta lists OP and SEI flat at 5x; the positions say 10x, that of table 51 in June."""
        frame = reconciled(read_state(june / WHALE), tables)
        assert counts(frame) == {"agree": 33, "never": 1}
        assert Checks.of(frame).codes == {"agree": 32, "agree_table": 2}
        adopted = frame.filter(pl.col("tables_matching").is_not_null()).sort("coin")
        assert adopted.select("coin", "margin_table_id", "tables_matching").rows() == [
            ("OP", 51, 1),
            ("SEI", 51, 1),
        ]
        assert worst_error(frame) < 1e-7
        assert implied_collateral_notes(frame) == []

    def test_the_table_is_found_without_the_maximum_leverage_too(
        self, june: Path, tables: dict[str, MarginTables]
    ) -> None:
        held = positions_of(read_state(june / WHALE), address="0xa", source="recorded")
        frame = reconcile(held.with_columns(max_leverage=pl.lit(None, pl.Float64)), tables)
        assert Checks.of(frame).differ == 0
        assert worst_error(frame) < 1e-7

    def test_uncaptured_collateral_is_named_and_no_price_is_invented(
        self, june: Path, tables: dict[str, MarginTables]
    ) -> None:
        frame = reconciled(read_state(june / SMALL), tables)
        assert counts(frame) == {"differs": 3}
        assert frame["liq_px"].to_list() == [78924.0010794823, 1354.3602612291, 0.1967547104]
        [note] = implied_collateral_notes(frame)
        assert note.implied_available_usd == pytest.approx(799_469.76, abs=0.01)
        assert note.captured_available_usd == pytest.approx(271_225.88, abs=0.01)
        assert note.positions == 3


class TestPortfolioMargin:
    """Raw answers inside somebody else's wrapper, their numbers as JSON numbers."""

    @pytest.fixture
    def frame(self, recorded: Path) -> pl.DataFrame:
        path = recorded / "hyperliquid" / "portfolio-margin-2026-03-31" / "accounts.json"
        return pl.concat([self.account(s) for s in json.loads(path.read_bytes())["snapshots"]])

    def account(self, snapshot: dict[str, Any]) -> pl.DataFrame:
        def raw(key: str) -> bytes:
            return json.dumps(snapshot[key]).encode()

        meta = snapshot["asset_meta_snapshot"]
        listed = json.dumps({"universe": meta["universe"], "marginTables": self.margin_tables(meta)}).encode()
        return reconcile(
            positions_of(
                wire.decode_clearinghouse_state(raw("clearinghouse_state"), "wrapper"),
                address=snapshot["user"],
                source="recorded",
                spot=wire.decode_spot_state(raw("spot_clearinghouse_state"), "wrapper"),
                mode=MODE_OF_ABSTRACTION[snapshot["user_abstraction"]],
            ),
            {"": MarginTables.from_meta(wire.decode_meta(listed, "wrapper"))},
        )

    def margin_tables(self, meta: dict[str, Any]) -> list[Any]:
        """The wrapper keeps rates and deductions; the exchange sends bounds and maximum leverages."""
        return [
            [int(table), {"marginTiers": [self.tier(tier) for tier in tiers]}]
            for table, tiers in meta["margin_tables"].items()
        ]

    def tier(self, tier: dict[str, float]) -> dict[str, Any]:
        return {"lowerBound": tier["lower_bound"], "maxLeverage": round(0.5 / tier["mmr_rate"])}

    def test_the_pool_gives_the_exchanges_price_and_its_null(self, frame: pl.DataFrame) -> None:
        assert frame["status"].to_list() == ["agree", "never"]
        assert frame["account_mode"].unique().to_list() == ["portfolio"]
        assert worst_error(frame) < 1e-7
        null = frame.filter(status="never").row(0, named=True)
        assert (null["szi"], null["liq_px_solved"], null["liq_px"]) == (88.0, None, None)

    def test_the_accounts_own_dex_equity_would_be_wrong(self, frame: pl.DataFrame) -> None:
        short = frame.filter(status="agree").row(0, named=True)
        assert (
            short["account_value_usd"] - short["cross_maintenance_usd"] < 0.8 * short["pooled_available_usd"]
        )
