"""A transfer as people read it: a table and lines for a terminal, and a page with every step and the tilt."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from liqtruth.compare.calibration.shown import Shown
from liqtruth.compare.transfer.deviation import FARTHEST
from liqtruth.compare.transfer.record import SideHours, SideRecord, TransferRecord, Transferred
from liqtruth.compare.transfer.transfer import Z80
from liqtruth.heatmap.drawing import page
from liqtruth.heatmap.drawing.theme import FAINT, MARK, MODELS, SIDE_COLORS, themed
from liqtruth.heatmap.levels import SIDES
from liqtruth.heatmap.words.notes import SYNTHETIC, note
from liqtruth.heatmap.words.text import usd

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from rich.table import Table

TABLE_WIDTH: Final = 126
"""Columns that the table needs."""
PANEL_PX: Final = 430
SHOWN_PCT: Final = (2.0, 5.0, 10.0)


class ShownTransfer(msgspec.Struct, frozen=True):
    """A transferred model by band, with what it rests on."""

    model: Shown
    transfer: TransferRecord


def transfer_table(record: TransferRecord) -> Table:
    """One row per side: what became of the mass near the mark, and predicted over realised before and after."""
    from rich.table import Table

    table = Table(title=title(record), title_justify="left")
    table.add_column("side", no_wrap=True)
    within = [f"within {reach:g} %" for reach in SHOWN_PCT]
    for heading in (*within, "reported", "realised", "fitted", "as there", "transferred"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name in SIDES:
        side: SideRecord = record.of(name)
        cells = [_factor(record, side, reach) for reach in SHOWN_PCT]
        table.add_row(name, *cells, f"{side.events}", usd(side.realised_usd), *predicted_over_realised(side))
    return table


def tell_transfer(record: TransferRecord) -> None:
    """The table and its lines, to the terminal."""
    from rich.console import Console

    console = Console(width=max(Console().width, TABLE_WIDTH))
    console.print(transfer_table(record))
    for line in transfer_lines(record):
        console.out(line, highlight=False)


def _factor(record: TransferRecord, side: SideRecord, reach_pct: float) -> str:
    """With its 80 % interval."""
    place = record.distance_pct.index(reach_pct)
    factor, error = side.curve_factor[place], np.exp(Z80 * side.curve_sd[place])
    return f"x{factor:.2f} ({factor / error:.2f}-{factor * error:.2f})"


def predicted_over_realised(side: SideRecord) -> tuple[str, str, str]:
    """Of the source model, of it with Hyperliquid's ratio, and of the transferred model with the same ratio."""
    if not side.realised_usd > 0:
        return "not known", "not known", "not known"
    first, second, third = (
        f"{predicted / side.realised_usd:.2f}"
        for predicted in (side.predicted_usd, side.as_on_hyperliquid_usd, side.transferred_usd)
    )
    return first, second, third


def transfer_lines(record: TransferRecord) -> Iterator[str]:
    """What the table has no room for."""
    yield (
        f"{record.events} liquidations in {record.hours:g} h that were recorded throughout, "
        f"{record.start:%Y-%m-%dT%H:%MZ} to {record.end:%Y-%m-%dT%H:%MZ}; the feed tells {record.coverage:.0%} of all"
    )
    yield "mass within 2, 5 and 10 % of the mark: by what the model's was multiplied, with 80 % intervals"
    yield (
        "predicted over realised: of the fitted model; as it is with what the same model mispredicts on Hyperliquid; "
        "and of the transferred model, likewise"
    )
    if record.hyperliquid is None:
        yield "Hyperliquid's liquidations are left out: the model's own bias is not removed, and errors are wider"
    else:
        yield (
            f"Hyperliquid's own ratio is of {record.hyperliquid.events} liquidations in "
            f"{record.hyperliquid.hours:g} h up to {record.hyperliquid.end:%Y-%m-%dT%H:%MZ}"
        )
    yield (
        f"liquidations of the next {record.step_s / 3600:g} h are of positions near the mark: how far they speak for "
        "others was learned on synthetic venues; more of them than predicted move high leverages alone, fewer move all"
    )
    yield from _deviation_lines(record)
    if record.by_days:
        yield note("spans_of_days").text
    for name in SIDES:
        cut_to = record.of(name).cut_to
        if cut_to < 1:
            yield f"{name} shares would sum to {1 / cut_to:.3f} of open interest: they are limited to the whole"
    if record.highest_leverage > record.trained_to:
        yield (
            f"leverage above {record.trained_to:.3g}x is extrapolation: nothing was fitted there, "
            f"{record.venue} allows {record.highest_leverage:g}x"
        )


