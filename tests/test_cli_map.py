"""`map exact --layer` and `map model --model calibrated`, as a user types them."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from liqtruth.storage.store import Settings, Store
from tests.conftest import Run
from tests.estimator.fitted_models import correction_of, fitted, save, stored_series


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """Synthetic series of two venues in the directory that `run` uses; no positions, no fitted model."""
    with Store.open(Settings(data_dir=tmp_path / "data")) as store:
        for venue in ("hyperliquid", "okx"):
            stored_series(store, venue, "SOL")
    return tmp_path / "data"


def model(run: Run, venue: str, *more: str, code: int = 0, name: str = "calibrated") -> str:
    window = () if "--series" in more else ("--window", "3d")
    done = run("map", "model", "SOL", "--venue", venue, "--model", name, *window, *more, code=code)
    return done.stderr if code else done.stdout


def test_without_a_fit_the_remedy_is_one_line(run: Run, data_dir: Path) -> None:
    shown = model(run, "okx", code=1).splitlines()
    assert len(shown) == 1
    assert "`liqtruth calibrate fit COIN`" in shown[0]
    assert "calibrate fit COIN" in model(run, "okx", "--series", "1d", code=1)


def test_on_the_venue_of_the_fit_the_map_has_bounds_everywhere_it_is_written(
    run: Run, data_dir: Path, tmp_path: Path
) -> None:
    save(data_dir, fitted())
    shown = model(run, "hyperliquid", "--html", str(tmp_path / "map.html"))
    assert "SOL on hyperliquid: model calibrated" in shown
    assert "80 % range" in shown
    assert "80 % range" in (tmp_path / "map.html").read_text()
    drawn = json.loads(model(run, "hyperliquid", "--json"))
    assert drawn["model"] == "calibrated"
    assert drawn["bounds"]["level"] == 0.8
    assert len(drawn["bounds"]["long"]["low_usd"]) == len(drawn["bounds"]["long"]["distance_pct"])


def test_on_another_venue_it_has_none_until_the_model_is_calibrated_there(run: Run, data_dir: Path) -> None:
    save(data_dir, fitted())
    shown = model(run, "okx")
    assert "not calibrated to okx" in shown
    assert "no bounds: the model is not calibrated to okx" in " ".join(shown.split())
    assert json.loads(model(run, "okx", "--json"))["bounds"] is None
    save(data_dir, fitted("calibrated-okx", kind="transferred", correction=correction_of("okx")))
    assert "80 % range" in model(run, "okx")
    assert "levelled" not in model(run, "okx")


def test_clusters_of_a_model_have_their_distance_in_atr_and_the_windows_that_show_them(
    run: Run, data_dir: Path
) -> None:
    facts = json.loads(model(run, "okx", "--windows", "--json", name="tiers"))["profile"]["facts"]
    assert facts["venue"] == facts["atr_from"] == "okx"
    assert all("30d" in one["windows"] for one in facts["clusters"])
    for one in facts["clusters"]:
        assert one["distance_atr"] == pytest.approx(one["distance_pct"] / facts["atr_pct"])
        assert sum(one["leverage"].values()) == pytest.approx(1.0)
    assert facts["lacking"][-1].startswith("resting depth between the mark and a cluster is empty")
    assert "stacked" in model(run, "okx", "--clusters", name="tiers")


def test_an_unknown_layer_is_named(run: Run) -> None:
    shown = run("map", "exact", "BTC", "--layer", "fish", code=2).stderr
    assert shown.startswith("error: --layer must be crowd or whales, got 'fish'")


@pytest.mark.parametrize(
    "words",
    [
        ("map", "exact", "BTC"),
        ("map", "model", "BTC"),
        ("map", "positions", "BTC", "--between", "1", "2"),
        ("compare", "BTC"),
        ("index", "reconcile"),
        ("score", "forecast", "BTC"),
        ("map", "moved", "BTC", "--from"),
    ],
)
@pytest.mark.parametrize("ahead", [timedelta(minutes=6), timedelta(days=1), timedelta(days=90_000)])
def test_a_moment_of_the_future_is_refused(run: Run, words: tuple[str, ...], ahead: timedelta) -> None:
    moment = f"{datetime.now(UTC) + ahead:%Y-%m-%dT%H:%M:%SZ}"
    shown = run(*words, *(("--at", moment) if "--from" not in words else (moment,)), code=2).stderr
    assert "is in the future" in " ".join(shown.split())


@pytest.mark.parametrize("at", ["9999-12-31T23:59:59-23:00", "0001-01-01T00:00:00+10:00", "yesterday", ""])
def test_what_is_no_moment_is_refused(run: Run, at: str) -> None:
    assert "--at must be a time such as" in " ".join(
        run("map", "exact", "BTC", "--at", at, code=2).stderr.split()
    )


def test_a_filtered_series_names_its_filter_and_its_age(run: Run, data_dir: Path) -> None:
    shown = model(run, "okx", "--series", "1d", "--leverage", "25", name="tiers")
    assert "only leverage" in shown
    assert "days ago)" in shown.splitlines()[0]


@pytest.mark.parametrize(
    "of_one_moment", [("--clusters",), ("--windows",), ("--window", "3d"), ("--width-bps", "20")]
)
def test_what_is_of_one_moment_is_refused_beside_a_series(
    run: Run, data_dir: Path, of_one_moment: tuple[str, ...]
) -> None:
    model(run, "okx", "--series", "1d", *of_one_moment, name="tiers", code=2)
    run("map", "exact", "SOL", "--series", "1d", "--clusters", code=2)


def test_a_history_of_all_venues_takes_the_filters_of_a_map(run: Run, data_dir: Path, tmp_path: Path) -> None:
    """The sum of both venues, on one grid; the picture is written as for one."""
    common = ("map", "history", "SOL", "--model", "tiers", "--last", "12h", "--step", "1h")
    part = ("--leverage", "5,25", "--age", "<4h")
    page = tmp_path / "all.html"
    shown = run(*common, "--venue", "all", *part, "-o", str(page)).stdout
    assert "only positions of age <4h are shown" in shown
    assert "okx+hyperliquid" in page.read_text()
    files = {name: tmp_path / f"{name}.csv" for name in ("all", "hyperliquid", "okx")}
    for name, path in files.items():
        run(*common, "--venue", name, *part, "-o", str(path))
    sums = {
        name: pl.read_csv(path, comment_prefix="#")
        .group_by("time")
        .agg(pl.col("notional_usd").sum())
        .sort("time")
        for name, path in files.items()
    }
    every, one, other = (sums[name]["notional_usd"].to_list() for name in files)
    assert every == pytest.approx([a + b for a, b in zip(one, other, strict=True)], rel=1e-4)


def test_filters_of_the_other_kind_of_history_are_refused_with_the_one_to_take(
    run: Run, data_dir: Path
) -> None:
    refused = run("map", "history", "SOL", "--model", "tiers", "--margin-mode", "cross", code=2).stderr
    assert "--margin-mode must come with exact maps" in refused
    refused = run("map", "history", "SOL", "--leverage", "25", code=2).stderr
    assert "--leverage must come with a model: give --model, or --leverage-band for exact maps" in refused
    refused = run("map", "history", "SOL", "--age", "<4h", "--position-age", "<4h", code=2).stderr
    assert "--age and --position-age are the same" in refused
    refused = run(
        "map", "model", "SOL", "--venue", "okx", "--since", "2026-08-22T00:00Z", "--model", "uniform", code=2
    )
    assert "leave out --leverage, --age and --since" in refused.stderr
