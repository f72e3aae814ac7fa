"""Reports that lie in a folder: figures that are those of the comparison, conditions on them, and the index of all."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.compare.check import Checked
from liqtruth.compare.comparison.comparison import Comparison, compared
from liqtruth.compare.divergence.as_json import to_json
from liqtruth.compare.matching.consensus import Around
from liqtruth.compare.reports.conditions import FIGURES, OPERATORS, Value, held, not_made, parse_condition
from liqtruth.compare.reports.content import Content, read_content
from liqtruth.compare.reports.folder import folder_of, place_of, prune, read_reports
from liqtruth.compare.reports.index_page import INDEX, moved, trend, write_index
from liqtruth.compare.reports.rows import COLUMNS, report_frame
from liqtruth.compare.reports.run import Made, Run, write_one
from liqtruth.compare.statistics.distances import HEADLINE_PCT
from liqtruth.heatmap.clusters.distribution import find_clusters, mass_within
from liqtruth.heatmap.clusters.facts import ATR_CLASSES, Surroundings
from liqtruth.heatmap.errors import BadInput, MapFileError
from liqtruth.heatmap.heatmap import Training
from liqtruth.heatmap.writing import harmless
from tests.compare.maps import FAR, MANY, NEAR, NOON, TRUTH, Level, crowd, map_of
from tests.compare.test_report import words

TIERS, BELL = "binance tiers", "binance bell"


def comparison(
    truth: Sequence[Level] = MANY,
    at: datetime = NOON,
    venue: str = "binance",
    within_pct: float = HEADLINE_PCT,
    **more: Any,
) -> Comparison:
    models = [
        map_of(levels, venue=venue, model=name, as_of=at, **more)
        for levels, name in ((NEAR, "tiers"), (FAR, "bell"))
    ]
    return compared(map_of(truth, as_of=at, **more), models, within_pct=within_pct)


def content_of(found: Comparison) -> Content:
    return read_content(to_json(found.divergence).encode(), "here")


def value(content: Content, figure: str, label: str = TIERS) -> Value:
    return FIGURES[figure].of(content, content.labels.index(label), content.as_of + timedelta(hours=3))


@pytest.fixture(scope="module")
def judged() -> Comparison:
    """Of a truth that rests on enough positions, in a range in which its map is nearer than chance makes any."""
    return comparison(within_pct=50.0)


@pytest.fixture(scope="module")
def thin() -> Comparison:
    """Of a truth that does not."""
    return comparison(TRUTH)


@pytest.fixture(scope="module")
def content(judged: Comparison) -> Content:
    return content_of(judged)


class TestFigures:
    def test_they_are_those_of_the_comparison(self, judged: Comparison, content: Content) -> None:
        for result, label in zip(judged.divergence.models, content.labels, strict=True):
            assert value(content, "w1", label).number == result.scores.wasserstein_pct
            assert value(content, "w1_long", label).number == result.scores.long.wasserstein_pct
            assert value(content, "w1_short", label).number == result.scores.short.wasserstein_pct
        assert value(content, "coverage").number == pytest.approx(
            100 * min(judged.divergence.truth.coverage_share or ())
        )
        assert value(content, "age_h").number == 3

    @pytest.mark.parametrize("pct", [5, 10])
    def test_shares_within_a_distance_are_those_of_the_maps(
        self, pct: int, judged: Comparison, content: Content
    ) -> None:
        shares = []
        for one in (judged.truth_map, judged.model_maps[0]):
            sides = [mass_within(one, [pct, 50.0], side) for side in ("long", "short")]
            shares.append(100 * sum(float(near / whole) for near, whole in sides) / 2)
        truth, model = shares
        assert value(content, f"truth_within_{pct}").number == pytest.approx(truth)
        assert value(content, f"within_{pct}").number == pytest.approx(model)
        assert value(content, f"within_{pct}_off").number == pytest.approx(model - truth)

    def test_a_figure_that_the_gate_closes_is_not_known_and_facts_of_one_map_are(
        self, thin: Comparison
    ) -> None:
        found = content_of(thin)
        for name in ("w1", "w1_long", "w1_short", "skill", "within_5_off", "within_10_off"):
            assert value(found, name) == Value(None, "too few positions to judge by")
        for name in ("within_5", "truth_within_10", "coverage", "age_h"):
            assert value(found, name).number is not None

    def test_where_the_crowd_speaks_its_scores_are_the_figures(self) -> None:
        many = crowd(4, positions=900)
        whales: list[Level] = [*many, ("long", 3.0, 1e9), ("short", 30.0, 1e9)]
        model = map_of(many, venue="binance", model="tiers")
        found = compared(map_of(whales), [model], crowd=map_of(many)).divergence
        read = read_content(to_json(found).encode(), "here")
        assert read.layer == "crowd"
        assert value(read, "w1").number == found.layers[1].models[0].scores.wasserstein_pct
        assert value(read, "w1").number != found.models[0].scores.wasserstein_pct
        assert value(read, "within_5_off").number is None

    def test_a_model_that_saw_the_moment_is_not_judged(self) -> None:
        seen = Training("a fit", "abc", ("BTC",), NOON - timedelta(days=1), NOON + timedelta(days=1), 900.0)
        model = replace(map_of(NEAR, venue="binance", model="tiers"), training=seen)
        found = read_content(to_json(compared(map_of(MANY), [model]).divergence).encode(), "here")
        assert value(found, "w1") == value(found, "skill") == Value(None, "saw this moment")

    def test_luck_is_no_skill(self, content: Content) -> None:
        lucky = [msgspec.structs.replace(one, by_chance=True) for one in content.models]
        found = msgspec.structs.replace(content, models=tuple(lucky))
        assert (value(content, "skill").number or 0) > 5
        assert value(found, "skill") == Value(None, "no nearer than by chance")

    def test_a_map_that_covers_less_has_no_share_beyond(self) -> None:
        narrow = replace(map_of(NEAR, venue="binance", model="tiers"), covers=(93.0, 107.0))
        found = read_content(to_json(compared(map_of(MANY), [narrow]).divergence).encode(), "here")
        assert value(found, "within_5").number is not None
        assert value(found, "within_10").number is None
        assert "within 7" in value(found, "within_10").why

    def test_two_maps_of_one_name_stay_two(self) -> None:
        model = map_of(NEAR, venue="binance", model="tiers")
        found = compared(map_of(MANY), [model, map_of(FAR, venue="binance", model="tiers")]).divergence
        assert read_content(to_json(found).encode(), "here").labels == (TIERS, f"{TIERS} (2)")


class TestConditions:
    @given(st.sampled_from([*OPERATORS]), st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
    def test_they_compare_as_numbers_do(self, compare: str, number: float, limit: float) -> None:
        condition = parse_condition(f" w1{compare}{limit!r}% ")
        assert condition.limit == limit
        assert condition.holds(Value(number)) == eval(f"{number!r} {compare} {limit!r}")

    @pytest.mark.parametrize(
        "text", ["", "w1", "w1 >", "w1 > x", "w1 => 5", "w1 = 5", "> 5", "w1 > nan", "w1 > 5 6"]
    )
    def test_another_form_is_refused_with_what_it_must_be(self, text: str) -> None:
        with pytest.raises(BadInput, match="must be a figure, one of < <= > >= == != and a number"):
            parse_condition(text)

    def test_another_figure_is_refused_with_all_there_are(self) -> None:
        with pytest.raises(BadInput, match="'w2'") as refused:
            parse_condition("w2 > 5")
        with pytest.raises(BadInput, match="finite"):
            parse_condition("w1 > 1e999")
        assert all(name in str(refused.value) for name in FIGURES)

    def test_each_map_is_asked_and_the_truth_once(self, content: Content) -> None:
        w1 = [value(content, "w1", label).number or 0 for label in content.labels]
        assert w1[0] < w1[1]
        found = held(
            content, [parse_condition(f"w1 > {w1[0] + 0.01}"), parse_condition("coverage > 1")], NOON
        )
        assert [(one.coin, one.label) for one in found] == [("BTC", BELL), ("BTC", "")]
        assert found[0].describe().startswith(f"BTC, {BELL}: w1 is {w1[1]:.4g}")

    def test_what_is_not_known_has_not_passed(self, thin: Comparison) -> None:
        for text in ("w1 > 1000", "w1 < 0"):
            found = held(content_of(thin), [parse_condition(text)], NOON)
            assert [one.label for one in found] == [TIERS, BELL]
            assert "not known (too few positions to judge by)" in found[0].describe()

    def test_a_map_that_could_not_be_compared_has_not_passed_unless_it_is_another_coins(
        self, content: Content
    ) -> None:
        asked = [parse_condition("w1 > 1000"), parse_condition("coverage < 0")]
        place = place_of(Path("reports"), "BTC", NOON)
        other = msgspec.structs.replace(content, coin="ETH")
        lacking = Run([Made(place, content, ("okx:tiers", "mine")), Made(place, other, (BELL,))])
        assert [(one.coin, one.label) for one in lacking.held(asked, NOON)] == [
            ("BTC", "okx:tiers"),
            ("BTC", "mine"),
        ]
        assert not not_made("BTC", "okx:tiers", asked[1:])


class TestTable:
    def test_it_has_a_row_per_band_and_map_and_shares_that_add_up(self, judged: Comparison) -> None:
        bands = report_frame(judged.divergence).filter(pl.col("kind") == "band")
        assert bands.height == 2 * len(judged.divergence.bands)
        sums = bands.group_by("model", "side").agg(pl.sum("truth_share", "model_share", "mark_only_share"))
        assert sums.height == 4
        assert sums.select("truth_share", "model_share", "mark_only_share").to_numpy() == pytest.approx(1.0)

    def test_it_has_every_cluster_and_what_stands_for_it(self, judged: Comparison) -> None:
        clusters = report_frame(judged.divergence).filter(pl.col("kind") == "cluster")
        pairs = [pair for result in judged.divergence.models for pair in result.pairs]
        assert clusters["fate"].to_list() == [pair.fate for pair in pairs]
        assert clusters["truth_peak_px"].to_list() == [pair.truth and pair.truth.peak_px for pair in pairs]
        assert clusters["model_mass_usd"].to_list() == [pair.model and pair.model.mass_usd for pair in pairs]

    def test_where_nothing_may_be_ranked_clusters_stand_alone(self, thin: Comparison) -> None:
        clusters = report_frame(thin.divergence).filter(pl.col("kind") == "cluster")
        pairs = [pair for result in thin.divergence.models for pair in result.pairs]
        assert any(pair.truth for pair in pairs)
        assert any(pair.model for pair in pairs)
        assert not clusters["ranked"].any()
        assert clusters["fate"].null_count() == clusters["shift_pct"].null_count() == clusters.height
        alone = clusters.select(pl.col("truth_peak_px", "model_peak_px").is_null()).sum_horizontal()
        assert (alone == 1).all()
        assert clusters.height == sum((pair.truth is not None) + (pair.model is not None) for pair in pairs)

    def test_it_has_what_is_known_around_every_cluster_and_band(self) -> None:
        truth, model = map_of(MANY), map_of(MANY, venue="binance", model="tiers")
        markets = {
            name: Surroundings(name, atr_pct, name, funding, change)
            for name, atr_pct, funding, change in (
                ("hyperliquid", 2.0, 0.01, -3.0),
                ("binance", 4.0, 0.02, 5.0),
            )
        }
        windows = {"binance tiers": {"24h": [], "7d": find_clusters(model), "30d": find_clusters(model)}}
        frame = report_frame(compared(truth, [model], around=Around(markets, windows)).divergence)
        assert set(frame["truth_funding_24h_pct"]) == {0.01}
        assert set(frame["model_open_interest_24h_pct"]) == {5.0}
        bands, clusters = frame.filter(kind="band"), frame.filter(kind="cluster", fate="agreed")
        assert bands["high_atr"].to_list() == pytest.approx([away / 2 for away in bands["high_pct"]])
        assert clusters["model_distance_atr"].to_list() == pytest.approx(
            [away / 4 for away in clusters["model_peak_pct"]]
        )
        assert set(clusters["model_windows"]) == {"7d 30d"}
        assert clusters["truth_windows"].null_count() == clusters.height
        assert set(clusters["truth_atr_class"]) <= {*ATR_CLASSES}

    def test_no_name_is_a_formula(self) -> None:
        written = harmless(report_frame(comparison(TRUTH, venue="=cmd()").divergence)).write_csv()
        assert "'=cmd() tiers" in written
        assert ",=cmd" not in written


def written(folder: Path, found: Comparison) -> Path:
    """Its JSON alone, which is what makes a report."""
    place = place_of(folder, found.divergence.coin, found.divergence.as_of).file(".json")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(to_json(found.divergence))
    return place


class TestFolder:
    def test_a_report_is_a_page_a_table_and_the_json_of_a_comparison(
        self, judged: Comparison, tmp_path: Path
    ) -> None:
        made = write_one(Checked("BTC", judged, ()), tmp_path)
        assert {one.relative_to(tmp_path).as_posix() for one in tmp_path.rglob("*.*")} == {
            f"BTC/2026-08-20T120000Z{suffix}" for suffix in (".html", ".json", ".csv")
        }
        assert made.place.file(".json").read_text().strip() == to_json(judged.divergence)
        assert judged.divergence.headline in words(made.place.file(".html").read_text())
        assert pl.read_csv(made.place.file(".csv")).columns == [*COLUMNS]
        assert write_one(Checked("BTC", judged, ()), tmp_path) == made

    def test_the_index_is_made_of_what_lies_there(self, tmp_path: Path) -> None:
        """The second day's map is the truth itself."""
        first = comparison()
        second = comparison(NEAR, NOON + timedelta(days=1))
        second = replace(second, divergence=replace(second.divergence, coin="BTC"))
        files = [written(tmp_path, one) for one in (first, second)]
        (tmp_path / "BTC" / "notes.json").write_text("{}")
        (tmp_path / "BTC" / "2026-08-22T120000Z.json").write_text('{"schema": "else"}')
        reports = write_index(tmp_path)
        page = (tmp_path / INDEX).read_text()
        assert [one.content.as_of for one in reports.past] == [NOON, NOON + timedelta(days=1)]
        (broken,) = reports.broken
        assert broken.startswith("BTC/2026-08-22T120000Z.json: must be the JSON of a report")
        assert "2 reports of BTC; 1 file could not be read" in page
        assert "Not read: BTC/2026-08-22T120000Z.json" in page
        assert 'href="BTC/2026-08-20T120000Z.json"' in page
        assert ".html" not in page.split("<body>")[1]  # a page that is not there has no link
        assert second.verdict in words(page)
        files[0].unlink()
        assert [one.content.as_of for one in read_reports(tmp_path).past] == [NOON + timedelta(days=1)]

    def test_an_empty_folder_has_an_index_and_an_absent_one_no_reports(self, tmp_path: Path) -> None:
        assert read_reports(tmp_path / "none").past == ()
        write_index(tmp_path)
        assert "0 reports" in (tmp_path / INDEX).read_text()

    def test_the_trend_is_each_maps_w1_and_unknown_where_the_gate_was_closed(self, tmp_path: Path) -> None:
        for days, truth in enumerate((MANY, TRUTH, MANY)):
            written(tmp_path, comparison(truth, NOON + timedelta(days=days)))
        past = read_reports(tmp_path).past
        lines = trend(past)
        assert [*lines] == ["knows only the mark", TIERS, BELL]
        assert [number for _, number in lines[TIERS]] == [
            value(past[0].content, "w1").number, None, value(past[2].content, "w1").number
        ]  # fmt: skip

    def test_figures_are_subtracted_where_both_are_known_and_alike(
        self, content: Content, thin: Comparison
    ) -> None:
        assert moved(Value(3.0), Value(1.0)) == 2.0
        assert moved(Value(3.0), Value(None, "why")) is moved(Value(3.0), None) is None
        assert content.follows(content)
        assert not content.follows(content_of(thin))
        for change in ({"synthetic": True}, {"range_pct": 8.0}, {"coin": "ETH"}):
            assert not content.follows(msgspec.structs.replace(content, **change))

    @given(st.text(r"./\:~%é @bT_", min_size=1))
    def test_whatever_a_coin_is_called_its_folder_is_inside(self, coin: str) -> None:
        inside = folder_of(Path("reports"), coin)
        assert inside.parent == Path("reports")
        assert inside.name not in ("", ".", "..")
        assert inside.name.isascii()

    def test_pruning_keeps_the_latest_and_what_is_no_report(self, tmp_path: Path) -> None:
        of_coin = tmp_path / "BTC"
        of_coin.mkdir()
        for day in range(1, 5):
            for suffix in ("json", "html", "csv"):
                (of_coin / f"2026-08-0{day}T120000Z.{suffix}").touch()
        for name in ("mine.json", "2026-08-01T120000Z.txt"):
            (of_coin / name).touch()
        assert prune(tmp_path, "BTC", 2) == 2
        left = {path.name for path in of_coin.iterdir()}
        assert len(left) == 2 * 3 + 2
        assert {"mine.json", "2026-08-01T120000Z.txt", "2026-08-03T120000Z.json"} <= left
        assert prune(tmp_path, "BTC", 9) == prune(tmp_path, "ETH", 1) == 0

    @pytest.mark.parametrize(
        "change",
        [
            {"schema": "liqtruth.divergence/0"}, {"models": []}, {"bands": None}, {"as_of": "yesterday"},
            {"coin": 5}, {"layers": [{"layer": "raw", "models": []}]},
        ],
    )  # fmt: skip
    def test_a_file_that_is_no_report_is_refused_by_name(
        self, change: dict[str, Any], judged: Comparison
    ) -> None:
        text = json.dumps({**json.loads(to_json(judged.divergence)), **change})
        with pytest.raises(MapFileError, match=r"^here: must "):
            read_content(text.encode(), "here")
        with pytest.raises(MapFileError, match=r"^here: must "):
            read_content(text.encode()[:-9], "here")

    def test_names_in_the_index_are_text_and_never_tags(self, tmp_path: Path) -> None:
        for day in (0, 1):
            written(tmp_path, comparison(at=NOON + timedelta(days=day), venue="<b>", coin="</script><i>"))
        write_index(tmp_path)
        page = (tmp_path / INDEX).read_text()
        assert "&lt;b&gt; tiers" in page
        for tag in ("<b>", "<i>"):
            assert tag not in page.split("<body>")[1].replace("<b>&", "")
