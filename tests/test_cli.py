"""The command line as a user meets it: a real process, its output, its exit code."""

import json
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from liqtruth.compare.comparison.session import compare_stored
from liqtruth.indexer.info import client
from liqtruth.indexer.info.budget import Patience
from liqtruth.sandbox.market.market import Market
from liqtruth.sandbox.server import SandboxServer
from liqtruth.sandbox.truth import addresses
from liqtruth.storage.store import Settings, Store

Run = Callable[..., subprocess.CompletedProcess[str]]


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """The only line on stderr."""
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_the_version_is_printed(run: Run) -> None:
    assert run("--version", apart=True).stdout.startswith("liqtruth 0.")


@pytest.mark.parametrize(
    ("words", "code", "part"),
    [
        (["map", "exact", "BTC", "--at", "yesterday"], 2, "yesterday"),
        (["map", "model", "BTC", "--leverage", "25,-1"], 2, "25,-1"),
        (["map", "model", "BTC", "--window", "20y"], 2, "20y"),
        (["map", "model", "BTC", "--venue", "mtgox"], 2, "mtgox"),
        (["compare", "BTC", "--model", "tiers", "--truth", "binance:tiers"], 1, "feed"),
        (["index", "import", "nowhere.json"], 2, "nowhere.json"),
        (["index", "sweep", "--addresses", "nowhere.txt"], 2, "nowhere.txt"),
        (["feed", "import", "nowhere.csv", "--venue", "binance", "--coin", "BTC"], 2, "nowhere.csv"),
    ],
)
def test_a_bad_value_is_named(run: Run, words: list[str], code: int, part: str) -> None:
    assert part in run(*words, code=code).stderr


def test_an_empty_data_directory_says_what_to_run_first(run: Run) -> None:
    assert "liqtruth check" in one_line(run("map", "exact", "BTC", code=1))
    assert "liqtruth feed" in one_line(run("map", "model", "BTC", code=1))


def test_an_unreachable_host_is_one_line_and_exit_code_3(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "Patience", partial(Patience, first_wait_s=0.01))
    (tmp_path / "addresses.txt").write_text("0x" + "1" * 40 + "\n")
    # Port 9 on loopback: nothing listens there.
    done = run(
        "index",
        "sweep",
        "--addresses",
        str(tmp_path / "addresses.txt"),
        "--base-url",
        "http://127.0.0.1:9",
        "--weight-per-minute",
        "0",
        code=3,
    )
    assert "http://127.0.0.1:9" in one_line(done)


def test_an_exchange_is_swept_fetched_and_drawn(
    run: Run, served: SandboxServer, small_market: Market, tmp_path: Path
) -> None:
    listed = tmp_path / "addresses.txt"
    listed.write_text("\n".join(addresses(small_market)))
    sweep = ["index", "sweep", "--addresses", str(listed), "--base-url", served.base_url]
    assert "600 accounts" in run(*sweep, "--dry").stdout
    assert "liqtruth check" in one_line(run("map", "exact", "BTC", code=1)), "a dry run stores nothing"
    swept = json.loads(run(*sweep, "--weight-per-minute", "0", "--json").stdout)
    assert (swept["accounts"], swept["failed"]) == (600, {})
    assert set(swept["statuses"]) == {"agree", "never"}

    fetched = run("feed", "fetch", "binance", "BTC", "--days", "3", "--base-url", served.binance_url)
    assert "synthetic" in fetched.stdout
    for words in (["exact", "BTC"], ["model", "BTC", "--window", "3d", "--leverage", "25,50"]):
        shown = run("map", *words, "--csv", str(tmp_path / "map.csv"))
        assert "mark" in shown.stdout or shown.stderr.startswith("wrote")
        drawn = json.loads(run("map", *words, "--json").stdout)
        assert drawn["schema"] == "liqtruth.heatmap/1"
        assert sum(drawn["long_usd"]) > 0
        assert any("synthetic" in note for note in drawn["coverage"]["notes"])

    files = [tmp_path / f"scores.{suffix}" for suffix in ("csv", "parquet", "json")]
    asked = ["compare", "BTC", "--model", "binance:tiers", "--window", "3d"]
    shown = run(*asked, *(word for file in files for word in ("-o", str(file)))).stdout
    scores = pl.read_csv(files[0])
    assert_frame_equal(scores, pl.read_parquet(files[1]), check_dtypes=False)
    assert set(scores["model"]) == {"binance tiers"}
    assert json.loads(files[2].read_text()) == json.loads(run(*asked, "--json").stdout)
    assert shown == run(*asked).stdout, "files take nothing from the screen"


def test_a_demo_of_a_coin_that_is_not_there_leaves_the_last_one_as_it_is(run: Run, tmp_path: Path) -> None:
    before = tmp_path / "demo" / "data" / "kept"
    before.mkdir(parents=True)
    assert "DOGE" in one_line(run("demo", "--dir", str(tmp_path / "demo"), "--coin", "DOGE", code=2))
    assert before.exists()


