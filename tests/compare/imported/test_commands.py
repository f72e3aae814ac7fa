"""`map import` and `compare --map` as they are typed: what they show, list and write, and how they refuse."""

import csv
import json
from pathlib import Path

import pytest

import liqtruth as lt
from liqtruth.compare.imported.read import read_map
from liqtruth.estimator.model.leverage_model import leverage_model_named
from liqtruth.heatmap.files import same, write_map
from tests.compare.imported import layouts
from tests.compare.imported.layouts import LONG_USD, MARK, SHORT_USD, written
from tests.compare.maps import MANY, map_of
from tests.conftest import Run


def test_an_imported_map_is_shown_with_what_must_be_known_of_it(run: Run, tmp_path: Path) -> None:
    path = written(tmp_path, layouts.coinank_by_leverage())
    shown = " ".join(run("map", "import", str(path), "--venue", "binance").stdout.split())
    assert "BTC on binance: imported map coinank" in shown
    assert "adds up to 9M long / 6M short in the vendor's own unit" in shown
    assert "none at 5x, 10x" in shown
    assert "-10.0 to +10.0 % from the mark" in shown


def test_the_maps_of_a_file_are_listed(run: Run, tmp_path: Path) -> None:
    path = str(written(tmp_path, layouts.coinank_by_exchange()))
    assert run("map", "import", path, "--list").stdout.splitlines() == [
        "coinank by exchange:",
        "  all  (default)",
        "  Binance",
        "  Okex",
        "  Hyperliquid",
    ]
    listed = json.loads(run("map", "import", path, "--list", "--json").stdout)
    assert listed["names"] == ["all", "Binance", "Okex", "Hyperliquid"]
    assert (listed["vendor"], listed["default"], listed["series"]) == ("coinank", "all", False)


def test_what_is_written_is_what_python_reads(run: Run, tmp_path: Path) -> None:
    path, own = written(tmp_path, layouts.coinank_by_exchange()), tmp_path / "own.json"
    run("map", "import", f"{path}#okex", "--coin", "BTC", "--as-of", "2026-08-20T12:00Z", "-o", str(own))
    assert same(lt.read_map(own), read_map(path, "Okex", coin="BTC", as_of="2026-08-20T12:00Z"))
    again = run(
        "map",
        "import",
        str(path),
        "--name",
        "okex",
        "--coin",
        "BTC",
        "--as-of",
        "2026-08-20T12:00Z",
        "--json",
    )
    assert json.loads(again.stdout) == json.loads(own.read_text())


def test_levels_that_another_provider_has_read_are_a_truth(run: Run, tmp_path: Path) -> None:
    truth = written(tmp_path, layouts.oxarchive(flagged_notional=5e5, total_long=2 * LONG_USD), "levels.json")
    other = written(tmp_path, layouts.coinank_by_leverage(), "map.json")
    words = ("compare", "BTC", "--truth", str(truth), "--map", str(other))
    found = json.loads(run(*words, "--json").stdout)
    assert found["truth"]["label"] == "hyperliquid 0xarchive"
    assert (found["truth"]["source"], found["truth"]["mark_px"]) == ("exact", MARK)
    assert found["truth"]["in_grid_usd"] == pytest.approx([LONG_USD, SHORT_USD])
    assert found["truth"]["coverage"]["positions"] == len(layouts.LEVELS)
    assert found["truth"]["coverage"]["open_interest_usd"] is None
    noted = {one["code"]: one["values"] for one in found["notes"]}
    assert noted["exact_of"] == {"provider": "0xarchive"}
    assert noted["not_in_buckets"] == {"usd": 5e5}
    assert noted["levels_of_total"]["share"] == pytest.approx(15 / 24)
    assert [one["summary"]["label"] for one in found["models"]] == ["coinank"]
    shown = " ".join(run(*words).stdout.split())
    assert "model against hyperliquid 0xarchive" in shown
    assert "positions as 0xarchive has read them" in shown
    assert "open interest is unknown" in shown


