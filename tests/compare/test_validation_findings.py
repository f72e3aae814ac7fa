"""The figures of a validation: a perfect model, mirrored sides, gates, positions that answer to nothing, and files."""

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from liqtruth.compare.calibration.lake_samples import Gathered
from liqtruth.compare.validation.backtest import CHANCE, NEW_COINS, Backtest, backtest, splits_of
from liqtruth.compare.validation.baselines import BASELINES, FITTED, LAYERS
from liqtruth.compare.validation.findings import (
    BOTH,
    FEWEST_BLOCKS,
    SHAPE_SCORES,
    SplitFindings,
    split_findings,
)
from liqtruth.compare.validation.validation import Findings, Plan, load, save
from liqtruth.compare.validation.verdicts import RIVALS
from liqtruth.estimator.model.baselines import CLIMATOLOGY, FORMER_NAMES
from liqtruth.heatmap.errors import BadInput, MissingData
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.levels import SIDES
from liqtruth.heatmap.words.notes import sentence, texts
from tests.compare.validation_markets import COINS, PRIOR, backtest_of, shuffled, validation_samples


def as_it_is(truth: FloatArray) -> FloatArray:
    return truth


@pytest.fixture(scope="module")
def perfect() -> SplitFindings:
    return split_findings(backtest_of(validation_samples(1), as_it_is))


@pytest.fixture(scope="module")
def judged() -> Backtest:
    """What the fit draws of each coin, not having seen it; positions answer to leverage that it can find."""
    pairs = validation_samples(1)
    split = next(one for one in splits_of(pairs) if one.name == NEW_COINS)
    return backtest(pairs, split, PRIOR)


class TestPerfectModel:
    @pytest.mark.parametrize("layer", LAYERS)
    def test_it_is_off_by_nothing_and_closes_the_gap(self, perfect: SplitFindings, layer: str) -> None:
        score = perfect.main(layer)
        assert score.means[FITTED] == 0.0
        assert score.over_floor == 0.0
        assert score.gap_closed is not None
        assert score.gap_closed > 1
        assert perfect.of(BOTH, layer).of("mass").means[FITTED] == 0.0
        assert perfect.of(BOTH, layer).of("recall_5").means[FITTED] == 1.0

    def test_it_takes_all_of_every_rivals_error(self, perfect: SplitFindings) -> None:
        gains = perfect.main("crowd").gains
        assert {gain.rival for gain in gains} == set(RIVALS)
        assert {(gain.gain, gain.low, gain.high) for gain in gains} == {(1.0, 1.0, 1.0)}
        assert perfect.skill is True

    def test_where_higher_is_better_the_gain_is_what_is_added(self, perfect: SplitFindings) -> None:
        score = perfect.of("long", "crowd").of("recall_5")
        gain = score.gain(CHANCE)
        assert gain is not None
        assert gain.gain == pytest.approx(1.0 - (score.means[CHANCE] or 0.0))

    def test_bounds_that_always_hold_hold_always(self, perfect: SplitFindings) -> None:
        found = perfect.of(BOTH, "raw").bounds
        assert found is not None
        assert (found.overall, found.high) == (1.0, 1.0)
        given = [share for share in found.inside if share is not None]
        assert set(given) == {1.0}
        assert [ends for ends in found.ends if ends is not None] == [(1.0, 1.0)] * len(given)
        assert len(found.too_wide) == len(given)


class TestSides:
    def test_mirrored_sides_give_mirrored_findings(self, judged: Backtest) -> None:
        other = dict(zip(SIDES, reversed(SIDES), strict=True))
        turned = replace(judged, sides=tuple(replace(one, side=other[one.side]) for one in judged.sides))
        found, mirror = split_findings(judged), split_findings(turned)
        for layer in LAYERS:
            for side in SIDES:
                renamed = msgspec.structs.replace(mirror.of(other[side], layer), side=side)
                assert renamed == found.of(side, layer)
            mine, theirs = found.main(layer).gain("tiers"), mirror.main(layer).gain("tiers")
            assert mine is not None
            assert theirs is not None
            assert mine.low == pytest.approx(theirs.low)

    def test_both_is_the_mean_over_the_maps_of_both(self, judged: Backtest) -> None:
        found = split_findings(judged, least_effective=0)
        long, short = (found.of(side, "raw").of("wasserstein_pct").means[FITTED] for side in SIDES)
        assert found.main("raw").means[FITTED] == pytest.approx(((long or 0) + (short or 0)) / 2)


class TestGate:
    def test_shapes_need_effective_positions_and_levels_do_not(self, judged: Backtest) -> None:
        found = split_findings(judged, least_effective=100.0).of(BOTH, "raw")
        assert 0 < found.enough < found.maps
        for score in found.scores:
            gated = score.score in SHAPE_SCORES
            assert score.left_out == (found.maps - found.enough if gated else 0)
            assert score.maps == found.maps - score.left_out

    def test_a_gate_that_nothing_passes_leaves_no_claim(self, judged: Backtest) -> None:
        found = split_findings(judged, least_effective=1e6)
        assert found.skill is None
        assert found.main("crowd").gains == ()
        assert found.main("crowd").means[FITTED] is None
        assert found.of(BOTH, "crowd").of("curve_5pct").means[FITTED] is not None

    def test_too_few_blocks_give_no_interval_and_no_claim(self, judged: Backtest) -> None:
        """Four days of one coin are one block."""
        tested = backtest_of(judged.pairs[:4], as_it_is)
        found = split_findings(tested)
        assert found.blocks < FEWEST_BLOCKS
        assert found.skill is None
        assert {gain.low for gain in found.main("crowd").gains} == {None}


