"""What became of clusters: every coin of every account is accounted for, and who closed was not liquidated."""

import io
import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from sqlmodel import select

from liqtruth.compare.moved.followed import CONSUMED, Between, Snapshot, consumed_between, follow
from liqtruth.compare.moved.job import MovedPlan, moved_stored
from liqtruth.compare.moved.moved import FRAME, Flows, MovedCluster
from liqtruth.compare.moved.of_files import MovedFiles, are_files, moved_files
from liqtruth.compare.moved.placed import follow_places
from liqtruth.compare.moved.shown import moved_view, write_page
from liqtruth.heatmap.clusters.distribution import find_clusters
from liqtruth.heatmap.errors import BadInput, LiqtruthError
from liqtruth.heatmap.grid import PriceGrid
from liqtruth.heatmap.levels import SIDE
from liqtruth.heatmap.words.notes import of_codes
from liqtruth.indexer.frames import LIQUIDATIONS, conform
from liqtruth.indexer.node.fills import KEY
from liqtruth.indexer.positions.markets import VENUE
from liqtruth.storage.database.tables import Reading
from liqtruth.storage.store import Store
from tests.compare.calibrated_markets import random_series
from tests.compare.imported import layouts
from tests.compare.imported.layouts import written
from tests.compare.maps import MARK, frame, map_of, sides
from tests.compare.test_calibration_lake import COIN, stored_reading, stored_series

Held = tuple[str, float, float]
"""Side, distance of the liquidation price from 100 in percent, coins."""
QUIET = Between(MARK, MARK)
FAR = Between(10.0, 300.0)
one_position = st.tuples(st.sampled_from(["long", "short"]), st.floats(0.5, 40.0), st.floats(1.0, 1e4))
books = st.dictionaries(st.integers(0, 12), one_position, max_size=10)


def snapshot(book: dict[int, Held], mark_px: float = MARK) -> Snapshot:
    rows = [
        (f"0x{who}", "", side, coins if side == "long" else -coins, px_of(side, away), coins * mark_px)
        for who, (side, away, coins) in book.items()
    ]
    levels = pl.DataFrame(
        rows,
        schema={
            "address": pl.String, "dex": pl.String, "side": SIDE, "szi": pl.Float64, "px": pl.Float64,
            "notional_usd": pl.Float64,
        },
        orient="row",
    )  # fmt: skip
    grid = PriceGrid.around(mark_px)
    drawn = map_of(
        levels.select(pl.col("side").cast(pl.String), "px", "notional_usd"), grid=grid, open_interest_usd=1.0
    )
    return Snapshot(levels, grid, find_clusters(drawn))


def px_of(side: str, away_pct: float) -> float:
    return 100 * (1 - away_pct / 100 if side == "long" else 1 + away_pct / 100)


def moved(
    before: dict[int, Held], after: dict[int, Held], between: Between = QUIET, mark_px: float = MARK
) -> tuple[tuple[MovedCluster, ...], Flows]:
    return follow(snapshot(before), snapshot(after, mark_px), between)


def balance(flows: Flows) -> float:
    came = flows.start.usd + flows.opened.usd + flows.moved_in.usd
    return came - flows.closed.usd - flows.consumed.usd - flows.moved_out.usd - flows.end.usd


@settings(max_examples=30)
@given(
    books, books, st.sampled_from([90.0, 100.0, 115.0]), st.sampled_from([QUIET, FAR, Between(92.0, 104.0)])
)
def test_all_mass_is_accounted_for(
    before: dict[int, Held], after: dict[int, Held], mark_px: float, between: Between
) -> None:
    clusters, elsewhere = moved(before, after, between, mark_px)
    flows = [*(one.flows for one in clusters), elsewhere]
    whole = mark_px * sum(coins for book in (before, after) for _, _, coins in book.values())
    assert all(abs(balance(one)) <= 1e-9 * (1 + whole) for one in flows)
    for book, name in ((before, "start"), (after, "end")):
        summed = sum(vars(one)[name].usd for one in flows)
        assert summed == pytest.approx(mark_px * sum(coins for _, _, coins in book.values()))
    assert sum(one.moved_in.usd for one in flows) == pytest.approx(sum(one.moved_out.usd for one in flows))
    old, new = snapshot(before).clusters, snapshot(after, mark_px).clusters
    assert sorted(one.before.peak_px for one in clusters if one.before) == sorted(one.peak_px for one in old)
    assert sorted(one.after.peak_px for one in clusters if one.after) == sorted(one.peak_px for one in new)


