"""A validation in words, for each conclusion that its figures allow."""

from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pytest

from liqtruth.compare.validation.backtest import CHANCE
from liqtruth.compare.validation.baselines import BASELINES, FITTED, LAYERS
from liqtruth.compare.validation.findings import (
    BOTH,
    BoundsFindings,
    Chosen,
    Gain,
    ScoreFindings,
    SideFindings,
    SplitFindings,
)
from liqtruth.compare.validation.shown import limitations, validation_lines
from liqtruth.compare.validation.validation import Findings, Window
from liqtruth.compare.validation.verdicts import (
    RIVALS,
    answer,
    bounds_line,
    gate_line,
    recall_line,
    rival_line,
    setting_lines,
    skill_line,
    split_line,
    window_line,
)
from liqtruth.heatmap.words.notes import sentence

Interval = tuple[float, float | None, float | None]
BETTER: Interval = (0.66, 0.61, 0.70)
DOUBTFUL: Interval = (0.03, -0.05, 0.09)
WORSE: Interval = (-0.23, -0.38, -0.11)
ALONE: Interval = (0.4, None, None)


def score_of(name: str, gains: dict[str, Interval], maps: int = 40, blocks: int = 9) -> ScoreFindings:
    means: dict[str, float | None] = dict.fromkeys(RIVALS, 0.28)
    return ScoreFindings(
        score=name,
        maps=maps,
        left_out=0,
        means=means | {FITTED: 0.37 if maps else None},
        floor=0.31,
        over_floor=1.2,
        gap_closed=0.9,
        gains=tuple(Gain(rival, *gain, maps, blocks) for rival, gain in gains.items()),
    )


def split_of(
    name: str = "later days",
    skill: bool | None = True,
    enough: int = 40,
    recall: Interval = BETTER,
    bounds: tuple[float, float | None, float | None] | None = (0.8, 0.74, 0.86),
    **gains: Interval,
) -> SplitFindings:
    """Every rival beaten, but for what `gains` say of `climatology` and so on."""
    result = {rival: gains.get(rival.replace("-", "_"), BETTER) for rival in RIVALS}
    blocks = 9 if skill is not None else 3
    stored = None if bounds is None else BoundsFindings((5.0,), (bounds[0],), *bounds, 40)
    side = SideFindings(
        side=BOTH,
        layer="crowd",
        maps=40,
        effective=31.4,
        enough=enough,
        scores=(
            score_of("wasserstein_pct", result if enough else {}, enough, blocks),
            *(score_of(score, {}) for score in ("jensen_shannon", "fractions_1pct", "mass")),
            *(score_of(f"curve_{move}pct", {"uniform": WORSE} if move == 10 else {}) for move in (2, 5, 10)),
            score_of("recall_5", {CHANCE: recall} if enough else {}, enough, blocks),
        ),
        bounds=stored,
    )
    return SplitFindings(
        name=name,
        pairs=20,
        coins=("BTC", "ETH"),
        first_day=date(2026, 8, 1),
        last_day=date(2026, 8, 9),
        days=9,
        blocks=blocks,
        skill=skill,
        chosen=(Chosen("leverage", 3, None, 3), Chosen("of-maximum", 3, 0.3, 3)),
        sides=tuple(msgspec.structs.replace(side, layer=layer) for layer in LAYERS),
    )


def findings_of(*splits: SplitFindings, window: Window | None = None) -> Findings:
    at = datetime(2026, 8, 10, tzinfo=UTC)
    return Findings(
        made_at=at,
        made_by="a test",
        coins=("BTC", "ETH"),
        start=at,
        end=at,
        pairs=20,
        synthetic=True,
        seed=7,
        embargo_days=2,
        least_effective=50.0,
        window=window,
        notes=(sentence("about the samples"),),
        refused=(),
        splits=splits,
    )