def _deviation_lines(record: TransferRecord) -> Iterator[str]:
    for name in SIDES:
        side: SideRecord = record.of(name)
        ratio, error = np.exp(side.deviation), np.exp(Z80 * side.deviation_sd)
        text = f"{name}s: {ratio:.2f} of what is predicted was liquidated ({ratio / error:.2f}-{ratio * error:.2f})"
        if abs(side.deviation) > FARTHEST:
            yield f"{text}: its people are others than those of the venues that were learned from, bounds are withheld"
        else:
            yield f"{text}, of which {np.exp(side.counted):.2f} counts"


def title(record: TransferRecord) -> str:
    """Whose level it is, and from which model."""
    whose = f"{SYNTHETIC}: " if record.synthetic else ""
    return f"{whose}{record.source_model} carried over to {record.venue} {', '.join(record.coins)}: {record.model}"


def write_page(transferred: Transferred, path: Path) -> None:
    """Per side: realised against predicted of every step, before and after; and what the mass is multiplied by."""
    record = transferred.record
    page.write_page(
        path,
        f"{record.source_model} carried over to {record.venue} {', '.join(record.coins)}: {record.model}",
        synthetic=record.synthetic,
        age=page.age_of(record.end, lead="data to"),
        answer=[_ratio_line(record, side) for side in SIDES],
        sections=[
            page.Section(
                f"{side.capitalize()}s",
                _mass_line(record, side),
                {
                    f"{side}-steps": ("each step", steps_figure(transferred.of(side))),
                    f"{side}-mass": ("what the mass is multiplied by", mass_figure(record, side)),
                },
            )
            for side in SIDES
        ],
        notes=transfer_lines(record),
    )


def steps_figure(hours: SideHours) -> go.Figure:
    """Realised against predicted; steps without a liquidation lie on a line of their own, below all others."""
    import plotly.graph_objects as go

    above_zero = hours.realised_usd[hours.realised_usd > 0]
    low = float(above_zero.min()) / 3 if above_zero.size else 1.0
    known = [hours.before_usd, hours.after_usd]
    high = max(float(part.max(initial=low)) for part in (*known, hours.realised_usd))
    lowest = max(low / 30, 1e-3)
    figure = go.Figure()
    for part, name, color in zip(known, ("before", "transferred"), (MODELS[0], MARK), strict=True):
        figure.add_scatter(
            x=np.maximum(part, lowest),
            y=np.maximum(hours.realised_usd, low),
            mode="markers",
            name=name,
            marker={"color": color, "size": 5, "opacity": 0.55},
            hovertemplate="predicted %{x:$,.3s}, realised %{y:$,.3s}",
        )
    figure.add_scatter(
        x=[lowest, high], y=[lowest, high], mode="lines", line={"color": FAINT, "dash": "dot"},
        name="predicted = realised", hoverinfo="skip",
    )  # fmt: skip
    figure.update_xaxes(title_text="predicted (USD)", type="log", exponentformat="SI", dtick=1)
    figure.update_yaxes(
        title_text="liquidated (USD), none at the bottom", type="log", exponentformat="SI", dtick=1
    )
    return themed(figure, height=PANEL_PX)


def mass_figure(record: TransferRecord, name: str) -> go.Figure:
    """What a side's mass within each distance of the mark is multiplied by, with its 80 % interval."""
    import plotly.graph_objects as go

    side, color, at = record.of(name), SIDE_COLORS[name], np.array(record.distance_pct)
    middle, error = np.array(side.curve_factor), np.exp(Z80 * np.array(side.curve_sd))
    figure = go.Figure()
    figure.add_scatter(
        x=np.append(at, at[::-1]), y=np.append(middle * error, (middle / error)[::-1]), fill="toself",
        fillcolor=color, opacity=0.18, line={"width": 0}, hoverinfo="skip",
    )  # fmt: skip
    figure.add_scatter(
        x=at, y=middle, mode="lines+markers", line={"color": color, "width": 2.5},
        hovertemplate="within %{x:g} %: times %{y:.2f}",
    )  # fmt: skip
    figure.update_xaxes(title_text="distance from the mark", ticksuffix=" %")
    figure.update_yaxes(
        title_text="factor, 80 % interval", type="log", tickvals=[0.1, 0.2, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10]
    )
    return themed(figure, height=PANEL_PX, showlegend=False)


def _ratio_line(record: TransferRecord, name: str) -> str:
    side: SideRecord = record.of(name)
    _, before, after = predicted_over_realised(side)
    events = f"{side.events} liquidations of {usd(side.realised_usd)}"
    return f"{name}: {events}; predicted over realised {before} before, {after} transferred"


def _mass_line(record: TransferRecord, name: str) -> str:
    moved = ", ".join(f"{reach:g} % {_factor(record, record.of(name), reach)}" for reach in SHOWN_PCT)
    return f"{name} mass within {moved}"