@given(books)
def test_where_nothing_happens_every_cluster_stays(book: dict[int, Held]) -> None:
    clusters, _ = moved(book, book)
    assert all(one.fate == "stayed" for one in clusters)


ZONE: dict[int, Held] = {n: ("long", 8.0 + 0.02 * n, 50.0) for n in range(5)}
OTHERS: dict[int, Held] = dict.fromkeys(range(10, 13), ("short", 12.0, 80.0))


def fate_of_zone(after: dict[int, Held], between: Between = QUIET, mark_px: float = MARK) -> MovedCluster:
    clusters, _ = moved({**ZONE, **OTHERS}, {**after, **OTHERS}, between, mark_px)
    [found] = [one for one in clusters if one.side == "long" and one.before is not None]
    return found


def test_a_cluster_whose_accounts_closed_is_closed_and_not_consumed() -> None:
    found = fate_of_zone({}, Between(93.0, 101.0))
    assert found.fate == "closed"
    assert (found.flows.closed.positions, found.flows.consumed.usd) == (5, 0.0)


def test_a_cluster_that_the_price_went_through_is_consumed() -> None:
    found = fate_of_zone({}, Between(91.0, 101.0), mark_px=96.0)
    assert found.fate == "consumed"
    assert found.flows.consumed.usd == pytest.approx(5 * 50 * 96.0)


def test_records_of_liquidations_go_before_the_price() -> None:
    """The price went through; but only one account is recorded as liquidated, the others had closed before."""
    rows = pl.DataFrame([("0x0", "long", 50.0)], schema=CONSUMED, orient="row")
    found = fate_of_zone({}, Between(80.0, 101.0, rows))
    assert found.fate == "closed"
    assert (found.flows.consumed.positions, found.flows.closed.positions) == (1, 4)


def test_who_had_closed_at_an_earlier_reading_is_not_consumed_by_a_later_price() -> None:
    """Two close before the second reading, three are there still when the price comes."""
    three = {who: held for who, held in ZONE.items() if who > 1}
    readings = [snapshot({**book, **OTHERS}).levels for book in (ZONE, three, {})]
    gone = consumed_between(readings, lambda at: ((99.0, 101.0), (91.0, 101.0))[at])
    assert sorted(gone.filter(pl.col("consumed") > 0)["address"]) == ["0x2", "0x3", "0x4"]
    found = fate_of_zone({}, Between(91.0, 101.0, gone))
    assert (found.fate, found.flows.closed.positions) == ("consumed", 2)


def test_accounts_that_added_collateral_take_their_cluster_with_them() -> None:
    found = fate_of_zone({who: (side, away + 6, coins) for who, (side, away, coins) in ZONE.items()})
    assert found.fate == "stayed"
    assert found.before is not None
    assert found.after is not None
    assert found.after.distance_pct - found.before.distance_pct == pytest.approx(6.0, abs=0.2)


def test_accounts_that_go_apart_leave_a_cluster_that_has_moved() -> None:
    found = fate_of_zone({who: (side, 15.0 + 5 * who, coins) for who, (side, _, coins) in ZONE.items()})
    assert found.fate == "moved"
    assert found.flows.moved_out.positions == 5


@pytest.mark.parametrize(("times", "fate"), [(1.5, "grew"), (1.05, "stayed"), (0.6, "shrank")])
def test_sizes_are_compared_in_coins_and_a_move_of_the_mark_is_no_flow(times: float, fate: str) -> None:
    found = fate_of_zone(
        {who: (side, away, times * coins) for who, (side, away, coins) in ZONE.items()}, mark_px=110.0
    )
    assert found.fate == fate
    assert found.flows.opened.usd + found.flows.closed.usd == pytest.approx(abs(times - 1) * 250 * 110.0)


def test_a_cluster_of_new_accounts_is_born() -> None:
    clusters, _ = moved(OTHERS, {**OTHERS, **ZONE})
    assert [one.fate for one in clusters if one.side == "long"] == ["born"]


def test_an_account_that_turned_its_position_around_has_closed_one_and_opened_another() -> None:
    clusters, _ = moved({1: ("long", 8.0, 50.0)}, {1: ("short", 9.0, 50.0)})
    assert sorted(one.fate for one in clusters) == ["born", "closed"]