class TestLines:
    @pytest.mark.parametrize(
        ("gain", "expected"),
        [
            (BETTER, "later days, crowd: nearer than tiers by 66 % (61 to 70 %)"),
            (DOUBTFUL, "later days, crowd: not shown to be nearer than tiers: 3 % (−5 to 9 %)"),
            (WORSE, "later days, crowd: further off than tiers by 23 % (11 to 38 %)"),
            (ALONE, "later days, crowd: no claim about tiers: 40 % in 9 blocks, 5 are needed"),
            ((0.02, 0.0, 0.04), "later days, crowd: not shown to be nearer than tiers: 2 % (0 to 4 %)"),
        ],
    )
    def test_a_rival(self, gain: Interval, expected: str) -> None:
        assert rival_line(split_of(tiers=gain), "crowd", "tiers") == expected

    def test_how_often_open_interest_was_read_stands_beside_a_gain_over_tiers_alone(self) -> None:
        """Daily values make tiers worse, and the gain over them larger."""
        daily = msgspec.structs.replace(split_of(tiers=BETTER, uniform=BETTER), oi_step_s=86_400.0)
        beside = "tiers (open interest every 1d)"
        assert f"nearer than {beside} by 66 %" in rival_line(daily, "crowd", "tiers")
        assert "open interest" not in rival_line(daily, "crowd", "uniform")
        assert beside in answer(findings_of(daily))
        assert beside in split_line(daily, "crowd")

    def test_a_rival_without_any_map(self) -> None:
        none = split_of(enough=0, skill=None)
        assert rival_line(none, "raw", "persistence") == "later days, raw: persistence is known on no map"

    def test_how_near_it_is(self) -> None:
        assert split_line(split_of(), "crowd") == (
            "later days, crowd: off by 0.37 % of price (W1), 1.2 times the noise floor; "
            "90 % of the gap from tiers to the floor is closed"
        )
        assert split_line(split_of(enough=0, skill=None), "raw") == (
            "later days, raw: no map passes the gate, no conclusion on shape"
        )

    @pytest.mark.parametrize(
        ("enough", "expected"),
        [
            (40, "every map passes the gate of 50 effective positions (median 31)"),
            (30, "the gate of 50 effective positions fails on 25 % of maps (median 31)"),
            (
                7,
                "the gate of 50 effective positions fails on 82 % of maps (median 31), so its shape proves little",
            ),
        ],
    )
    def test_the_gate(self, enough: int, expected: str) -> None:
        assert gate_line(split_of(enough=enough), "raw", 50.0) == f"later days, raw: {expected}"

    @pytest.mark.parametrize(
        ("found", "expected"),
        [
            ((0.8, 0.74, 0.86), "the truth lay within the 80 % bounds 80 % of the time (74 to 86 %)"),
            (
                (0.6, 0.5, 0.7),
                "the truth lay within the 80 % bounds 60 % of the time (50 to 70 %): they are too narrow",
            ),
            (
                (0.95, 0.9, 1.0),
                "the truth lay within the 80 % bounds 95 % of the time (90 to 100 %): they are too wide",
            ),
            (
                (0.7, None, None),
                "the truth lay within the 80 % bounds 70 % of the time, without an interval",
            ),
            (
                None,
                "the 80 % bounds are not judged, some fit has seen too few coins or maps for bounds",
            ),
        ],
    )
    def test_bounds(self, found: Interval | None, expected: str) -> None:
        assert bounds_line(split_of(bounds=found), "crowd") == f"later days, crowd: {expected}"

    def test_distances_at_which_bounds_held_too_rarely_or_too_often_are_named(self) -> None:
        line = bounds_line(self.by_distance((0.7, 0.9), (0.5, 0.7), None, (0.85, 1.0)), "crowd")
        assert line.endswith("; too narrow within 5 %; too wide within 25 %")

    def test_bounds_that_fail_at_one_distance_alone_are_a_limitation(self) -> None:
        good, bad = (self.by_distance((0.7, high), *[(0.7, 0.9)] * 3) for high in (0.9, 0.75))
        of_bounds = [
            [line for line in limitations(findings_of(split)) if "bounds" in line] for split in (good, bad)
        ]
        assert [len(lines) for lines in of_bounds] == [0, 2]

    def by_distance(self, *ends: tuple[float, float] | None) -> SplitFindings:
        """Held on 80 % of maps over all, at 2, 5, 10 and 25 % with these intervals."""
        split = split_of()
        bounds = BoundsFindings(
            (2.0, 5.0, 10.0, 25.0), (0.8,) * 4, 0.8, 0.74, 0.86, 40, (1.0,) * 4, (3.0,) * 4, ends
        )
        sides = tuple(msgspec.structs.replace(side, bounds=bounds) for side in split.sides)
        return msgspec.structs.replace(split, sides=sides)

    def test_recall_is_stated_beside_chance(self) -> None:
        expected = "later days, crowd: finds 37 % of the five largest clusters, chance 28 %"
        assert recall_line(split_of(), "crowd") == expected
        assert (
            recall_line(split_of(recall=DOUBTFUL), "crowd") == f"{expected}: not shown to be more than chance"
        )

    def test_skill(self) -> None:
        assert skill_line(split_of()) == (
            "later days: skill is shown, nearer than a copied shape and than chance"
        )
        assert skill_line(split_of(skill=False, chance=DOUBTFUL)) == (
            "later days: skill is not shown, the fit is not shown to be nearer than chance"
        )
        assert skill_line(split_of(skill=None)) == (
            "later days: no claim, 3 blocks of coin and days (5 are needed)"
        )
        assert skill_line(split_of(skill=None, enough=0)) == "later days: no claim, no map passes the gate"


