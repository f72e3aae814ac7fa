"""The last days, that can be looked at once.

What was chosen with a result in sight has seen its days. The final window is therefore judged a single time: the record
of its opening, figures included, is written to `<data-dir>/final-windows.json` before anything is shown, and a
second opening of a window that shares a day and a coin with it is refused, however the first one ended.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final, Literal

import msgspec

from liqtruth.compare.calibration.choices.fitted import coins_of
from liqtruth.compare.validation.validation import Findings, Plan, Window, saved
from liqtruth.heatmap.errors import BadInput, LiqtruthError, MissingData
from liqtruth.heatmap.files import NOT_DECODED
from liqtruth.heatmap.words.notes import Note, as_text, note, reader
from liqtruth.heatmap.writing import write_atomically
from liqtruth.storage.lock import alone

FILE: Final = "final-windows.json"
LOCK: Final = "final-windows.lock"


class Opened(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A window that was opened: its coins, its first and last day, and its findings."""

    coins: tuple[str, ...]
    first_day: date
    last_day: date
    opened_at: datetime
    opened_by: str
    seed: int
    findings: Findings

    def overlaps(self, coins: Sequence[str], first_day: date, last_day: date) -> bool:
        """Whether it shares a day of some coin with these."""
        shares_days = self.first_day <= last_day and first_day <= self.last_day
        return shares_days and bool(set(self.coins) & set(coins))

    @property
    def coins_and_days(self) -> str:
        """`BTC, ETH, 2026-08-01 to 2026-08-05`."""
        return f"{', '.join(self.coins)}, {self.first_day} to {self.last_day}"


class OpenedFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All windows that were ever opened, the oldest first."""

    schema: Literal["liqtruth.final_windows/1"] = "liqtruth.final_windows/1"
    windows: tuple[Opened, ...] = ()


class WindowOpened(LiqtruthError):
    """The final window, or days of it, were looked at before."""


def open_window(
    data_dir: Path, plan: Plan, on_progress: Callable[[float], None] = lambda share: None
) -> Opened:
    """Fit on everything before the window, judge the window, record it; the record is there when this returns.

    Raises `MissingData` where days are too few for a window, `WindowOpened` where it was opened before, and
    `LiqtruthError` while another process opens one or where the record cannot be written.
    """
    with alone(data_dir / LOCK, "opening a final window"):
        window = check_unopened(data_dir, plan)
        judged = plan.findings([plan.judged(plan.final_split(), on_progress)])
        seen = tuple(_seen_before(data_dir, coins_of(plan.pairs), window))
        judged = msgspec.structs.replace(judged, notes=(*judged.notes, *seen))
        opened = Opened(
            coins_of(plan.pairs),
            window.first_day,
            window.last_day,
            datetime.now(UTC),
            f"liqtruth {version('liqtruth')}",
            plan.seed,
            judged,
        )
        content = msgspec.json.encode(
            OpenedFile(windows=(*opened_windows(data_dir), opened)), enc_hook=as_text
        )
        write_atomically(data_dir / FILE, msgspec.json.format(content, indent=1) + b"\n")
    return opened


def check_unopened(data_dir: Path, plan: Plan) -> Window:
    """The plan's window, that nobody has looked at; raises as `open_window` does."""
    window, coins = plan.final_window(), coins_of(plan.pairs)
    for one in opened_windows(data_dir):
        if one.overlaps(coins, window.first_day, window.last_day):
            raise WindowOpened(_refusal(one))
    return window


def opened_windows(data_dir: Path) -> tuple[Opened, ...]:
    """The oldest first. Raises `BadInput` for a file that cannot be read: it must not be forgotten what was seen."""
    path = data_dir / FILE
    if not path.exists():
        return ()
    try:
        return msgspec.json.decode(path.read_bytes(), type=OpenedFile, dec_hook=reader(())).windows
    except (OSError, *NOT_DECODED) as error:
        raise BadInput(
            f"{path} cannot be read: {error}; restore it: it lists which final windows were opened"
        ) from error


def last_opened(data_dir: Path, coins: Sequence[str] = ()) -> Opened:
    """The one that was opened last, of some of these coins (default: any). Raises `MissingData` where none was."""
    found = [one for one in opened_windows(data_dir) if not coins or set(coins) & set(one.coins)]
    if not found:
        whose = f" of {', '.join(coins)}" if coins else ""
        raise MissingData(
            f"no final window{whose} was opened: `liqtruth validate open-final COIN...` does it, once"
        )
    return found[-1]


def _seen_before(data_dir: Path, coins: Sequence[str], window: Window) -> Iterator[Note]:
    """Saved validations that judged days of the window when it was not yet the last part of what was read."""
    for name, validation in saved(data_dir):
        for split in validation.splits:
            shares_days = split.first_day <= window.last_day and window.first_day <= split.last_day
            if shares_days and set(split.coins) & set(coins):
                made = f"{validation.made_at:%Y-%m-%d}"
                yield note("window_judged_before", split=split.name, validation=name, made=made)


def _refusal(before: Opened) -> str:
    return (
        f"the final window {before.coins_and_days} was opened at {before.opened_at:%Y-%m-%dT%H:%MZ}, and can be judged "
        f"only once: `liqtruth validate show --final {before.coins[0]}` shows its result"
    )