def test_the_demo_calibrates_on_what_it_does_not_judge(run: Run, tmp_path: Path) -> None:
    """The fit is of other coins and earlier days; its map stands beside naive ones and is ranked with them."""
    place = tmp_path / "demo"
    done = run("demo", "--dir", str(place), "--accounts", "2200", "--days", "8")
    for part in (
        "2,203 of 2,203 accounts (of 2,203 known) read",
        "coinglass",
        "calibrated on ETH, HYPE, SOL",
        "SYNTHETIC",
        "mark only",
    ):
        assert part in done.stdout, done.stdout
    assert f"wrote {place / 'report.html'}" in done.stderr.splitlines()
    report = (place / "report.html").read_text()
    assert "SYNTHETIC" in report
    assert (place / "map.html").stat().st_size > 400_000
    record = json.loads((place / "data" / "models" / "fits" / "calibrated.json").read_text())
    assert record["end"] < "2026-08-31", "the last days are not seen"
    assert {pair["coin"] for pair in record["pairs"]} == {"ETH", "HYPE", "SOL"}
    model = json.loads((place / "data" / "models" / "calibrated.json").read_text())
    assert model["provenance"]["synthetic"]

    with Store.open(Settings(data_dir=place / "data")) as store:
        found = compare_stored(
            store, "BTC", models=["hyperliquid:calibrated", "hyperliquid:tiers"], window="30d"
        )
    assert [one.barred for one in found.divergence.models] == [None, None]
    crowd = next(layer for layer in found.divergence.layers if layer.layer == "crowd")
    assert crowd.enough
    assert all(one.ranked for one in crowd.models)


def test_a_demo_that_is_too_small_to_calibrate_states_it_and_compares_without(
    run: Run, tmp_path: Path
) -> None:
    shown = run("demo", "--dir", str(tmp_path / "demo"), "--accounts", "120", "--days", "4").stdout
    lines = [line for line in shown.splitlines() if line.startswith("not calibrated: ")]
    assert len(lines) == 1, shown
    assert "effective positions a side, 50 are needed" in lines[0]
    assert "hyperliquid tiers" in shown
    assert "hyperliquid calibrated" not in shown


def test_a_port_that_is_taken_is_one_line(run: Run, served: SandboxServer) -> None:
    port = served.base_url.rpartition(":")[2]
    done = run("sandbox", "serve", "--port", port, "--accounts", "20", "--days", "2", code=2)
    assert f"127.0.0.1:{port}" in one_line(done)


@pytest.mark.recorded
def test_the_recorded_positions_are_compared_as_the_readme_says(
    run: Run, recorded: Path, tmp_path: Path
) -> None:
    positions = recorded / "hyperliquid" / "positions-2026-08"
    imported = run(
        "index",
        "import",
        str(positions / "positions_BTC.csv.gz"),
        "--market",
        str(positions / "market_BTC.csv"),
    )
    assert "liq_px_exchange=liqPx" in imported.stdout

    feed = recorded / "cex" / "binance-btc" / "oi_price_funding_hourly_2026-07_08.jsonl"
    fed = run("feed", "import", str(feed), "--venue", "binance", "--coin", "BTC")
    assert "1,176" in fed.stdout or "1176" in fed.stdout

    shown = run("compare", "BTC", "--at", "2026-08-21T12:00Z", "--html", str(tmp_path / "report.html"))
    for figure in ("11:01:45", "77,725", "26.2", "17.3", "10 %"):
        assert figure in shown.stdout, f"{figure}\n{shown.stdout}"
    assert "plotly" in (tmp_path / "report.html").read_text().lower()

    first, second = (run("compare", "BTC", "--at", "2026-08-21T12:00Z", "--json").stdout for _ in range(2))
    assert first == second
    truth = json.loads(first)["truth"]
    assert truth["mark_px"] == 77725.0
    # 34,872.8732 BTC of open interest at this mark.
    assert truth["coverage"]["open_interest_usd"] == pytest.approx(34872.8732 * 77725.0)
    assert truth["coverage"]["positions"] == 91
    assert truth["coverage"]["unpriced_positions"] == 26


@pytest.mark.recorded
def test_the_recorded_account_is_imported_listed_and_drawn(run: Run, recorded: Path, tmp_path: Path) -> None:
    capture = recorded / "hyperliquid" / "capture-2026-09-06"
    run(
        "index",
        "import",
        str(capture / "clearinghouseState.json"),
        "--meta",
        str(capture / "metaAndAssetCtxs.json"),
    )
    rows = json.loads(run("index", "positions", "--json").stdout)
    assert len(rows) == 44
    wanted = (
        "address dex coin szi entry_px mark_px notional_usd margin_mode leverage max_leverage liq_px_exchange"
    )
    assert {*wanted.split(), "liq_px_solved", "status", "as_of"} <= set(rows[0])
    statuses = [row["status"] for row in rows]
    assert (statuses.count("agree"), statuses.count("never")) == (28, 16)
    assert all((row["liq_px_exchange"] is None) == (row["status"] == "never") for row in rows)

    run("map", "exact", "BTC", "--html", str(tmp_path / "map.html"))
    assert "BTC" in (tmp_path / "map.html").read_text()
    assert "DOGEE" in one_line(run("map", "exact", "DOGEE", code=2))


@pytest.mark.recorded
def test_a_truncated_file_is_refused_and_what_was_stored_stays(
    run: Run, recorded: Path, tmp_path: Path
) -> None:
    positions = recorded / "hyperliquid" / "positions-2026-08" / "positions_BTC.csv.gz"
    run("index", "import", str(positions))
    before = run("index", "positions", "--csv").stdout
    capture = (recorded / "hyperliquid" / "capture-2026-09-06" / "clearinghouseState.json").read_bytes()
    (tmp_path / "cut.json").write_bytes(capture[:5000])
    assert "cut.json" in one_line(run("index", "import", str(tmp_path / "cut.json"), code=2))
    (tmp_path / "cut.csv.gz").write_bytes(positions.read_bytes()[:3000])
    assert "cut.csv.gz" in one_line(run("index", "import", str(tmp_path / "cut.csv.gz"), code=2))
    assert run("index", "positions", "--csv").stdout == before
