"""One command from nothing to an answer, on a synthetic exchange over real sockets."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from liqtruth.compare.check import CheckPlan, check_coin, left_out_of_all
from liqtruth.compare.comparison.session import Files, ages_now, compare_stored
from liqtruth.compare.divergence.as_json import to_json
from liqtruth.compare.errors import VendorMapRefused
from liqtruth.compare.gather import Gathered, Watching, gather
from liqtruth.estimator.errors import UnknownChoice
from liqtruth.heatmap.errors import BadInput, LiqtruthError, MissingData
from liqtruth.heatmap.files import write_map
from liqtruth.heatmap.heatmap import Origin
from liqtruth.heatmap.words.notes import of_codes
from liqtruth.indexer.info.budget import Patience
from liqtruth.indexer.maps.exact import exact_map
from liqtruth.indexer.sweep.largest import Endpoint
from liqtruth.sandbox.server import SandboxServer
from liqtruth.storage.errors import NothingStored
from liqtruth.storage.store import Store
from tests.compare.imported import layouts
from tests.compare.imported.layouts import written
from tests.conftest import Run

NOWHERE = "http://127.0.0.1:9"


def gathered(store: Store, served: SandboxServer, plan: CheckPlan) -> Gathered:
    endpoint = Endpoint(served.base_url, served.base_url, weight_per_minute=None)
    return gather(store, plan, endpoint, Watching())


def labels(store: Store, plan: CheckPlan, coin: str = "BTC") -> list[str]:
    found = check_coin(store, plan, coin).comparison.divergence
    return [model.summary.label for model in found.models]


def test_accounts_and_series_are_read_and_compared(store: Store, served: SandboxServer) -> None:
    plan = CheckPlan(coins=["BTC", "ETH"], venues=["binance"], coverage=0.15, days=5)
    read = gathered(store, served, plan)
    assert not read.failed
    assert read.accounts is not None
    assert read.accounts.ended == "coverage"
    assert {(one.venue, one.coin) for one in read.series} == {("binance", "BTC"), ("binance", "ETH")}
    assert labels(store, plan) == ["binance vintages", "binance tiers"]
    assert labels(store, plan, "ETH") == ["binance vintages", "binance tiers"]
    found = check_coin(store, plan, "BTC").comparison.divergence
    assert found.synthetic
    assert found.truth.coverage_share is not None
    assert min(found.truth.coverage_share) >= 0.15
    depths = [(one.distance_pct, one.depth_usd) for one in found.clusters if one.map == "hyperliquid exact"]
    assert any(usd is not None and usd > 0 for _, usd in depths), (
        "the book that was read is beside the clusters"
    )
    assert all(one.depth_usd is None for one in found.clusters if one.map != "hyperliquid exact")
    assert [one.book_age_s is None for one in found.markets] == [False, True]


def test_a_venue_that_the_exchange_has_not_is_named_and_stops_nothing(
    store: Store, served: SandboxServer, tmp_path: Path
) -> None:
    """A given map is compared all the same, and comes first."""
    plan = CheckPlan(coins=["BTC"], venues=["okx", "binance"], coverage=0.3, days=5, within_s=20.0)
    read = gathered(store, served, plan)
    assert any("okx" in why for why in read.failed)
    given = tmp_path / "given.json"
    write_map(exact_map(store, "BTC"), given)
    checked = check_coin(store, CheckPlan(**{**vars(plan), "maps": [str(given)]}), "BTC")
    assert [model.summary.label for model in checked.comparison.divergence.models] == [
        "hyperliquid exact",
        "binance vintages",
        "binance tiers",
    ]
    assert len(checked.lacking) == 2
    assert all(why.startswith("okx:") for why in checked.lacking)
    found = checked.comparison.divergence
    assert [one.values["venues"] for one in of_codes(found.caveats, {"venues_gave_nothing"})] == [("okx",)]
    assert "okx" in json.loads(to_json(found))["caveat"]


def test_a_row_of_a_vendors_file_is_checked_like_any_map(
    store: Store, served: SandboxServer, tmp_path: Path
) -> None:
    """On the range that it covers: what lies beyond its prices counts for nobody."""
    plan = CheckPlan(coins=["BTC"], venues=[], coverage=0.3, within_s=20.0)
    gathered(store, served, plan)
    given = written(tmp_path, layouts.coinank_by_exchange())
    checked = check_coin(store, CheckPlan(**{**vars(plan), "maps": [f"{given}#Hyperliquid"]}), "BTC")
    found = checked.comparison.divergence
    assert [model.summary.label for model in found.models] == ["hyperliquid coinank"]
    assert found.range_pct < 11
    assert "moments_apart" in {one.code for one in found.caveats}
    assert checked.comparison.truth_map.covers is not None
    unpriced = [str(written(tmp_path, layouts.coinank_heatmap(), "heatmap.json"))]
    with pytest.raises(VendorMapRefused, match="--mark"):
        check_coin(store, CheckPlan(**{**vars(plan), "maps": unpriced}), "BTC")
    moved = CheckPlan(**{**vars(plan), "maps": unpriced, "mark_px": layouts.MARK, "shift": True})
    with pytest.raises(MissingData, match="nothing is known around"):  # it ends far from this market's mark
        check_coin(store, moved, "BTC")


def test_a_map_file_is_read_once_before_anything_else(
    store: Store, served: SandboxServer, tmp_path: Path
) -> None:
    own = tmp_path / "own.json"
    gathered(store, served, CheckPlan(coins=["BTC"], venues=[], coverage=0.3, within_s=20.0))
    write_map(exact_map(store, "BTC"), own)
    plan = CheckPlan(coins=["BTC", "ETH"], maps=[str(own)], venues=[], coverage=0.3, within_s=20.0)
    assert not gathered(store, served, plan).failed
    own.unlink()
    assert labels(store, plan) == ["hyperliquid exact"]


def test_a_map_that_cannot_be_shifted_is_named_and_the_others_are_compared(
    store: Store, served: SandboxServer, tmp_path: Path
) -> None:
    plan = CheckPlan(coins=["BTC"], venues=[], coverage=0.3, within_s=20.0)
    gathered(store, served, plan)
    far, own = written(tmp_path, layouts.coinank_by_exchange()), tmp_path / "own.json"
    write_map(exact_map(store, "BTC"), own)
    maps = [f"{far}#Hyperliquid", str(own)]
    checked = check_coin(store, CheckPlan(**{**vars(plan), "maps": maps, "shift": True}), "BTC")
    stored = compare_stored(store, "BTC", files=Files(maps, shift=True))
    for found in (checked.comparison.divergence, stored.divergence):
        assert [model.summary.label for model in found.models] == ["hyperliquid exact"]
        named = [one.values["missing"] for one in of_codes(found.remarks, {"not_compared"})]
        assert [label for [(label, _)] in named] == ["hyperliquid coinank"]
    assert checked.lacking == ("hyperliquid coinank",)
    with pytest.raises(BadInput, match="nothing is known around"):
        compare_stored(store, "BTC", files=Files(maps[:1], shift=True))


def test_where_the_truth_is_the_older_one_the_headline_says_so_and_how_old_it_is_now(
    store: Store, served: SandboxServer, tmp_path: Path
) -> None:
    plan = CheckPlan(coins=["BTC"], venues=[], coverage=0.3, within_s=20.0)
    gathered(store, served, plan)
    whole, own = exact_map(store, "BTC"), tmp_path / "own.json"
    now = whole.as_of + timedelta(days=91)
    maps = [
        replace(whole, as_of=whole.as_of + timedelta(days=days), source="imported", origin=Origin("x", "y"))
        for days in (90.5, -3.0)
    ]
    newer, older = (ages_now(whole, [one], now) for one in maps)
    assert [(one.about, one.values["age_s"]) for one in newer] == [("hyperliquid exact", 91 * 86_400.0)]
    assert [one.values["age_s"] for one in older] == [94 * 86_400.0]
    write_map(maps[0], own)
    found = check_coin(store, CheckPlan(**{**vars(plan), "maps": [str(own)]}), "BTC").comparison.divergence
    assert [one.values["when"] for one in of_codes(found.caveats, {"moments_apart"})] == ["after"]
    assert len(of_codes(found.caveats, {"moment_ago"})) == 1
    then = CheckPlan(**{**vars(plan), "maps": [str(own)], "at": whole.as_of})
    assert not of_codes(check_coin(store, then, "BTC").comparison.divergence.caveats, {"moment_ago"})


def test_a_map_of_one_coin_is_compared_with_that_coin_alone(
    store: Store, served: SandboxServer, tmp_path: Path
) -> None:
    given = tmp_path / "btc.csv"
    plan = CheckPlan(coins=["BTC", "ETH"], venues=["binance"], coverage=0.15, days=5)
    gathered(store, served, plan)
    mark = exact_map(store, "BTC").mark_px
    given.write_text("price,usd\n" + "\n".join(f"{mark * at},{1e6}" for at in (0.9, 0.95, 1.05, 1.1)))
    asked = CheckPlan(**{**vars(plan), "maps": [str(given)], "mark_px": mark})
    assert len(labels(store, asked)) == 3
    assert len(labels(store, asked, "ETH")) == 2
    found = [check_coin(store, asked, coin) for coin in ("BTC", "ETH")]
    assert [len(one.lacking) for one in found] == [0, 1]
    assert not left_out_of_all(found), "it was compared with BTC"
    assert left_out_of_all(found[1:]) == list(found[1].comparison.left_out.values()) != []


def test_an_exchange_that_is_away_leaves_what_is_stored(store: Store, served: SandboxServer) -> None:
    plan = CheckPlan(coins=["BTC"], venues=["binance"], coverage=0.3, days=5, within_s=20.0)
    gathered(store, served, plan)
    away = CheckPlan(**{**vars(plan), "venue_url": served.base_url})
    read = gather(store, away, Endpoint(NOWHERE, NOWHERE, None, patience=Patience(attempts=1)), Watching())
    assert read.accounts is None
    assert any(NOWHERE in why for why in read.failed)
    assert labels(store, plan) == ["binance vintages", "binance tiers"]


def test_an_endpoint_of_ones_own_that_is_away_has_nobody_asked_in_its_place(store: Store) -> None:
    plan = CheckPlan(coins=["BTC"], venues=["binance"], days=5, within_s=20.0)
    read = gather(store, plan, Endpoint(NOWHERE, NOWHERE, None, patience=Patience(attempts=1)), Watching())
    assert not read.series, "the venues of the world are other markets than those of a sandbox"
    assert read.failed
    assert all(NOWHERE in why for why in read.failed)


def test_without_positions_or_without_a_map_there_is_no_answer(store: Store, served: SandboxServer) -> None:
    plan = CheckPlan(coins=["BTC"], venues=[], coverage=0.3)
    with pytest.raises(NothingStored):
        check_coin(store, plan, "BTC")
    gathered(store, served, plan)
    with pytest.raises(MissingData):
        check_coin(store, plan, "BTC")


def test_where_only_another_venue_is_stored_it_is_named(store: Store, served: SandboxServer) -> None:
    gathered(store, served, CheckPlan(coins=["BTC"], venues=["binance"], coverage=0.3, days=5))
    with pytest.raises(MissingData, match=r"--venue binance$"):
        check_coin(store, CheckPlan(coins=["BTC"], venues=["okx"]), "BTC")


def test_a_venue_that_nobody_knows_is_refused_before_anything_is_read(
    store: Store, served: SandboxServer
) -> None:
    with pytest.raises(UnknownChoice):
        gathered(store, served, CheckPlan(coins=["BTC"], venues=["binanse"]))


def test_without_any_map_to_check_nothing_is_read(run: Run, served: SandboxServer) -> None:
    requests = sum(served.requests.values())
    run("check", "BTC", "--base-url", served.base_url, "--venue", "none", code=2)
    assert sum(served.requests.values()) == requests


def test_a_map_file_that_is_refused_is_refused_before_anything_is_read(
    store: Store, served: SandboxServer, tmp_path: Path
) -> None:
    requests = served.requests["clearinghouseState"]
    with pytest.raises(LiqtruthError, match="no such file"):
        gathered(store, served, CheckPlan(coins=["BTC"], maps=[str(tmp_path / "none.json")], venues=[]))
    assert served.requests["clearinghouseState"] == requests
    with pytest.raises(NothingStored):
        check_coin(store, CheckPlan(["BTC"]), "BTC")


def test_the_command_answers_writes_a_page_and_is_quick_the_second_time(
    run: Run, served: SandboxServer, tmp_path: Path
) -> None:
    common = ("--base-url", served.base_url, "--weight-per-minute", "0", "--venue", "binance", "--days", "5")
    page = tmp_path / "check.html"
    run("check", "BTC", "ETH", *common, "--coverage", "30", "-o", str(page))
    assert {path.name for path in tmp_path.glob("*.html")} == {"check-BTC.html", "check-ETH.html"}
    requests = served.requests["clearinghouseState"]
    result = json.loads(run("check", "BTC", *common, "--coverage", "30", "--json").stdout)
    assert served.requests["clearinghouseState"] == requests
    assert (
        json.loads(run("check", "BTC", *common[4:], "--offline", "--json").stdout)["models"]
        == result["models"]
    )
    both = json.loads(run("check", "BTC", "ETH", *common[4:], "--offline", "--json").stdout)
    assert [one["coin"] for one in both] == ["BTC", "ETH"]
    reports = tmp_path / "reports"
    line = ("report", "BTC", "BTCC", "-o", str(reports), "--days", "5")
    answer = run(*line, code=3)
    assert "BTCC has no report: no coin 'BTCC'" in answer.stderr
    assert answer.stdout.startswith("BTC: ")
    names = ["BTC.csv", "BTC.html", "BTC.json", "reports.html"]
    assert sorted(f"{one.parent.name}{one.suffix}" for one in reports.rglob("*.*")) == names
    models = ("--model", "binance:bell", "--model", "okx:tiers", "--keep", "1")
    conditions = ("--fail-if", "w1 > 1000", "--fail-if", "coverage < 99", "--fail-if", "coverage > 100")
    done = run(*line, *models, *conditions, "--json", code=1)
    failed, told = done.stderr, json.loads(done.stdout)
    assert told["schema"] == "liqtruth.report_run/1"
    assert [one["coin"] for one in told["reports"]] == ["BTC"]
    assert [one["coin"] for one in told["failed_coins"]] == ["BTCC"]
    (told_of,) = told["reports"]
    assert sorted(told_of["files"]) == ["csv", "html", "json"]
    assert all(Path(one).is_file() for one in (*told_of["files"].values(), told["index"]))
    assert json.loads(Path(told_of["files"]["json"]).read_text())["verdict"] == told_of["verdict"]
    assert told_of["lacking"] == ["okx:tiers"]
    assert told_of["maps"][0]["figures"]["w1"]["value"] is None
    assert told_of["truth"]["coverage"]["value"] < 99
    assert told["conditions"] == ["w1 > 1000", "coverage < 99", "coverage > 100"]
    assert {(one["condition"], one["label"]) for one in told["failed_conditions"]} == {
        ("w1 > 1000", "binance bell"), ("w1 > 1000", "okx:tiers"), ("coverage < 99", None),
    }  # fmt: skip
    assert "BTC, binance bell: w1 is not known (too few positions to judge by)" in failed
    assert "BTC, okx:tiers: w1 is not known (it could not be compared)" in failed
    assert "BTC: coverage is" in failed
    assert len([*reports.rglob("*.*")]) == 4
    broken, own = tmp_path / "broken.json", str(tmp_path / "own.json")
    broken.write_text("{")
    run("map", "exact", "BTC", "-o", own)
    unfit = ("--map", str(broken), "--map", own)
    for command in (("report", "-o", str(reports)), ("check", "--offline", "-o", str(page))):
        done = run(command[0], "BTC", *command[1:], *unfit, "--venue", "none", "--days", "5", code=3)
        assert done.stderr.count("broken.json") == 1
        assert "hyperliquid exact" in done.stdout
    run("report", "BTCC", "-o", str(tmp_path / "none"), code=2)
    assert not (tmp_path / "none").exists()
    run("check", "BTC", "--offline", "--venue", "none", code=2)
    run("check", "BTCC", *common, code=2)


def test_what_failed_at_a_venue_is_stated_once(run: Run, served: SandboxServer) -> None:
    """The sandbox of the tests has no OKX."""
    common = (
        "--base-url",
        served.base_url,
        "--weight-per-minute",
        "0",
        "--venue",
        "binance,okx",
        "--days",
        "5",
    )
    stated = run("check", "BTC", *common, "--coverage", "1", "-o", "-", code=3).stderr
    assert stated.count("did not give the time") == 1
    assert "okx BTC: nothing; 1 failure" in stated


def test_where_no_host_answers_and_nothing_is_stored_the_hosts_are_named(run: Run) -> None:
    nowhere = ("--base-url", NOWHERE, "--venue-url", NOWHERE, "--within", "2s")
    said = run("check", "BTC", *nowhere, "--venue", "binance", code=3).stderr
    assert NOWHERE in said.splitlines()[-1]