def test_clusters_of_one_map_alone_are_a_table_and_a_key(run: Run, tmp_path: Path) -> None:
    path, target = written(tmp_path, layouts.oxarchive()), tmp_path / "own.json"
    words = ("map", "import", str(path), "--coin", "BTC")
    profile = json.loads(run(*words, "--clusters", "--json").stdout)["profile"]
    assert [one["within_pct"] for one in profile["balance"]] == [2, 5, 10]
    ten = profile["balance"][-1]
    assert (ten["long_usd"], ten["short_usd"]) == (pytest.approx(LONG_USD), pytest.approx(SHORT_USD))
    assert ten["asymmetry"] == pytest.approx((LONG_USD - SHORT_USD) / (LONG_USD + SHORT_USD))
    assert sum(profile["net_usd"]) == pytest.approx(LONG_USD - SHORT_USD)
    assert profile["largest"]["long"]["mass_usd"] == pytest.approx(
        max(usd for px, usd in layouts.LEVELS if px < MARK)
    )
    assert profile["clusters"][0]["positions"] is None, "a provider's levels do not name their holders"
    shown = " ".join(run(*words, "--clusters", "-o", str(target)).stdout.split())
    assert "10 % $9M $6M +$3M +20 %" in shown
    assert "max pain" in shown
    assert same(lt.read_map(target), read_map(path, coin="BTC")), (
        "the key is passed over when it is read back"
    )
    assert "profile" not in json.loads(run(*words, "--json").stdout)


def test_a_map_of_this_program_is_shown_too(run: Run, truth: str) -> None:
    assert "BTC on hyperliquid: exact positions" in run("map", "import", truth).stdout
    assert "it holds one map" in run("map", "import", truth, "--list", code=2).stderr


def test_all_columns_are_written_as_a_series(run: Run, tmp_path: Path) -> None:
    path, target = written(tmp_path, layouts.coinglass_heatmap()), tmp_path / "series.csv"
    run("map", "import", str(path), "--coin", "BTC", "--series", "-o", str(target))
    rows = list(csv.DictReader(target.open()))
    assert len({row["time"] for row in rows}) == 3
    assert sum(float(row["notional_usd"]) for row in rows) == pytest.approx(3 * (LONG_USD + SHORT_USD))


def test_leverages_that_a_vendor_assumes_are_written_as_a_model(run: Run, tmp_path: Path) -> None:
    path, target = written(tmp_path, layouts.datamaxi()), tmp_path / "datamaxi.json"
    run("map", "import", str(path), "--leverage-model", str(target))
    assert leverage_model_named(str(target)).leverage == (10.0, 25.0, 50.0, 100.0)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ([], "--coin BTC"),
        (["--coin", "BTC"], "--mark"),
        (["--coin", "BTC", "--mark", "-5"], "--mark"),
        (["--coin", "BTC", "--columns", "price=x"], "--columns must be left out"),
        (["--coin", "BTC", "--mark", "60000", "--series"], "must be a map over time"),
        (["--name", "x", "--coin", "BTC"], "no map 'x'"),
    ],
)
def test_a_file_that_cannot_be_read_so_is_refused_in_one_line(
    words: list[str], named: str, run: Run, tmp_path: Path
) -> None:
    done = run("map", "import", str(written(tmp_path, layouts.kiyotaka())), *words, code=2)
    (line,) = done.stderr.splitlines()
    assert named in line


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("# A page\n\nOf words, not of prices; nothing to read.\n", "3 lines"),
        ("words, and more of them\nprice\n", "2 lines"),
        ("hello", "1 line"),
        ("price\n90\n", "2 lines"),
    ],
)
def test_a_text_is_refused_with_what_it_is_and_what_is_read(
    text: str, lines: str, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "notes.md").write_text(text)
    (line,) = run("map", "import", str(tmp_path / "notes.md"), code=2).stderr.splitlines()
    assert "notes.md: must be a map: a vendor's JSON, a table of price and usd" in line
    assert line.endswith(f"got a text of {lines} that begins {text.splitlines()[0][:40]!r}")


