"""A leverage census as people read it: tables and lines for a terminal, bars and tables for a page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from liqtruth.compare.calibration.bands import LABELS
from liqtruth.compare.census.census import Census
from liqtruth.compare.census.figures import ALL, FEWEST, GROUPINGS, CensusRow
from liqtruth.compare.statistics.intervals import Estimate, scaled
from liqtruth.estimator.model.leverage_model import PRIOR
from liqtruth.heatmap.drawing import page
from liqtruth.heatmap.drawing.theme import FAINT, HATCHED, MARK, MODELS, SIDE_COLORS, themed
from liqtruth.heatmap.layers import LARGEST_SHARE
from liqtruth.heatmap.levels import SIDES
from liqtruth.heatmap.words.notes import of_codes, texts, without_codes
from liqtruth.heatmap.words.text import counted, percent, stamp, usd

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from rich.table import Table

PANEL_PX: Final = 420
HEADINGS: Final = {
    "size": "By size of position",
    "maximum": "By the coin's maximum",
    "margin_mode": "By margin mode",
    "coin": "By coin",
}
ASSUMED_NAMES: Final = {"tiers": "equal-weight tiers", "bell": "normal prior", PRIOR: "shipped prior"}
ASSUMED_COLORS: Final = {"tiers": FAINT, "bell": MODELS[1], PRIOR: MODELS[2]}
FROM: Final = {"entry": "from entry", "mark": "from the mark"}
CAPPED: Final = f"capped: each position counts with at most {percent(LARGEST_SHARE)} of open interest"
CAVEATS: Final = frozenset({"census_few"})
"""Codes of what stands with the answer."""


def census_table(census: Census) -> Table:
    """A row per band, a column per side and anchor, capped, with 95 % intervals; what maps assume beside them. Medians
    and what no price liquidates stand uncapped below."""
    from rich.table import Table

    table = Table(title=f"{_title(census)}, capped", title_justify="left")
    table.caption, table.caption_justify = CAPPED, "left"
    table.add_column("leverage")
    columns = [census.row(side, anchor) for side in SIDES for anchor in census.anchors]
    for row in columns:
        table.add_column(f"{row.side}s {FROM[row.anchor]}", justify="right")
    for one in census.assumed:
        table.add_column(one.name, justify="right", no_wrap=True)
    for place, label in enumerate(census.labels):
        cells = [share(row.bands[place]) if row.bands else "–" for row in columns]
        table.add_row(label, *cells, *(percent(one.bands[0][place]) for one in census.assumed))
    table.add_section()
    empty = [""] * len(census.assumed)
    table.add_row("median", *(times(row.median) for row in columns), *empty)
    table.add_row("above the maximum", *(share(row.above_maximum) for row in columns), *empty)
    table.add_row(
        "without price",
        *(share(row.without_price) for row in columns),
        *(percent(one.without_price[0]) for one in census.assumed),
    )
    table.add_row("effective accounts", *(f"{row.effective_accounts:.0f}" for row in columns), *empty)
    table.add_section()
    whole = [census.row(row.side, row.anchor, "uncapped") for row in columns]
    table.add_row("median, uncapped", *(times(row.median) for row in whole), *empty)
    table.add_row("without price, uncapped", *(share(row.without_price) for row in whole), *empty)
    table.add_row("effective, uncapped", *(f"{row.effective_accounts:.0f}" for row in whole), *empty)
    return table


def groups_table(census: Census) -> Table | None:
    """A row per group, capped, measured from the first anchor that there is; null without groups."""
    from rich.table import Table

    anchor = census.anchors[0]
    rows = [row for row in census.rows if row.grouping != ALL and _is(row, anchor, "capped")]
    if not rows:
        return None
    table = Table(title=f"Median leverage {FROM[anchor]}, capped", title_justify="left")
    table.add_column("positions")
    for heading in (part for side in SIDES for part in (f"{side}s", "effective accounts", "without price")):
        table.add_column(heading, justify="right")
    for long, short in zip(rows[::2], rows[1::2], strict=True):
        cells = [
            cell
            for row in (long, short)
            for cell in (times(row.median), f"{row.effective_accounts:.0f}", plain(row.without_price))
        ]
        table.add_row(group_name(long), *cells)
    return table


def census_lines(census: Census) -> Iterator[str]:
    """What the tables have no room for."""
    yield from (_read(census, place) for place in range(len(census.coins)))
    yield from texts(census.notes)
    yield (
        f"intervals: 95 %, {census.draws} draws of accounts, seed {census.seed}; none below {FEWEST:.0f} effective "
        "accounts"
    )


def answer(census: Census) -> list[str]:
    """One sentence a side on what was read."""
    return [_side_answer(census, side) for side in SIDES]


def _side_answer(census: Census, side: str) -> str:
    rows = [census.row(side, anchor) for anchor in census.anchors]
    medians = " and ".join(f"{times(row.median)} measured {FROM[row.anchor]}" for row in rows)
    without = rows[0].without_price
    apart = "" if without is None else f"; {share(without)} has no liquidation price"
    return f"Half of the {side}s that were read stands below {medians}{apart}"


def bands_figure(census: Census, side: str) -> go.Figure:
    """Bars of a side's shares per band, capped, with 95 % intervals; what maps assume beside them."""
    import plotly.graph_objects as go

    labels, figure = [*census.labels], go.Figure()
    looks: dict[str, dict[str, Any]] = {
        "mark": {"color": SIDE_COLORS[side]},
        "entry": {"color": SIDE_COLORS[side], "pattern": {"shape": "/", **HATCHED}},
    }
    for anchor in reversed(census.anchors):
        row = census.row(side, anchor)
        if row.bands:
            figure.add_bar(
                x=labels,
                y=[100 * one.value for one in row.bands],
                name=f"{side}s {FROM[anchor]}",
                marker=looks[anchor],
                error_y=_ends(row.bands),
                hovertemplate="%{x}: %{y:.1f} %",
            )
    for one in census.assumed:
        figure.add_scatter(
            x=labels,
            y=[100 * value for value in one.bands[SIDES.index(side)]],
            mode="markers",
            name=ASSUMED_NAMES[one.name],
            marker={"color": ASSUMED_COLORS[one.name], "size": 10, "symbol": "diamond"},
            hovertemplate="%{x}: %{y:.1f} %",
        )
    figure.update_xaxes(categoryorder="array", categoryarray=labels, title_text="effective leverage")
    figure.update_yaxes(rangemode="tozero", title_text="% of what a price liquidates")
    return themed(figure, barmode="group", bargap=0.25, height=PANEL_PX)


