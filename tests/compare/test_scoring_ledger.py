"""The ledger of forecasts: kept before their time, scored once, never changed, and what it holds against a model."""

import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from shutil import copytree
from typing import Final

import numpy as np
import pytest
from msgspec.structs import asdict
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlmodel import select
from typer.testing import CliRunner

from liqtruth.commands.options.shared import GLOBALS
from liqtruth.commands.score import score_app
from liqtruth.compare.errors import TooLate
from liqtruth.compare.scoring.forecasting import ForecastPlan, StoredForecast, make_forecast, model_hash
from liqtruth.compare.scoring.ledger.leaderboard import flags_of, leaderboard
from liqtruth.compare.scoring.ledger.ledger import content_bytes, file_of, open_forecasts, read_content
from liqtruth.compare.scoring.ledger.settle import settle
from liqtruth.estimator.model.baselines import FORMER_NAMES
from liqtruth.heatmap.errors import BadInput, LiqtruthError
from liqtruth.heatmap.files import same
from liqtruth.heatmap.levels import SIDES
from liqtruth.storage.database.tables import Forecast, ForecastScore
from liqtruth.storage.store import Settings, Store
from tests.compare.scored_markets import COIN, HOUR, START, VENUE, ScoredMarket, settle_there, store_market
from tests.faults.writers import started
from tests.storage.databases import new_postgresql

MARKET: Final = ScoredMarket(days=7, recorded_days=3)
PLAN: Final = ForecastPlan(COIN, VENUE, "bell")
NOW: Final = MARKET.end - 6 * HOUR
"""A moment of which both the maps before and what came after are stored."""


def clock_at(moment: datetime) -> Callable[[], datetime]:
    return lambda: moment