class TestAnswer:
    def test_every_baseline_beaten_on_every_split(self) -> None:
        assert answer(findings_of(split_of(), split_of("new coins", tiers=(0.41, 0.3, 0.5)))) == (
            "The fit shows skill on later days and new coins: nearer to the crowd's map than a copied shape and "
            "than chance. It is nearer than tiers (by 41 to 66 %), bell (by 66 %), uniform (by 66 %), "
            "volume-profile (by 66 %), climatology (by 66 %) and persistence (by 66 %)."
        )

    def test_it_states_where_not(self) -> None:
        result = answer(
            findings_of(
                split_of(persistence=WORSE),
                split_of("new coins", skill=False, climatology=DOUBTFUL, persistence=DOUBTFUL),
                split_of("the final window", skill=None),
            )
        )
        assert result.startswith("The fit shows skill on later days: nearer to the crowd's map")
        assert "than chance; not on new coins." in result
        assert "It is not shown to be nearer than climatology (on new coins) and persistence." in result
        assert result.endswith("No claim on the final window.")

    def test_no_skill_at_all_is_the_first_thing_stated(self) -> None:
        nothing: dict[str, Any] = dict.fromkeys((rival.replace("-", "_") for rival in RIVALS), DOUBTFUL)
        assert answer(findings_of(split_of(skill=False, **nothing))) == (
            "No skill is shown on later days. It is not shown to be nearer than tiers, bell, uniform, "
            "volume-profile, climatology and persistence."
        )

    def test_too_few_blocks_are_no_claim(self) -> None:
        alone: dict[str, Any] = dict.fromkeys((rival.replace("-", "_") for rival in RIVALS), ALONE)
        assert answer(findings_of(split_of(skill=None, **alone))) == (
            "No claim: 3 blocks of coin and days give no interval, 5 are needed."
        )

    def test_a_gate_that_nothing_passes_is_stated(self) -> None:
        assert answer(findings_of(split_of(skill=None, enough=0))) == (
            "No conclusion on shape: no map has 50 effective positions a side."
        )


