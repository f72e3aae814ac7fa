"""The last days can be looked at once, however the first look ended; and the command that judges all others."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from liqtruth.cli import app
from liqtruth.commands.options.shared import GLOBALS
from liqtruth.commands.validate import validate_app
from liqtruth.compare.calibration.lake_samples import Gathered
from liqtruth.compare.validation.backtest import FINAL
from liqtruth.compare.validation.final_window import WindowOpened, last_opened, open_window, opened_windows
from liqtruth.compare.validation.validation import Plan, save
from liqtruth.estimator.model.leverage_model import known_models
from liqtruth.heatmap.errors import BadInput, LiqtruthError, MissingData
from liqtruth.heatmap.words.notes import of_codes
from liqtruth.storage.lock import alone
from liqtruth.storage.store import Store
from tests.compare.calibrated_markets import random_series
from tests.compare.stored_markets import COIN, stored_reading, stored_series
from tests.compare.validation_markets import PRIOR, validation_samples

DAYS = 9


def plan_of(days: int = 12, coin: str | None = None) -> Plan:
    """The first `days` of two coins, or of one of them."""
    pairs = validation_samples(1)
    first = pairs[0].day
    kept = tuple(pair for pair in pairs if pair.day < first + days and coin in (None, pair.coin))
    return Plan.of(Gathered(kept, ()), PRIOR)


class TestOpening:
    def test_a_window_is_judged_once(self, tmp_path: Path) -> None:
        opened = open_window(tmp_path, plan_of())
        split = opened.findings.splits[0]
        assert [one.name for one in opened.findings.splits] == [FINAL]
        assert (split.first_day, split.last_day) == (opened.first_day, opened.last_day)
        assert last_opened(tmp_path) == opened
        with pytest.raises(WindowOpened) as refused:
            open_window(tmp_path, plan_of())
        assert str(refused.value) == (
            f"the final window AAA, BBB, {opened.first_day} to {opened.last_day} was opened at "
            f"{opened.opened_at:%Y-%m-%dT%H:%MZ}, and can be judged only once: "
            "`liqtruth validate show --final AAA` shows its result"
        )
        assert opened_windows(tmp_path) == (opened,)

    def test_a_single_day_of_a_single_coin_in_common_is_enough(self, tmp_path: Path) -> None:
        first = open_window(tmp_path, plan_of())
        overlapping = plan_of(days=11, coin="AAA")
        window = overlapping.window
        assert window is not None
        assert window.first_day < first.first_day <= window.last_day
        with pytest.raises(WindowOpened):
            open_window(tmp_path, overlapping)

    def test_other_days_and_other_coins_are_another_window(self, tmp_path: Path) -> None:
        open_window(tmp_path, plan_of(coin="AAA"))
        open_window(tmp_path, plan_of(days=9, coin="AAA"))
        open_window(tmp_path, plan_of(coin="BBB"))
        assert [one.coins for one in opened_windows(tmp_path)] == [("AAA",), ("AAA",), ("BBB",)]
        assert last_opened(tmp_path, ["AAA"]).last_day < last_opened(tmp_path).last_day

    def test_an_opened_window_is_not_taken_for_a_leverage_model(self, tmp_path: Path) -> None:
        open_window(tmp_path, plan_of())
        assert set(known_models(tmp_path)) == {"prior", "population"}

    def test_one_process_at_a_time(self, tmp_path: Path) -> None:
        with (
            alone(tmp_path / "final-windows.lock", "opening a final window"),
            pytest.raises(LiqtruthError, match="opening a final window runs already"),
        ):
            open_window(tmp_path, plan_of())

    def test_too_few_days_have_no_window(self, tmp_path: Path) -> None:
        with pytest.raises(MissingData, match=r"6 days with pairs are too few to set a final window aside"):
            open_window(tmp_path, plan_of(days=6))
        assert plan_of(days=6).seen == plan_of(days=6).pairs

    def test_a_record_that_cannot_be_read_opens_nothing(self, tmp_path: Path) -> None:
        """Else a broken file would make every window new."""
        (tmp_path / "final-windows.json").write_text("{}x")
        with pytest.raises(BadInput, match="restore it: it lists which final windows were opened"):
            open_window(tmp_path, plan_of())

    def test_nothing_was_opened(self, tmp_path: Path) -> None:
        with pytest.raises(MissingData, match=r"no final window of AAA was opened"):
            last_opened(tmp_path, ["AAA"])

    def test_days_that_an_earlier_proof_has_judged_are_called_so(self, tmp_path: Path) -> None:
        later = plan_of()
        judged = later.findings([later.judged(later.splits()[1])])
        save(tmp_path, "of-all", judged)
        opened = open_window(tmp_path, plan_of(days=9, coin="AAA"))
        assert any(
            (one.values["split"], one.values["validation"]) == ("new coins", "of-all")
            for one in of_codes(opened.findings.notes, ["window_judged_before"])
        )


def stored_market(store: Store) -> None:
    """A series, and one census a day on its last `DAYS` days."""
    series = random_series(11)
    stored_series(store, series)
    for day in range(DAYS):
        stored_reading(store, series, len(series.end_ms) - 24 * (DAYS - 1 - day))


class TestCommand:
    @pytest.fixture
    def data_dir(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> Path:
        stored_market(store)
        monkeypatch.setattr(GLOBALS, "data_dir", store.settings.data_dir)
        return store.settings.data_dir

    def test_it_judges_shows_saves_and_shows_again(self, data_dir: Path, tmp_path: Path) -> None:
        page = tmp_path / "page.html"
        result = run("run", COIN, "-o", str(page))
        assert result.stdout.startswith("No claim: ")
        assert "set aside, and not looked at: the final window" in result.stdout
        assert "synthetic: validation on SOL" in result.stdout
        html = page.read_text()
        assert "SYNTHETIC MARKET" in html
        assert "Does the fitted map beat what knows less?" in html
        again = json.loads(validated("show", "--json").stdout)
        assert json.loads((data_dir / "models" / "proofs" / "proof.json").read_text()) == again
        assert [split["name"] for split in again["splits"]] == ["later days"]

    def test_a_window_whose_result_was_never_seen_is_opened_all_the_same(
        self, data_dir: Path, tmp_path: Path
    ) -> None:
        """The command dies between the record and the result: what would be shown cannot be written."""
        (tmp_path / "file").write_text("")
        with pytest.raises(LiqtruthError, match="cannot write"):
            run("open-final", COIN, "-o", str(tmp_path / "file" / "out.json"))
        with pytest.raises(WindowOpened, match="can be judged only once"):
            run("open-final", COIN, "--seed", "5")
        shown = validated("show", "--final", COIN, "-o", "-").stdout
        recorded = last_opened(data_dir).findings
        assert msgspec.json.decode(shown.encode(), type=type(recorded)) == recorded

    def test_coins_must_be_named(self, data_dir: Path) -> None:
        assert validated("run").exit_code == 2
        with pytest.raises(BadInput, match="no coin is given"):
            before()

    def test_coins_of_a_saved_result_are_its_own(self, data_dir: Path) -> None:
        with pytest.raises(BadInput, match="must come with --final"):
            validated("show", COIN)

    def test_the_old_spelling_works_and_names_the_new_one(self, data_dir: Path) -> None:
        result = before(COIN)
        assert result.stdout.startswith("No claim: ")
        assert "`liqtruth calibrate test` is now `liqtruth validate run`" in result.stderr
        again = before("--show", "--json", "-")
        assert again.stdout == validated("show", "--json").stdout
        assert "`liqtruth validate show`" in again.stderr

    def test_what_cannot_be_done_is_refused_before_anything_is_read(self, data_dir: Path) -> None:
        with pytest.raises(BadInput, match=r"got 'a/b'"):
            run("run", COIN, "--name", "a/b")
        with pytest.raises(BadInput, match="give one of them"):
            before(COIN, "--open-final", "--show")


def run(*arguments: str) -> Any:
    """`liqtruth validate`, a moment a day."""
    return validated(*arguments, "--step", "24h")


def validated(*arguments: str) -> Any:
    """`liqtruth validate`; errors leave as they are."""
    return CliRunner().invoke(validate_app, [*arguments], catch_exceptions=False)


def before(*arguments: str) -> Any:
    """`liqtruth calibrate test`, as it was spelled."""
    words = ["--data-dir", str(GLOBALS.data_dir), "calibrate", "test", *arguments, "--step", "24h"]
    return CliRunner().invoke(app, words, catch_exceptions=False)
