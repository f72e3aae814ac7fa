"""A fitted distribution of leverage as people read it: a table and lines for a terminal, bars for a page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from liqtruth.compare.calibration.bands import LABELS, NULL, Band, bands_of_model
from liqtruth.compare.calibration.record import UNCOUNTED, Choices, FitRecord, SideRecord
from liqtruth.compare.statistics.effective_sample_size import ENOUGH
from liqtruth.estimator.model.leverage import LeverageWeights, bell, tiers
from liqtruth.estimator.model.leverage_model import MIXED, PRIOR, LeverageModel, leverage_model_named
from liqtruth.heatmap.drawing import page
from liqtruth.heatmap.drawing.theme import EXACT, FAINT, MARK, MODELS, SIDE_COLORS, themed
from liqtruth.heatmap.levels import SIDES
from liqtruth.heatmap.words.notes import of_codes, texts

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from rich.table import Table

STANDS: Final = "{}s that stand within 30 % of price"
PANEL_PX: Final = 400
BASELINES: Final = ("tiers", "bell", PRIOR)
TRIED: Final = "each coin drawn by a fit on the others and off (W1) by"
IN_COMMON: Final = {
    "leverage": "the same leverage on every coin",
    "of-maximum": "leverage as a part of the coin's highest",
    "of-volatility": "less leverage the more a coin moves",
    MIXED: "a part of each",
}
COLORS: Final = {"tiers": FAINT, "bell": MODELS[1], PRIOR: MODELS[2]}


class Distribution(msgspec.Struct, frozen=True):
    """One side: the model's bands, and the same bands of what it stands beside."""

    side: str
    bands: tuple[Band, ...]
    beside: dict[str, tuple[float, ...]]


class Shown(msgspec.Struct, frozen=True):
    """A leverage model by band, long then short, with the record of its fit where there is one."""

    name: str
    kind: str
    hash: str
    note: str
    sides: tuple[Distribution, ...]
    record: FitRecord | None
    synthetic: bool = False


def shown(model: LeverageModel, record: FitRecord | None) -> Shown:
    """Intervals come from the record; a model without one has none."""
    others: dict[str, LeverageModel | LeverageWeights] = {
        "tiers": tiers(),
        "bell": bell(),
        PRIOR: leverage_model_named(PRIOR),
    }
    sides = tuple(
        Distribution(
            side,
            _bands(model, side, record.of(side) if record else None),
            {name: bands_of_model(other, side) for name, other in others.items()},
        )
        for side in SIDES
    )
    return Shown(model.name, model.kind, model.hash, model.note, sides, record, model.provenance.synthetic)


def shown_table(result: Shown) -> Table:
    """One row per band: share and 80 % interval of each side, beside the baselines."""
    from rich.table import Table

    table = Table(title=f"Share of open interest by effective leverage: {result.name}", title_justify="left")
    table.add_column("leverage")
    for heading in ("long", "80 %", "short", "80 %", *BASELINES):
        table.add_column(heading, justify="right", no_wrap=True)
    long, short = result.sides
    for place, label in enumerate((*LABELS, NULL)):
        cells = [cell for side in (long, short) for cell in _cells(side.bands[place])]
        beside = [f"{100 * long.beside[name][place]:.1f} %" for name in BASELINES]
        table.add_row(label, *cells, *beside)
    return table


def shown_lines(result: Shown) -> Iterator[str]:
    """What the table has no room for."""
    yield result.note
    record = result.record
    if record is None:
        yield "no record of a fit: no intervals are known"
        return
    if any(band.from_prior > 0 for side in result.sides for band in side.bands):
        yield "*: in whole or part the prior's share, which the data cannot tell"
    yield "what was not fitted and null: only their sum is known, how it divides is the prior's"
    for drawn in result.sides:
        resolved = [f"{one.band} {one.resolution:.0%}" for one in drawn.bands if one.resolution is not None]
        listed = ", ".join(resolved)
        yield f"{drawn.side}: of a change in a band the fit would follow {listed}; noise is in the intervals"
    if record.draws:
        yield f"intervals: {record.draws} draws of {record.blocks} blocks (coin and day), seed {record.seed}"
    else:
        yield f"no intervals: {record.blocks} block of coin and day, at least 2 are needed"
    yield from _choices(record)
    for side in SIDES:
        yield from _side_lines(side, record.of(side))
    if record.refused:
        yield f"{len(record.refused)} moments have no pair, the last: {record.refused[-1]}"


