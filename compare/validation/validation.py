"""A validation from its samples: the final window set aside, the other splits judged, the figures kept in a file.

What was found lies in `<data-dir>/models/proofs/NAME.json`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final, Literal

import msgspec
import numpy as np

from liqtruth.compare.calibration.choices.fitted import coins_of
from liqtruth.compare.calibration.lake_samples import Gathered
from liqtruth.compare.calibration.samples import Sample
from liqtruth.compare.validation.backtest import (
    EMBARGO_DAYS,
    FEWEST_DAYS,
    FINAL,
    Split,
    backtest,
    blocks_of,
    final_split,
    final_start,
    split_at,
    splits_of,
)
from liqtruth.compare.validation.findings import LEAST_EFFECTIVE, SplitFindings, day_of, split_findings
from liqtruth.estimator.model.leverage_model import LeverageModel
from liqtruth.heatmap.errors import BadInput, MissingData
from liqtruth.heatmap.files import NOT_DECODED
from liqtruth.heatmap.words.notes import Notes, as_text, reader
from liqtruth.heatmap.writing import write_atomically

SCHEMA: Final = "liqtruth.proof/1"
NAME: Final = "proof"


class Window(msgspec.Struct, frozen=True):
    """Days (first and last) that are set aside, and how many pairs they hold, in how many blocks of coin and days."""

    first_day: date
    last_day: date
    pairs: int
    blocks: int


class Findings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A validation. `window` is what no split has looked at, null where days are too few; `start` and `end` are those
    of all pairs, the window's included."""

    schema: Literal["liqtruth.proof/1"] = SCHEMA
    made_at: datetime
    made_by: str
    coins: tuple[str, ...]
    start: datetime
    end: datetime
    pairs: int
    synthetic: bool
    seed: int
    embargo_days: int
    least_effective: float
    window: Window | None
    notes: Notes
    refused: tuple[str, ...]
    splits: tuple[SplitFindings, ...]


@dataclass(frozen=True, eq=False)
class Plan:
    """What is judged, and how: `pairs` all of them, `seen` those before the final window; with `parted_at` what was
    known before that moment is fitted and the rest judged, without an embargo."""

    pairs: tuple[Sample, ...]
    refused: tuple[str, ...]
    prior: LeverageModel
    notes: Notes = ()
    seed: int = 0
    embargo_days: int = EMBARGO_DAYS
    least_effective: float = LEAST_EFFECTIVE
    parted_at: datetime | None = None

    @classmethod
    def of(
        cls,
        gathered: Gathered,
        prior: LeverageModel,
        *,
        seed: int = 0,
        embargo_days: int = EMBARGO_DAYS,
        least_effective: float = LEAST_EFFECTIVE,
        parted_at: datetime | None = None,
    ) -> "Plan":
        refused = tuple(f"{one.coin} {one.moment:%Y-%m-%dT%H:%MZ}: {one.reason}" for one in gathered.refused)
        embargo = embargo_days if parted_at is None else 0
        return cls(gathered.pairs, refused, prior, gathered.notes, seed, embargo, least_effective, parted_at)

    @property
    def window_start(self) -> int | None:
        """First day of the final window; null where too few days would be left before it."""
        start = final_start(self.pairs)
        before = {pair.day for pair in self.pairs if pair.day < start}
        enough = len(before) >= FEWEST_DAYS and min(before) < start - self.embargo_days
        return start if enough else None

    @property
    def window(self) -> Window | None:
        start = self.window_start
        if start is None:
            return None
        kept = [pair for pair in self.pairs if pair.day >= start]
        days = [pair.day for pair in kept]
        blocks = int(blocks_of(kept).max()) + 1
        return Window(day_of(min(days)), day_of(max(days)), len(kept), blocks)

    @property
    def seen(self) -> tuple[Sample, ...]:
        start = self.window_start
        return self.pairs if start is None else tuple(pair for pair in self.pairs if pair.day < start)

    def splits(self) -> tuple[Split, ...]:
        """All that may be looked at, or the one at `parted_at`; raises `MissingData` where nothing can be left out."""
        if self.parted_at is not None:
            return (split_at(self.seen, self.parted_at),)
        return splits_of(self.seen, self.embargo_days)

    def final_window(self) -> Window:
        """`window`, or `MissingData` where days are too few for one."""
        if self.window is None:
            raise MissingData(f"{too_few_days(self.pairs)}: read more days, or take an earlier --from")
        return self.window

    def final_split(self) -> Split:
        """Everything before the window, less the embargo, against the window; raises as `final_window`."""
        first_day = self.final_window().first_day
        return final_split(self.pairs, (first_day - day_of(0)).days, self.embargo_days)

    def judged(
        self, split: Split, on_progress: Callable[[float], None] = lambda share: None
    ) -> SplitFindings:
        """Fit and judge one of `splits`, or the final one."""
        pairs = self.pairs if split.name == FINAL else self.seen
        tested = backtest(pairs, split, self.prior, seed=self.seed, on_progress=on_progress)
        return split_findings(tested, seed=self.seed, least_effective=self.least_effective)

    def findings(self, splits: Sequence[SplitFindings]) -> Findings:
        return Findings(
            made_at=datetime.now(UTC),
            made_by=f"liqtruth {version('liqtruth')}",
            coins=coins_of(self.pairs),
            start=min(pair.as_of for pair in self.pairs),
            end=max(pair.as_of for pair in self.pairs),
            pairs=len(self.pairs),
            synthetic=any(pair.synthetic for pair in self.pairs),
            seed=self.seed,
            embargo_days=self.embargo_days,
            least_effective=self.least_effective,
            window=self.window,
            notes=self.notes,
            refused=self.refused,
            splits=tuple(splits),
        )


def too_few_days(pairs: Sequence[Sample]) -> str:
    """Why there is no final window."""
    days = len(np.unique([pair.day for pair in pairs]))
    return f"{days} days with pairs are too few to set a final window aside: at least {FEWEST_DAYS} must lie before it"


def save(data_dir: Path, name: str, findings: Findings) -> Path:
    """Replaces an earlier validation of the same name. Raises `BadInput` for a name that is no file's."""
    path = validation_path(data_dir, name)
    write_atomically(
        path, msgspec.json.format(msgspec.json.encode(findings, enc_hook=as_text), indent=1) + b"\n"
    )
    return path


def load(data_dir: Path, name: str) -> Findings:
    """Raises `MissingData` where there is none, with those that there are, and `BadInput` for another file."""
    path = validation_path(data_dir, name)
    try:
        return msgspec.json.decode(path.read_bytes(), type=Findings, dec_hook=reader(()))
    except FileNotFoundError as error:
        known = ", ".join(sorted(one.stem for one in path.parent.glob("*.json"))) or "none"
        raise MissingData(f"no validation {name!r} was saved; there are: {known}") from error
    except NOT_DECODED as error:
        raise BadInput(f"{path} is no validation: {error}; run `liqtruth validate run` again") from error


def saved(data_dir: Path) -> Iterator[tuple[str, Findings]]:
    """Every saved validation by its name; raises as `load`."""
    for path in sorted(validation_path(data_dir, NAME).parent.glob("*.json")):
        yield path.stem, load(data_dir, path.stem)


def validation_path(data_dir: Path, name: str) -> Path:
    """Where a validation lies; raises `BadInput` for a name that is no file's."""
    if not name or Path(name).name != name:
        raise BadInput(f"--name must be letters and digits, e.g. {NAME}, got {name!r}")
    return data_dir / "models" / "proofs" / f"{name}.json"