class TestSkill:
    def test_leverage_that_can_be_found_is_found_and_shows(self, judged: Backtest) -> None:
        found = split_findings(judged)
        assert found.skill is True
        ratio = found.main("crowd").over_floor
        assert ratio is not None
        assert ratio < 2
        assert all(found.main("crowd").gain(rival).shown for rival in BASELINES)  # type: ignore[union-attr]

    @pytest.mark.parametrize("seed", range(3))
    def test_positions_that_answer_to_nothing_show_no_skill(self, seed: int) -> None:
        """Every pair holds another's positions: what is modelled and what is true have nothing to do with each
        other. A larger null model is in `benchmarks/bench_calibration_null.py`."""
        pairs = shuffled(validation_samples(1), seed)
        split = next(one for one in splits_of(pairs) if one.name == NEW_COINS)
        found = split_findings(backtest(pairs, split, PRIOR))
        assert found.skill is False
        for rival in (CLIMATOLOGY, CHANCE):
            gain = found.main("crowd").gain(rival)
            assert gain is not None
            assert gain.gain < 0.3

    def test_each_fit_records_what_it_chose_and_out_of_how_many(self, judged: Backtest) -> None:
        chosen = split_findings(judged).chosen
        assert [one.ridge for one in chosen] == [None, None]
        assert [one.coordinates_tried for one in chosen] == [0, 0]

    def test_bounds_need_coins_that_were_left_out(self, judged: Backtest) -> None:
        """With one of two coins left out there is no other to leave out."""
        assert split_findings(judged).of(BOTH, "crowd").bounds is None


class TestFiles:
    def findings_of(self, judged: Backtest) -> Findings:
        plan = Plan.of(Gathered(validation_samples(1), (), (sentence("about the samples"),)), PRIOR)
        return plan.findings([split_findings(judged)])

    def test_a_proof_is_the_same_after_a_file(self, judged: Backtest, tmp_path: Path) -> None:
        findings = self.findings_of(judged)
        path = save(tmp_path, "mine", findings)
        assert path == tmp_path / "models" / "proofs" / "mine.json"
        assert load(tmp_path, "mine") == findings
        assert texts(findings.notes) == ("about the samples",)
        assert findings.synthetic

    def test_a_record_with_former_names_of_baselines_is_still_read(
        self, judged: Backtest, tmp_path: Path
    ) -> None:
        findings = self.findings_of(judged)
        path = save(tmp_path, "mine", findings)
        content = path.read_text()
        for former, name in FORMER_NAMES.items():
            assert f'"{name}"' in content
            content = content.replace(f'"{name}"', f'"{former}"')
        path.write_text(content)
        assert load(tmp_path, "mine") == findings

    def test_the_same_seed_gives_the_same_figures(self, judged: Backtest) -> None:
        first, second = (split_findings(judged, seed=seed) for seed in (3, 3))
        assert first == second
        assert first != split_findings(judged, seed=4)

    def test_what_is_not_there_or_no_proof_is_one_line(self, judged: Backtest, tmp_path: Path) -> None:
        save(tmp_path, "mine", self.findings_of(judged))
        with pytest.raises(MissingData, match=r"no validation 'other' was saved; there are: mine"):
            load(tmp_path, "other")
        (tmp_path / "models" / "proofs" / "bad.json").write_text("{}")
        with pytest.raises(BadInput, match=r"bad.json is no validation"):
            load(tmp_path, "bad")
        with pytest.raises(BadInput, match=r"--name must be letters and digits, e\.g\. proof, got '\.\./x'"):
            load(tmp_path, "../x")

    def test_the_window_is_kept_from_every_split(self) -> None:
        plan = Plan.of(Gathered(validation_samples(1), ()), PRIOR)
        window = plan.window
        assert window is not None
        assert (window.last_day - window.first_day).days == 1
        assert window.pairs == 2 * len(COINS[:2])
        start = plan.window_start
        assert start is not None
        assert max(pair.day for pair in plan.seen) < start
        assert all(len(fold.test) == len(plan.seen) for split in plan.splits() for fold in split.folds)


def test_weights_of_zero_mean_do_not_divide(judged: Backtest) -> None:
    """A rival that is perfect leaves nothing to gain: there is no figure, not an error."""
    side = judged.of("long", "crowd")
    spotless = {**side.score["wasserstein_pct"], "bell": np.zeros(len(judged.pairs))}
    changed = replace(side, score={**side.score, "wasserstein_pct": spotless})
    sides = tuple(changed if one is side else one for one in judged.sides)
    found = split_findings(replace(judged, sides=sides))
    assert found.of("long", "crowd").of("wasserstein_pct").gain("bell") is None