def distribution_figure(result: Shown, side: Distribution) -> go.Figure:
    """Bars of a side's shares as positions open, with intervals, beside the baselines."""
    import plotly.graph_objects as go

    labels = [*LABELS, NULL]
    figure = go.Figure()
    figure.add_bar(
        x=labels,
        y=[100 * band.share for band in side.bands],
        name=result.name,
        marker={"color": SIDE_COLORS[side.side]},
        error_y=_ends([(band.share, band.low, band.high) for band in side.bands]),
        hovertemplate="%{x}: %{y:.1f} %",
    )
    for other, shares in side.beside.items():
        figure.add_scatter(
            x=labels,
            y=[100 * share for share in shares],
            mode="markers",
            name=other,
            marker={"color": COLORS[other], "size": 10, "symbol": "diamond"},
            hovertemplate="%{x}: %{y:.1f} %",
        )
    figure.update_xaxes(categoryorder="array", categoryarray=labels)
    figure.update_yaxes(rangemode="tozero", title_text="% of open interest")
    return themed(figure, height=PANEL_PX)


def implied_leverage_figure(record: SideRecord) -> go.Figure:
    """What stands within reach, as the fit draws it with its 95 % interval and as positions measure it."""
    import plotly.graph_objects as go

    rows = record.implied_leverage
    figure = go.Figure()
    figure.add_bar(
        x=[row.band for row in rows],
        y=[100 * row.drawn for row in rows],
        name="drawn by the fit (95 %)",
        marker={"color": MODELS[0]},
        error_y=_ends([(row.drawn, row.low, row.high) for row in rows]),
        hovertemplate="%{x}: %{y:.1f} %",
    )
    if all(row.measured is not None for row in rows):
        figure.add_scatter(
            x=[row.band for row in rows],
            y=[100 * (row.measured or 0.0) for row in rows],
            mode="markers",
            name="measured on positions",
            marker={"color": EXACT, "size": 11, "symbol": "x"},
            hovertemplate="%{x}: %{y:.1f} %",
        )
    figure.update_yaxes(rangemode="tozero", title_text="% of open interest")
    return themed(figure, showlegend=True, height=PANEL_PX)


def write_page(result: Shown, path: Path) -> None:
    """Shares by leverage as positions open and as they stand, and what they rest on."""
    note, *others = shown_lines(result)
    page.write_page(
        path,
        f"Effective leverage of open interest: {result.name}",
        synthetic=result.synthetic,
        age=page.age_of(result.record.end, lead="data to") if result.record else None,
        about=[note],
        answer=[_most(side) for side in result.sides],
        sections=[
            page.Section(f"{side.side.capitalize()}s", figures=_figures(result, side))
            for side in result.sides
        ],
        notes=others,
    )


def _figures(result: Shown, side: Distribution) -> dict[str, tuple[str, go.Figure]]:
    name = side.side
    opened = {f"{name}-opened": ("as they open", distribution_figure(result, side))}
    if result.record is None or not result.record.of(name).implied_leverage:
        return opened
    implied = implied_leverage_figure(result.record.of(name))
    return opened | {f"{name}-standing": (STANDS.format(name), implied)}


def _most(side: Distribution) -> str:
    """The band of leverage in which most of a side opens."""
    band = max(side.bands[:-1], key=lambda one: one.share)
    share, interval = _cells(band)
    return f"{side.side}s open most at {band.band}: {share} of open interest (80 % interval {interval})"


def _ends(rows: list[tuple[float, float | None, float | None]]) -> dict[str, Any] | None:
    """Error bars in percent; none at all where no interval is known."""
    if all(low is None or high is None for _, low, high in rows):
        return None
    above = [None if high is None else 100 * max(0.0, high - share) for share, _, high in rows]
    below = [None if low is None else 100 * max(0.0, share - low) for share, low, _ in rows]
    return {"type": "data", "symmetric": False, "array": above, "arrayminus": below, "color": MARK}