class TestWhereNot:
    def test_what_is_shown_is_not_listed(self) -> None:
        """Only what the curve of 10 % says is left: there uniform is better."""
        assert list(limitations(findings_of(split_of()))) == [
            "later days, crowd: what a move of 10 % liquidates is matched better by uniform"
        ]

    def test_doubt_is_one_line_a_layer_and_defeat_one_a_rival(self) -> None:
        lines = list(
            limitations(
                findings_of(split_of(skill=False, bell=DOUBTFUL, uniform=DOUBTFUL, climatology=WORSE))
            )
        )
        assert lines[0] == (
            "later days: skill is not shown, the fit is not shown to be nearer than climatology"
        )
        assert (
            "later days, crowd: not shown to be nearer than bell, 3 % (−5 to 9 %); uniform, 3 % (−5 to 9 %)"
            in (lines)
        )
        assert "later days, raw: further off than climatology by 23 % (11 to 38 %)" in lines

    def test_bounds_that_fail_and_clusters_by_chance_are_listed(self) -> None:
        lines = list(limitations(findings_of(split_of(bounds=(0.6, 0.5, 0.7), recall=DOUBTFUL, enough=10))))
        assert any("within the 80 % bounds 60 %" in line for line in lines)
        assert any(line.endswith("chance 28 %: not shown to be more than chance") for line in lines)
        assert any("so its shape proves little" in line for line in lines)

    def test_a_baseline_that_is_known_nowhere_is_stated_once(self) -> None:
        split = split_of()
        known = tuple(gain for gain in split.main("crowd").gains if gain.rival != "persistence")
        sides = tuple(
            msgspec.structs.replace(
                side, scores=(msgspec.structs.replace(side.scores[0], gains=known), *side.scores[1:])
            )
            for side in split.sides
        )
        lines = list(limitations(findings_of(msgspec.structs.replace(split, sides=sides))))
        assert lines[-1] == "persistence is known on no map of later days: no conclusion there"


class TestSetting:
    def test_pairs_choices_and_variants(self) -> None:
        lines = list(setting_lines(findings_of(split_of())))
        assert lines[:5] == [
            "later days: 20 pairs of BTC, ETH on 9 days, 2026-08-01 to 2026-08-09, 9 blocks of coin and days",
            "later days: 2 fits tried 12 variants on what each had seen, and chose leverage, coins alike (1); "
            "of-maximum, coins apart, ridge 0.3 (1)",
            "2 days between what is fitted and what is judged; intervals are 95 %, by drawing blocks; seed 7",
            "not scored within 50 % of the mark: a fit sees what lies up to 26 % below it and 35 % above, and nothing "
            "beyond was fitted; `compare` scores single maps there",
            "no final window is set aside: too few days",
        ]
        assert lines[5] == "about the samples"

    def test_the_final_window_is_set_aside_until_it_is_opened(self) -> None:
        window = Window(date(2026, 8, 8), date(2026, 8, 10), 24, 6)
        assert window_line(findings_of(split_of(), window=window)) == (
            "set aside, and not looked at: the final window, 2026-08-08 to 2026-08-10, 24 pairs; "
            "`validate open-final` judges it, once"
        )
        few = msgspec.structs.replace(window, blocks=3)
        assert window_line(findings_of(split_of(), window=few)).endswith(
            "judges it, once, and could make no claim by now: 3 blocks of coin and days, 5 are needed"
        )
        opened = findings_of(split_of(), split_of("the final window"), window=window)
        assert window_line(opened) == (
            "the final window (2026-08-08 to 2026-08-10, 24 pairs) is opened: it cannot be judged again"
        )

    def test_the_answer_comes_first(self) -> None:
        findings = findings_of(split_of())
        assert next(validation_lines(findings)) == answer(findings)
        assert set(BASELINES) < set(RIVALS)


@pytest.mark.parametrize("enough", [0, 1, 10, 20, 21, 40])
@pytest.mark.parametrize("skill", [True, False])
def test_nothing_is_claimed_of_a_layer_whose_gate_fails_on_half_of_its_maps(enough: int, skill: bool) -> None:
    split = split_of(skill=skill, enough=enough)
    findings = findings_of(split)
    lines = [answer(findings), skill_line(split), *(rival_line(split, layer, "tiers") for layer in LAYERS)]
    claims = [line for line in lines if "nearer than" in line or "shows skill" in line]
    assert bool(claims) == (enough > 20)
    assert any("proves little" in gate_line(split, layer, 50.0) for layer in LAYERS) == (enough <= 20)