@pytest.fixture(scope="module")
def stored_market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory without forecasts, to be copied."""
    data_dir = tmp_path_factory.mktemp("ledger") / "data"
    with Store.open(Settings(data_dir=data_dir)) as store:
        store_market(store, MARKET)
    return data_dir


@pytest.fixture
def market(stored_market: Path, tmp_path: Path) -> Iterator[Store]:
    copytree(stored_market, tmp_path / "copy")
    with Store.open(Settings(data_dir=tmp_path / "copy")) as store:
        yield store


def forecast(store: Store, plan: ForecastPlan = PLAN, at: datetime = NOW) -> StoredForecast:
    """As a replay of `at`: what is stored is of the past."""
    return make_forecast(store, replace(plan, replay=True, at=at), clock_at(at + timedelta(days=90)))


def scores(store: Store) -> list[ForecastScore]:
    with store.database.session() as session:
        return sorted(
            session.exec(select(ForecastScore)).all(), key=lambda row: (row.forecast_hash, row.side)
        )


class TestForecast:
    def test_the_map_of_now_is_kept_with_the_clock_and_its_hash(self, market: Store) -> None:
        now = MARKET.end + timedelta(minutes=4)
        made = make_forecast(market, PLAN, clock_at(now))
        assert (made.as_of, made.made_at, made.horizon_s) == (MARKET.end, now, 3600)
        assert made.new
        assert not made.replayed
        assert made.synthetic
        row = open_forecasts(market)[0]
        content = read_content(market, row)
        assert content.map.model == "bell"
        assert content.tiers is not None
        assert content.tiers.as_of == content.map.as_of

    @pytest.mark.parametrize(("late_min", "horizon_h"), [(11, 1.0), (4, 0.25)])
    def test_what_can_be_seen_already_is_no_forecast(
        self, market: Store, late_min: int, horizon_h: float
    ) -> None:
        """Ten minutes at most, and of 15 minutes a quarter."""
        plan = replace(PLAN, horizon=horizon_h * HOUR)
        with pytest.raises(TooLate, match=rf"{late_min} min before now.*--replay"):
            make_forecast(market, plan, clock_at(MARKET.end + timedelta(minutes=late_min)))
        assert not open_forecasts(market)
        assert not list((market.settings.data_dir).glob("forecasts/*"))

    def test_a_map_from_the_future_is_none_either(self, market: Store) -> None:
        with pytest.raises(TooLate, match="yet to come"):
            make_forecast(market, PLAN, clock_at(MARKET.end - HOUR))

    def test_another_moment_than_now_is_a_replay_and_stays_one(self, market: Store) -> None:
        with pytest.raises(BadInput, match="add --replay"):
            ForecastPlan(COIN, VENUE, "bell", at=NOW)
        made = forecast(market)
        assert made.replayed
        assert any("marked as one for good" in line for line in made.describe())
        settle(market)
        assert [one.replayed for one in leaderboard(market)] == [True]

    def test_the_same_moment_counts_once(self, market: Store) -> None:
        first, second = forecast(market), forecast(market)
        assert (first.new, second.new) == (True, False)
        assert second.hash == first.hash
        assert len(list((market.settings.data_dir / "forecasts").iterdir())) == 1
        assert forecast(market, replace(PLAN, horizon=2 * HOUR)).new
        assert forecast(market, replace(PLAN, model="tiers")).new

    def test_the_same_content_has_the_same_bytes(self, market: Store) -> None:
        made = forecast(market)
        row = open_forecasts(market)[0]
        content, again = read_content(market, row), read_content(market, row)
        assert same(content.map, again.map)
        assert content_bytes(asdict(row), content) == gzip.decompress(file_of(market, made.hash).read_bytes())


class TestSettle:
    @pytest.mark.parametrize("model", ["bell", "tiers", "uniform", "vintages"])
    def test_predicted_is_what_the_kept_map_has_between_its_mark_and_the_extreme(
        self, market: Store, model: str
    ) -> None:
        forecast(market, replace(PLAN, model=model, horizon=2 * HOUR))
        drawn = read_content(market, open_forecasts(market)[0]).map
        settle(market)
        risen, edges = drawn.cumulative(), np.log(drawn.grid.edges)
        for row, sign in zip(scores(market), (-1, 1), strict=True):
            extreme = np.log(drawn.mark_px) + sign * row.move
            assert row.predicted_usd == pytest.approx(np.interp(extreme, edges, risen), rel=1e-6, abs=1e-6)
        (row,) = leaderboard(market)
        assert (row.model, row.scored) == (model, 1)

    def test_the_model_that_made_the_liquidations_stands_above_one_of_distance(self, market: Store) -> None:
        for hour in range(1, 13):
            forecast(market, at=MARKET.end - hour * HOUR)
        report = settle(market)
        assert (report.settled, report.waiting, report.refused) == (12, (), ())
        row = leaderboard(market)[0]
        assert (row.forecasts, row.scored) == (12, 12)
        assert row.pooled is not None
        model, uniform, tiers = row.pooled.maps
        assert (model.name, uniform.name, tiers.name) == ("bell", "uniform", "tiers")
        assert model.partial is not None
        assert uniform.skill is not None
        assert model.partial.value > 0.7
        assert uniform.skill.value > 0.5

    def test_a_second_settle_changes_nothing(self, market: Store) -> None:
        forecast(market)
        first = settle(market)
        stored = [row.model_dump() for row in scores(market)]
        second = settle(market, clock_at(datetime(2027, 1, 1, tzinfo=UTC)))
        assert (first.settled, second.settled) == (1, 0)
        assert [row.model_dump() for row in scores(market)] == stored

    def test_what_is_not_over_or_not_stored_waits_and_gives_the_reason(self, market: Store) -> None:
        make_forecast(market, PLAN, clock_at(MARKET.end))
        soon = settle(market, clock_at(MARKET.end + HOUR / 2))
        late = settle(market, clock_at(MARKET.end + 2 * HOUR))
        assert [one.reason for one in soon.waiting] == ["the horizon is not over"]
        assert "do not cover its horizon yet" in late.waiting[0].reason
        assert late.exit_code == 0

    def test_a_forecast_of_a_time_that_nobody_listened_to_waits(self, market: Store) -> None:
        forecast(market, at=START + timedelta(days=3, hours=12))
        assert "were not observed all through its horizon" in settle(market).waiting[0].reason

    def test_content_that_was_changed_is_refused_and_the_others_are_scored(self, market: Store) -> None:
        made, good = forecast(market), forecast(market, at=NOW - HOUR)
        path = file_of(market, made.hash)
        content = json.loads(gzip.decompress(path.read_bytes()))
        content["map"]["long_usd"] = [2 * usd for usd in content["map"]["long_usd"]]
        path.write_bytes(gzip.compress(json.dumps(content).encode()))
        report = settle(market)
        assert [one.hash for one in report.refused] == [made.hash]
        assert "does not have the hash of its name" in report.refused[0].reason
        assert report.exit_code == 1
        assert {row.forecast_hash for row in scores(market)} == {good.hash}

    @pytest.mark.parametrize("damage", ["gone", "cut off", "no gzip"])
    def test_a_file_that_cannot_be_read_is_refused(self, market: Store, damage: str) -> None:
        path = file_of(market, forecast(market).hash)
        if damage == "gone":
            path.unlink()
        else:
            path.write_bytes(path.read_bytes()[:100] if damage == "cut off" else b"nothing of the kind")
        report = settle(market)
        assert len(report.refused) == 1
        assert path.name in report.refused[0].reason
        assert not scores(market)

    def test_a_file_whose_row_was_never_written_is_no_forecast(
        self, market: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As after a kill between the two."""

        class Killed(BaseException):
            pass

        def killed(*_: object) -> None:
            raise Killed

        with monkeypatch.context() as broken:
            broken.setattr("liqtruth.storage.database.tables.insert_new", killed)
            with pytest.raises(Killed):
                forecast(market)
        assert len(list((market.settings.data_dir / "forecasts").iterdir())) == 1
        assert settle(market).settled == 0
        assert not leaderboard(market)
        assert forecast(market).new
        assert settle(market).settled == 1