def _bands(model: LeverageModel, side: str, record: SideRecord | None) -> tuple[Band, ...]:
    if record is not None:
        return record.bands
    labelled = zip((*LABELS, NULL), bands_of_model(model, side), strict=True)
    return tuple(Band(label, share, None, None, 0.0) for label, share in labelled)


def _cells(band: Band) -> tuple[str, str]:
    star = "*" if band.from_prior > 0 else ""
    if band.low is None or band.high is None:
        return f"{100 * band.share:.1f} %{star}", "not known"
    return f"{100 * band.share:.1f} %{star}", f"{100 * band.low:.1f} to {100 * band.high:.1f}"


def _pull(ridge: float, only: str | None) -> str:
    return f"{ridge:g}" if only is None else f"{ridge:g} with {only} alone"


def _carried(chosen: Choices) -> str:
    """What coins have in common, by how far maps of coins were off that the fit had not seen."""
    nearest = min(chosen.coordinates, key=lambda row: row.left_out_pct).coordinate
    each = ", ".join(
        f"{row.left_out_pct:.2f} % with {IN_COMMON[row.coordinate]}" for row in chosen.coordinates
    )
    why = "" if nearest == chosen.coordinate else ", since the nearest is not clearly nearer"
    return f"what coins have in common, {TRIED}: {each}. Used: {IN_COMMON[chosen.coordinate]}{why}"


def _choices(record: FitRecord) -> Iterator[str]:
    """What the data chose, and by how much."""
    chosen = record.choices
    if chosen.coordinates:
        yield _carried(chosen)
    if chosen.pulls:
        each = ", ".join(f"{row.left_out_pct:.2f} % at {_pull(row.ridge, row.only)}" for row in chosen.pulls)
        taken = _pull(chosen.pull, chosen.only)
        yield f"how strongly the fit is held to the shipped leverages, {TRIED}: {each}. Used: {taken}"
    if chosen.deviations:
        best = min(chosen.deviations, key=lambda row: row.own_pct)
        taken = "taken" if chosen.ridge is not None else "not taken"
        yield (
            f"coins' own shares on days not seen: {best.own_pct:.2f} % against {best.pooled_pct:.2f} % pooled, {taken}"
        )
    sizes = chosen.sizes
    if sizes.by_size_pct is not None:
        yield (
            f"leverage by size of position on coins left out: {sizes.by_size_pct:.2f} % against "
            f"{sizes.pooled_pct:.2f} % pooled"
        )
    if min(record.coverage) < 0.95:
        long, short = record.coverage
        yield (
            f"{long:.0%} of longs and {short:.0%} of shorts were seen: intervals hold what the rest may be, "
            "if it is like any one size class"
        )
    if not record.passes and not of_codes(record.notes, UNCOUNTED):
        yield (
            f"{record.effective_positions:.0f} effective positions a side (median), "
            f"{ENOUGH:.0f} are needed before a shape means much: "
            "read these shares as an exercise"
        )
    yield from texts(record.notes)


def _side_lines(side: str, record: SideRecord) -> Iterator[str]:
    outside = [
        row.band for row in record.implied_leverage if row.inside is False and (row.measured or 0.0) > 0.005
    ]
    if outside:
        yield f"{side}: of what stands, {', '.join(outside)} is measured outside of what the fit draws"
    if record.entries is not None:
        yield (
            f"{side}: entry prices of the fitted mix of turnover lie {record.entries.mixed_pct:.2f} % of price from "
            f"the exact ones; of single classes the one at {record.entries.nearest_rate} times activity is nearest"
        )
    if record.prior_scale < 1:
        yield f"{side}: the prior's shares are scaled by {record.prior_scale:.2f}, to sum to one with the fitted"
    if record.at_most_one:
        yield f"{side}: unbounded, the fit would place more than all open interest; it is limited to the whole"