class TestByPlace:
    @pytest.mark.parametrize(("low_px", "fate"), [(99.0, "closed"), (91.0, "consumed")])
    def test_what_the_price_reached_is_consumed_and_what_it_did_not_is_closed(
        self, low_px: float, fate: str
    ) -> None:
        before = map_of([("long", 8.0, 1e6), ("short", 10.0, 1e6)], model="tiers")
        after = map_of([("short", 10.0, 1e6)], model="tiers")
        clusters, _ = follow_places(before, after, Between(low_px, 101.0))
        assert {one.side: one.fate for one in clusters} == {"long": fate, "short": "stayed"}

    def test_a_cluster_stays_at_its_price_when_the_mark_moves(self) -> None:
        before = map_of([("short", 10.0, 1e6)], model="tiers")
        after = map_of(frame([("short", 10.0, 1e6)]), model="tiers", mark_px=104.0)
        [found] = follow_places(before, after, QUIET)[0]
        assert found.before is not None
        assert found.after is not None
        assert found.fate == "stayed"
        assert found.flows.start.usd == pytest.approx(1.04e6)

    @settings(max_examples=25)
    @given(sides("long"), sides("long"))
    def test_all_mass_is_accounted_for(self, then: Sequence[Held], now: Sequence[Held]) -> None:
        before, after = map_of(then, model="tiers"), map_of(now, model="tiers")
        clusters, elsewhere = follow_places(before, after, Between(85.0, 101.0))
        flows = [*(one.flows for one in clusters), elsewhere]
        assert all(abs(balance(one)) < 1e-3 for one in flows)
        assert sum(one.end.usd for one in flows) == pytest.approx(sum(after.total_usd))


class TestOfFiles:
    """Maps of vendors at two moments: the same levels move nowhere, and what cannot be one map is refused."""

    def test_two_columns_of_one_heatmap(self, store: Store, tmp_path: Path) -> None:
        """A level that goes and one that comes, in a file with three columns."""
        kept = [cell for cell in layouts.cells(columns=(0, 1, 2)) if cell[1] != layouts.AXIS.index(57_000.0)]
        gone = [[0, layouts.AXIS.index(57_000.0), 5e6]]
        come = [[2, layouts.AXIS.index(64_500.0), 9e6]]
        document = layouts.coinglass_heatmap(liquidation_leverage_data=[*kept, *gone, *come])
        path = written(tmp_path, document)
        found = moved_files(store, MovedFiles("BTC", None, str(path)))
        assert (found.followed_by, found.unit) == ("place", "unknown")
        assert found.before_at == layouts.AT - timedelta(minutes=10)
        fates = {one.fate: one for one in found.clusters}
        assert fates["closed"].before is not None
        assert fates["closed"].before.peak_px == pytest.approx(57_000, rel=2e-3)
        assert fates["born"].after is not None
        assert fates["born"].after.peak_px == pytest.approx(64_500, rel=2e-3)
        named = moved_files(store, MovedFiles("BTC", f"{path}#2026-08-20T11:50:00Z", str(path)))
        assert named.clusters == found.clusters
        console = Console(width=80, file=io.StringIO(), color_system=None, legacy_windows=False)
        console.print(moved_view(found))
        assert "$" not in console.file.getvalue(), "no dollars where the vendor states no unit"  # type: ignore[attr-defined]

    def test_two_files_are_followed_on_prices_that_both_have(self, store: Store, tmp_path: Path) -> None:
        """The later file ends before the farthest level: that one is cut off, not closed."""
        then = written(tmp_path, layouts.datamaxi(generatedAt="2026-08-20T11:00:00+00:00"), "then.json")
        near = [level for level in layouts.LEVELS if level[0] > 57_000]
        now = written(tmp_path, layouts.datamaxi(near), "now.json")
        found = moved_files(store, MovedFiles("BTC", str(then), str(now)))
        assert {one.fate for one in found.clusters} == {"stayed"}
        [about] = of_codes(found.notes, {"moved_common_prices"})
        assert about.values["low_px"] == 58_500.0
        assert found.unit == "usd"

    def test_marks_are_given_for_each_file(self, store: Store, tmp_path: Path) -> None:
        path = written(tmp_path, layouts.coinank_heatmap())
        found = moved_files(store, MovedFiles("BTC", None, str(path), (58_000.0, 60_000.0)))
        assert (found.before_mark_px, found.after_mark_px) == (58_000.0, 60_000.0)
        with pytest.raises(LiqtruthError, match="--mark"):
            moved_files(store, MovedFiles("BTC", None, str(path)))

    def test_shares_do_not_grow_with_the_price(self, store: Store, tmp_path: Path) -> None:
        then = written(
            tmp_path, layouts.undertow(as_of="2026-08-20T11:00:00Z", ref_price=59_500.0), "then.json"
        )
        found = moved_files(store, MovedFiles("BTC", str(then), str(written(tmp_path, layouts.undertow()))))
        assert found.unit == "percent"
        assert sum(one.flows.start.usd for one in found.clusters) == pytest.approx(100)

    def test_what_is_not_one_map_at_two_moments_is_refused(self, store: Store, tmp_path: Path) -> None:
        one = str(written(tmp_path, layouts.datamaxi(), "one.json"))
        other = str(written(tmp_path, layouts.undertow(), "other.json"))
        for before, match in (
            (other, "one map at two moments"),
            (one, "the earlier map"),
            (None, "a map file too"),
        ):
            with pytest.raises(BadInput, match=match):
                moved_files(store, MovedFiles("BTC", before, one))
        with pytest.raises(BadInput, match="both be map files"):
            are_files(one, None)
        assert not are_files(layouts.AT, None)