@pytest.fixture(params=["sqlite", "postgresql"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path, str | None]]:
    """A data directory with a market and three forecasts, on each of the two databases."""

    def prepared(url: str | None) -> tuple[Path, str | None]:
        with Store.open(Settings(data_dir=tmp_path / "data", database_url=url)) as store:  # type: ignore[arg-type]
            store_market(store, MARKET)
            for hour in range(3):
                forecast(store, at=NOW - hour * HOUR)
        return tmp_path / "data", url

    if request.param == "sqlite":
        yield prepared(f"sqlite:///{tmp_path / 'ledger.db'}")
    else:
        with new_postgresql() as url:
            yield prepared(url)


def test_two_processes_score_each_forecast_once_and_the_database_refuses_to_change_it(
    kept: tuple[Path, str | None],
) -> None:
    running = [started(settle_there, *kept) for _ in range(2)]
    for process in running:
        process.join(60)
    assert [process.exitcode for process in running] == [0, 0]
    with Store.open(Settings(data_dir=kept[0], database_url=kept[1])) as store:  # type: ignore[arg-type]
        assert len(scores(store)) == 3 * len(SIDES)
        assert not open_forecasts(store)
        for change in (
            "UPDATE forecast SET replayed = false",
            "UPDATE forecastscore SET told_usd = 0",
            "DELETE FROM forecastscore",
            "DELETE FROM forecast",
        ):
            with pytest.raises(DBAPIError, match="append-only"), store.database.engine.begin() as connection:
                connection.execute(text(change))
        assert len(scores(store)) == 3 * len(SIDES)


# --------------------------------------------------------------------------------------------- flags


def fill(
    store: Store,
    days: int = 12,
    *,
    model: str = "bell",
    first_day: int = 0,
    skill: float = 0.0,
    hits: float = 0.1,
    events: int = 2,
    seed: int = 0,
) -> None:
    """A ledger of `model` with a forecast each hour; of its predictions `skill` follows what was realised (below 0:
    runs against it), and `hits` of the events lie in its top zones."""
    rng = np.random.default_rng(seed)
    rows: list[Forecast] = []
    result: list[ForecastScore] = []
    for hour in range(24 * first_day, 24 * (first_day + days)):
        row = Forecast(
            hash=f"{hour:064d}",
            venue=VENUE,
            coin=COIN,
            model=model,
            weights="",
            model_hash="abc",
            as_of=START + hour * HOUR,
            made_at=START + hour * HOUR,
            horizon_s=3600,
            replayed=False,
            synthetic=True,
        )
        rows.append(row)
        for side in SIDES:
            move, realised = float(rng.exponential(0.02)), float(rng.lognormal(10, 1))
            result.append(
                ForecastScore(
                    forecast_hash=row.hash,
                    side=side,
                    settled_at=row.as_of + HOUR,
                    move=move,
                    volatility=move * float(rng.uniform(0.5, 1.5)),
                    told_usd=realised,
                    coverage=1.0,
                    events=events,
                    zoned_events=events,
                    predicted_usd=realised**skill * float(rng.lognormal(0, 0.5)),
                    uniform_usd=1e6 * move,
                    tiers_usd=realised * float(rng.lognormal(0, 0.5)),
                    hits=hits * events,
                    uniform_hits=0.1 * events,
                    tiers_hits=0.1 * events,
                )
            )
    with store.database.session() as session:
        session.add_all(rows)
        session.flush()
        session.add_all(result)