def test_a_table_that_breaks_off_is_refused_by_its_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "map.csv").write_text("price,usd\n90,1\n91,1,1\n")
    assert "line 3 has 3 cells" in run("map", "import", str(tmp_path / "map.csv"), code=2).stderr


def test_price_lines_must_come_with_a_picture(run: Run, truth: str, tmp_path: Path) -> None:
    path = str(written(tmp_path, layouts.coinank_by_exchange()))
    lines = ("--price", "92000@140", "--price", "78000@690")
    for line in (
        ("map", "import", path),
        ("map", "import", truth),
        ("compare", "BTC", "--map", path),
        ("report", "BTC", "--map", path),
        ("check", "BTC", "--offline", "--map", path),
    ):
        said = run(*line, *lines, code=2).stderr
        assert "must come with a picture" in said
        assert line[-1] in said
    assert "got no file" in run("compare", "BTC", *lines, code=2).stderr
    assert "no such file" in run("map", "import", "shot.png", *lines, code=2).stderr


def test_a_list_is_no_table(run: Run, tmp_path: Path) -> None:
    path = written(tmp_path, layouts.coinank_by_exchange())
    assert (
        "--list must go"
        in run("map", "import", str(path), "--list", "-o", str(tmp_path / "x.csv"), code=2).stderr
    )


# --------------------------------------------------------------------------------------- compare


@pytest.fixture
def truth(tmp_path: Path) -> str:
    """A file with an exact map around the mark of `layouts`."""
    path = tmp_path / "truth.json"
    write_map(map_of(MANY, mark_px=MARK, as_of=layouts.AT), path)
    return str(path)


def test_a_vendors_file_is_compared_like_any_map(run: Run, truth: str, tmp_path: Path) -> None:
    path = written(tmp_path, layouts.coinglass_heatmap())
    found = json.loads(run("compare", "BTC", "--truth", truth, "--map", str(path), "--json").stdout)
    (model,) = found["models"]
    assert model["summary"]["label"] == "coinglass"
    assert model["summary"]["source"] == "imported"
    assert found["range_pct"] == pytest.approx(10.3, abs=0.2)
    assert {"cut_to_common", "unit_unknown"} <= {one["code"] for one in found["notes"]}
    as_model = json.loads(run("compare", "BTC", "--truth", truth, "--model", str(path), "--json").stdout)
    assert as_model["models"][0]["scores"] == model["scores"]


def test_the_terminal_shows_no_dollars_of_a_unit_that_is_not_known(
    run: Run, truth: str, tmp_path: Path
) -> None:
    path = written(tmp_path, layouts.coinglass_heatmap())
    shown = run("compare", "BTC", "--truth", truth, "--map", str(path)).stdout
    (row,) = (line for line in shown.splitlines() if line.split()[:2] == ["coinglass", "2026-08-20"])
    assert "9M" in row
    assert "$" not in row


def test_several_maps_of_one_file_are_compared_by_name(run: Run, truth: str, tmp_path: Path) -> None:
    path = written(tmp_path, layouts.coinank_by_exchange())
    words = [part for name in ("Binance", "Hyperliquid") for part in ("--map", f"{path}#{name}")]
    found = json.loads(run("compare", "BTC", "--truth", truth, *words, "--json").stdout)
    assert [one["summary"]["label"] for one in found["models"]] == ["binance coinank", "hyperliquid coinank"]


def test_a_map_without_a_price_takes_the_mark_and_a_shift_moves_it_to_the_truths(
    run: Run, truth: str, tmp_path: Path
) -> None:
    path = written(tmp_path, layouts.coinank_heatmap())
    line = ["compare", "BTC", "--truth", truth, "--map", str(path), "--json"]
    assert "--mark" in run(*line, code=2).stderr
    away = json.loads(run(*line, "--mark", "61000").stdout)
    assert {"marks_apart", "mark_given"} <= {one["code"] for one in away["notes"]}
    assert "+1.67 % from the truth's" in str(away["caveat"])
    moved = json.loads(run(*line, "--mark", "61000", "--shift").stdout)
    assert moved["models"][0]["summary"]["mark_px"] == MARK
    assert "shifted" in {one["code"] for one in moved["notes"]}
    assert "marks_apart" not in {one["code"] for one in moved["notes"]}