class TestStored:
    @pytest.fixture
    def market(self, store: Store) -> Store:
        series = random_series(12, bars=160)
        stored_series(store, series)
        for bar in (120, 150):
            stored_reading(store, series, bar)
        return store

    def test_two_readings_are_named_compared_and_shown_in_80_columns(
        self, market: Store, tmp_path: Path
    ) -> None:
        found = moved_stored(market, MovedPlan(COIN, model="exact"))
        assert found.followed_by == "accounts"
        assert found.after_at - found.before_at == timedelta(hours=30)
        assert found.low_px <= min(found.before_mark_px, found.after_mark_px)
        assert [one.values["covered"] for one in of_codes(found.notes, {"moved_path"})] == [1.0]
        assert found.frame().columns == list(FRAME)
        before, *_, after = found.readings
        assert (before.role, after.role) == ("before", "after")
        assert (before.last_read_at, after.last_read_at) == (found.before_at, found.after_at)
        with market.database.session() as session:
            stored = set(session.exec(select(Reading.id)).all())
        assert {*before.ids, *after.ids} == stored
        console = Console(width=80, file=io.StringIO(), color_system=None, legacy_windows=False)
        console.print(moved_view(found))
        text = console.file.getvalue()  # type: ignore[attr-defined]
        assert all(len(line) <= 80 for line in text.splitlines())
        write_page(found, tmp_path / "moved.html")
        page = (tmp_path / "moved.html").read_text()
        for one in (*before.ids, *after.ids):
            assert one in "".join(text.split())
            assert one in page
        assert "…" not in text

    def test_recorded_liquidations_decide_where_they_cover_the_time(self, market: Store) -> None:
        plain = moved_stored(market, MovedPlan(COIN))
        hours = round((plain.after_at - plain.before_at) / timedelta(hours=1))
        times = [plain.before_at + timedelta(hours=n) for n in range(hours + 1)]
        rows = conform(
            pl.DataFrame({"ts": times, "address": "0xelse", "coin": "ETH", "side": "long", "size": 1.0}),
            LIQUIDATIONS,
        )
        market.lake.merge_series("liquidations", VENUE, "ETH", rows, KEY, "a test")
        found = moved_stored(market, MovedPlan(COIN))
        [by] = of_codes(found.notes, {"moved_by_accounts"})
        assert by.values["by_records"]
        assert all(one.flows.consumed.usd == 0 for one in found.clusters), "nobody of this coin is recorded"
        assert not of_codes(plain.notes, {"moved_by_accounts"})[0].values["by_records"]

    def test_a_model_is_followed_by_place(self, market: Store) -> None:
        found = moved_stored(market, MovedPlan(COIN, model="tiers", venue="hyperliquid"))
        assert found.followed_by == "place"
        assert found.clusters
        assert json.loads(json.dumps(found.frame()["start_positions"].to_list())) == [None] * len(
            found.clusters
        )

    def test_moments_of_one_reading_and_in_the_wrong_order_are_refused(self, market: Store) -> None:
        at = moved_stored(market, MovedPlan(COIN)).after_at
        with pytest.raises(BadInput, match="two moments must show two readings"):
            moved_stored(market, MovedPlan(COIN, at - timedelta(hours=2), at - timedelta(hours=1)))
        with pytest.raises(BadInput, match="--from must be before --to"):
            moved_stored(market, MovedPlan(COIN, at, at - timedelta(hours=1)))