@pytest.mark.parametrize(("former", "name"), FORMER_NAMES.items())
def test_forecasts_under_a_models_former_name_count_as_its_own(store: Store, former: str, name: str) -> None:
    fill(store, 6, model=former, skill=-1.0)
    fill(store, 6, model=name, first_day=6, skill=-1.0)
    (row,) = leaderboard(store)
    assert (row.model, row.forecasts, row.scored) == (name, 288, 288)
    assert leaderboard(store, name) == (row,)
    assert {line.values["model"] for line in flags_of(store, name, VENUE)} == {name}
    assert model_hash(store, name, None, VENUE) == sha256(former.encode()).hexdigest()[:12]


class TestFlags:
    def test_an_empty_ledger_has_no_flags(self, store: Store) -> None:
        assert flags_of(store, "bell", "all") == ()

    def test_a_model_as_good_as_its_baselines_has_no_flag(self, store: Store) -> None:
        fill(store, skill=1.0, hits=0.2)
        assert flags_of(store, "bell", VENUE) == ()

    def test_a_model_that_ranks_worse_than_a_baseline_is_flagged_in_one_line(self, store: Store) -> None:
        fill(store, skill=-1.0)
        lines = flags_of(store, "bell", f"binance,{VENUE}")
        assert {line.code for line in lines} == {"worse_than_baseline"}
        assert [line.values["baseline"] for line in lines] == ["uniform", "tiers"]
        assert lines[0].text.startswith(
            f"ledger, {VENUE} {COIN} 1 h, 288 scored: bell does worse than uniform"
        )

    def test_a_model_whose_zones_are_hit_less_than_chance_is_flagged(self, store: Store) -> None:
        fill(store, skill=1.0, hits=0.02)
        (line,) = flags_of(store, "bell", VENUE)
        assert line.code == "worse_than_chance"
        assert "its zones was hit by 2% of 1152 liquidations, at most 3%" in line.text
        assert "chance hits 10%" in line.text

    def test_other_models_and_venues_are_not_concerned(self, store: Store) -> None:
        fill(store, skill=-1.0)
        assert flags_of(store, "tiers", VENUE) == ()
        assert flags_of(store, "bell", "binance") == ()

    def test_fewer_than_ten_liquidations_are_no_ground(self, store: Store) -> None:
        fill(store, skill=-1.0, hits=0.0, events=0)
        assert flags_of(store, "bell", VENUE) == ()


class TestCommands:
    @pytest.fixture
    def data_dir(self, market: Store, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setattr(GLOBALS, "data_dir", market.settings.data_dir)
        return market.settings.data_dir

    def test_forecast_settle_and_list(self, data_dir: Path) -> None:
        words = ["forecast", COIN, "--venue", VENUE, "--replay", "--at", NOW.isoformat()]
        made = CliRunner().invoke(score_app, words, catch_exceptions=False)
        assert "vintages (population) as of" in made.stdout
        done = CliRunner().invoke(score_app, ["settle"], catch_exceptions=False)
        assert "1 forecast scored, 0 waiting, 0 refused" in done.stdout
        shown = CliRunner().invoke(score_app, ["list"], catch_exceptions=False)
        assert "(replay)" in shown.stdout
        assert "no evidence of foresight" in shown.stdout
        answer = json.loads(CliRunner().invoke(score_app, ["list", "--json", "-"]).stdout)
        assert [(one["model"], one["scored"], one["replayed"]) for one in answer] == [("vintages", 1, True)]

    def test_a_late_map_is_refused_in_one_line(self, data_dir: Path) -> None:
        late = CliRunner().invoke(score_app, ["forecast", COIN, "--venue", VENUE])
        assert isinstance(late.exception, LiqtruthError)
        assert late.exception.exit_code == 1

    def test_changed_content_ends_settle_with_exit_code_1(self, data_dir: Path, market: Store) -> None:
        file_of(market, forecast(market).hash).write_bytes(b"")
        done = CliRunner().invoke(score_app, ["settle"])
        assert done.exit_code == 1
        assert "0 forecasts scored, 0 waiting, 1 refused" in done.stdout

    def test_an_empty_ledger_names_the_command_that_fills_it(self, data_dir: Path) -> None:
        assert "liqtruth score forecast COIN" in CliRunner().invoke(score_app, ["list"]).stdout