def test_a_mark_beside_several_maps_is_meant_for_those_that_state_none(
    run: Run, truth: str, tmp_path: Path
) -> None:
    lacking = written(tmp_path, layouts.coinank_heatmap(), "lacking.json")
    stating = written(tmp_path, layouts.coinank_by_leverage(), "stating.json")
    line = ["compare", "BTC", "--truth", truth, "--map", str(lacking), "--map", str(stating), "--json"]
    found = json.loads(run(*line, "--mark", "61000").stdout)
    assert [one["summary"]["mark_px"] for one in found["models"]] == [61_000, MARK]


def test_a_map_of_another_coin_is_not_compared(run: Run, truth: str, tmp_path: Path) -> None:
    path = written(tmp_path, layouts.coinank_by_leverage())
    done = run("compare", "ETH", "--truth", truth, "--map", str(path), code=2)
    assert "must be a map of ETH" in done.stderr


def test_of_several_maps_one_that_cannot_be_compared_is_named_and_the_others_are_compared(
    run: Run, truth: str, tmp_path: Path
) -> None:
    fine = written(tmp_path, layouts.coinglass_heatmap(), "fine.json")
    broken = written(tmp_path, b"{", "broken.json")
    other = tmp_path / "other.json"
    run(
        "map",
        "import",
        str(written(tmp_path, layouts.coinglass_heatmap())),
        "--coin",
        "ETH",
        "-o",
        str(other),
    )
    for unfit in (broken, other):
        maps = ("--map", str(unfit), "--map", str(fine))
        done = run("compare", "BTC", "--truth", truth, *maps, "--json", code=3)
        found = json.loads(done.stdout)
        assert [one["summary"]["label"] for one in found["models"]] == ["coinglass"]
        assert [one["code"] for one in found["notes"] if one["code"] == "not_compared"] == ["not_compared"]
        assert "not compared: " in done.stderr
        run("compare", "BTC", "--truth", truth, "--map", str(unfit), code=2)


@pytest.mark.parametrize("words", [[], ["--shift"]])
def test_a_map_whose_mark_is_another_coins_is_not_compared(
    words: list[str], run: Run, truth: str, tmp_path: Path
) -> None:
    """A file that states no coin, or was imported under a wrong one; a shift to the truth's mark mends no coin."""
    axis = [px / 30 for px in layouts.AXIS]
    cheap = layouts.coinglass_heatmap(
        y_axis=axis, price_candlesticks=[[layouts.AT_S, "2000", "2000", "2000", "2000", "1"]] * 1,
        liquidation_leverage_data=layouts.cells(columns=(0,)),
    )  # fmt: skip
    vendors, own = written(tmp_path, cheap), tmp_path / "own.json"
    done = run("compare", "BTC", "--truth", truth, "--map", str(vendors), *words, code=2)
    assert "a map of another coin?" in done.stderr
    run("map", "import", str(vendors), "--coin", "ETH", "-o", str(own))
    done = run("compare", "BTC", "--truth", truth, "--map", str(own), *words, code=2)
    assert "a map of ETH" in done.stderr
    done = run("compare", "BTC", "--truth", str(own), "--model", truth, code=2)
    assert "a map of ETH" in done.stderr
    done = run("compare", "BTC", "--truth", truth, "--model", str(own), code=2)
    assert "a map of ETH" in done.stderr


def test_the_report_of_a_vendors_map_is_a_page(run: Run, truth: str, tmp_path: Path) -> None:
    path, page = written(tmp_path, layouts.coinank_by_leverage()), tmp_path / "report.html"
    run("compare", "BTC", "--truth", truth, "--map", str(path), "-o", str(page))
    text = page.read_text()
    assert "coinank" in text
    assert "compared from -10" in text
