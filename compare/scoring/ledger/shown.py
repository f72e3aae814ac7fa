"""The ledger as people read it in a terminal: a row per model, market and horizon, and what is held against it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from liqtruth.compare.scoring.ledger.flags import flags_of_row
from liqtruth.compare.scoring.ledger.leaderboard import LeaderboardRow
from liqtruth.compare.scoring.realised.precision import Precision
from liqtruth.compare.scoring.realised.shown import UNKNOWN, estimate_text, precision_text
from liqtruth.compare.scoring.realised.verdict import horizon_name
from liqtruth.heatmap.notes import SYNTHETIC

if TYPE_CHECKING:
    from rich.table import Table

COLUMNS = (
    "market",
    "model",
    "ahead",
    "made",
    "scored",
    "partial rank",
    "predicted/realised",
    "top tenth",
    "chance",
    "flag",
)


def ledger_table(rows: Sequence[LeaderboardRow]) -> Table:
    """What is known of each so far."""
    from rich.table import Table

    table = Table(title="Forecasts kept before their time, and what came of them", title_justify="left")
    for name in COLUMNS:
        table.add_column(name, justify="left" if name in ("market", "model", "flag") else "right")
    for one in rows:
        table.add_row(*_cells(one))
    return table


def ledger_lines(rows: Sequence[LeaderboardRow]) -> Iterator[str]:
    """Flags in full, then what stands against believing a row."""
    if not rows:
        yield "no forecast is stored: `liqtruth score forecast COIN --venue NAME` keeps one"
    for one in rows:
        yield from (f"flag: {line}" for line in flags_of_row(one))
    if any(one.replayed for one in rows):
        yield "replay: made when what it speaks of could be known; no evidence of foresight"
    if any(one.synthetic for one in rows):
        yield f"{SYNTHETIC}: forecasts on markets of the sandbox, not of an exchange"
    for one in rows:
        if one.pooled is not None:
            where = f"{one.venue} {one.coin} {one.name} {horizon_name(one.horizon_s)}"
            yield from (f"{where}: {note}" for note in one.pooled.notes)


def _cells(one: LeaderboardRow) -> tuple[str, ...]:
    model = f"{one.name} {one.model_hash[:6]}" + (" (replay)" if one.replayed else "")
    market = f"{one.venue} {one.coin}" + (f" ({SYNTHETIC})" if one.synthetic else "")
    about = (market, model, horizon_name(one.horizon_s), f"{one.forecasts:,}", f"{one.scored:,}")
    if one.pooled is None:
        return (*about, *[UNKNOWN] * 4, "")
    score = one.pooled.maps[0]
    flag = "worse than a baseline" if flags_of_row(one) else ""
    found = score.precision
    return (
        *about,
        estimate_text(score.partial),
        estimate_text(score.ratio, "ratio"),
        precision_text(found),
        _chance(found),
        flag,
    )


def _chance(found: Precision | None) -> str:
    return UNKNOWN if found is None else f"{found.chance:.0%}"