def write_page(census: Census, path: Path) -> None:
    """Bars of both sides first, then every figure by group."""
    beside = of_codes(census.notes, CAVEATS)
    page.write_page(
        path,
        _title(census),
        synthetic=census.synthetic,
        age=page.age_of(census.as_of),
        about=[_read(census, place) for place in range(len(census.coins))],
        answer=answer(census),
        caveat="; ".join(texts(beside)),
        sections=list(_sections(census)),
        notes=texts(without_codes(census.notes, CAVEATS)),
    )


def _sections(census: Census) -> Iterator[page.Section]:
    yield page.Section(
        note=f"{CAPPED.capitalize()}. Bars: shares of what a price liquidates, with 95 % intervals; diamonds: what "
        "maps assume.",
        figures={f"{side}-bands": (f"{side.capitalize()}s", bands_figure(census, side)) for side in SIDES},
    )
    yield page.Section("All positions", table=_page_table(_rows_of(census, ALL)))
    for grouping in GROUPINGS:
        rows = [row for row in _rows_of(census, grouping) if row.layer == "capped"]
        if rows:
            yield page.Section(HEADINGS[grouping], table=_page_table(rows))


def _rows_of(census: Census, grouping: str) -> list[CensusRow]:
    """Longs first, from the mark first; groups in their order."""
    return sorted((row for row in census.rows if row.grouping == grouping), key=_by_side)


def _page_table(rows: list[CensusRow]) -> page.Table:
    alone = any(row.grouping == ALL for row in rows)
    heads = (
        "", "measured", *(["each position"] if alone else []), "accounts", "effective accounts", "notional",
        "without price", "median", *LABELS, "above the maximum", "past it",
    )  # fmt: skip
    return page.Table(heads, [(row.side, _cells(row, alone)) for row in rows])


def _cells(row: CensusRow, alone: bool) -> list[str]:
    bands = [share(one) for one in row.bands] or ["–"] * len(LABELS)
    return [
        f"{row.side}s" if alone else f"{row.side}s {row.group}",
        FROM[row.anchor],
        *([row.layer] if alone else []),
        f"{row.accounts:,}",
        f"{row.effective_accounts:.0f}",
        usd(row.notional_usd),
        share(row.without_price),
        times(row.median),
        *bands,
        share(row.above_maximum),
        share(row.past),
    ]


def group_name(row: CensusRow) -> str:
    """`maximum 40x`, `cross`, `10-100k`."""
    return f"maximum {row.group}" if row.grouping == "maximum" else row.group


def share(estimate: Estimate | None) -> str:
    """`12.3 % (8.1-17.0)`; a dash where it is not known."""
    return _with_ends(estimate, " %", 100.0)


def times(estimate: Estimate | None) -> str:
    """`4.9x (3.9-6.1)`."""
    return _with_ends(estimate, "x", 1.0)


def plain(estimate: Estimate | None) -> str:
    """Without its interval."""
    return _with_ends(None if estimate is None else Estimate(estimate.value), " %", 100.0)


def _with_ends(estimate: Estimate | None, unit: str, factor: float) -> str:
    found = scaled(estimate, factor)
    if found is None:
        return "–"
    ends = "" if found.low is None or found.high is None else f" ({found.low:.1f}-{found.high:.1f})"
    return f"{found.value:.1f}{unit}{ends}"


def _title(census: Census) -> str:
    return f"Effective leverage that stands: {', '.join(coin.coin for coin in census.coins)}"


def _read(census: Census, place: int) -> str:
    coin = census.coins[place]
    seen = (
        "open interest unknown"
        if coin.coverage is None
        else f"{percent(coin.coverage[0])} of long and {percent(coin.coverage[1])} of short open interest"
    )
    highest = "unknown" if coin.highest_leverage is None else f"{coin.highest_leverage:g}x"
    return (
        f"{coin.coin} {stamp(coin.as_of)}: {counted(coin.positions, 'position')} of "
        f"{counted(coin.accounts, 'account')}, {seen}; maximum {highest}"
    )


def _is(row: CensusRow, anchor: str, layer: str) -> bool:
    return row.anchor == anchor and row.layer == layer


def _by_side(row: CensusRow) -> tuple[int, int]:
    return SIDES.index(row.side), ("mark", "entry").index(row.anchor)


def _ends(estimates: tuple[Estimate, ...]) -> dict[str, Any] | None:
    """Error bars in percent; none where intervals are withheld."""
    known = [
        (one.value, one.low, one.high) for one in estimates if one.low is not None and one.high is not None
    ]
    if len(known) < len(estimates):
        return None
    above = [100 * max(0.0, high - value) for value, _, high in known]
    below = [100 * max(0.0, value - low) for value, low, _ in known]
    return {"type": "data", "symmetric": False, "array": above, "arrayminus": below, "color": MARK}
