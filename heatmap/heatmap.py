"""`Heatmap`: notional that is liquidated at each price. Exact, modelled and imported maps are the same type."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, Self

import numpy as np
import polars as pl

from liqtruth.heatmap.bounds import MapBounds
from liqtruth.heatmap.breakdown import OnDemand, levels_broken_down, sum_bins
from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.filtering import check_labels, filtered_by, kept_by, narrowed, rows_kept
from liqtruth.heatmap.grid import FloatArray, PriceGrid, fixed
from liqtruth.heatmap.levels import (
    DIMENSIONS,
    NOTHING,
    SIDE,
    BinSums,
    BySide,
    Sides,
    bin_sums,
    check_levels,
)
from liqtruth.heatmap.words.notes import Note, Notes, note, of_codes

if TYPE_CHECKING:
    import plotly.graph_objects as go

Source = Literal["exact", "modelled", "imported"]
UNKNOWN_VENUE: Final = "unknown"
"""Of a map whose file does not state where its positions are."""
COPIED: Final = frozenset({"mean_shape", "earlier_exact"})
"""Codes of the notes of maps whose shape is that of exact maps of a venue, `of`."""
MORE_THAN_ALL: Final = 1.1
"""Share of open interest on one side from which on more was seen than there is; marks and moments differ by less."""


@dataclass(frozen=True)
class Coverage:
    """How much of the market a map has seen; USD at the mark.

    `open_interest_usd` is one side of the market (null where unknown), `seen_usd` what was read or modelled per
    side, `unknown_usd` the part of it that has no place on the map because its collateral is not known. `synthetic`
    where any of it came from the sandbox, or from a model that was fitted there.
    """

    open_interest_usd: float | None
    seen_usd: Sides
    unknown_usd: Sides = NOTHING
    positions: int | None = None
    accounts: int | None = None
    unpriced_positions: int | None = None
    crossed_positions: int | None = None
    crossed_usd: Sides = NOTHING
    oldest_age_s: float | None = None
    notes: Notes = ()
    synthetic: bool = False

    @property
    def share(self) -> Sides | None:
        """Seen notional over open interest, per side; null where open interest is unknown."""
        if not self.open_interest_usd:
            return None
        return Sides(
            self.seen_usd.long / self.open_interest_usd, self.seen_usd.short / self.open_interest_usd
        )


@dataclass(frozen=True)
class Training:
    """The fit that a map's leverages come from: by name and hash, the coins and the span of the exact positions it
    has seen, and on how many effective positions a side it rests (median of its pairs). All but the names are null or
    empty where the record of the fit is missing."""

    fit: str
    hash: str
    coins: tuple[str, ...] = ()
    start: datetime | None = None
    end: datetime | None = None
    effective_positions: float | None = None


@dataclass(frozen=True)
class Origin:
    """Whose map an imported one is: the vendor, the layout of its file, which of the file's maps it is, what its
    amounts are (`unknown` where the vendor does not state it), and the leverages that it has a part of its own for."""

    vendor: str
    layout: str
    name: str = ""
    unit: Literal["usd", "percent", "unknown"] = "unknown"
    leverages: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False)
class Heatmap:
    """Notional (USD at the mark) liquidated when the mark enters a bin: longs below the mark, shorts above.

    `long_usd` and `short_usd` have `grid.bins` entries. `beyond_usd` is mass off the grid, `never_usd` mass that
    no price can liquidate. `model` names what made a modelled map. `breakdown`, where present, holds the same mass
    in long form (`heatmap.levels.BREAKDOWN`) with dimensions to filter by. `quality` lists what was found wrong with
    the input, and what was done about it. `bounds`, where a model has any here, are of the whole map: a filtered one
    has none. `only` names what a filtered map was filtered by, with the values kept; its coverage stays that of the
    whole. `training` is the fit behind a map of fitted leverages. `origin` is whose an imported map is; its amounts
    need not be USD. `covers` are the lowest and the highest price that the map states anything about; null: all
    prices.

    Examples
    --------
    >>> truth.coin, truth.source, truth.dimensions[:2]
    ('BTC', 'exact', ('leverage_band', 'margin_mode'))
    """

    coin: str
    venue: str
    source: Source
    as_of: datetime
    grid: PriceGrid
    long_usd: FloatArray
    short_usd: FloatArray
    beyond_usd: Sides
    never_usd: Sides
    coverage: Coverage
    assumptions: Notes = ()
    model: str = ""
    breakdown: OnDemand = OnDemand()  # noqa: RUF009
    quality: Notes = ()
    bounds: MapBounds | None = None
    only: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    training: Training | None = None
    origin: Origin | None = None
    covers: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        for name in ("long_usd", "short_usd"):
            mass = fixed(getattr(self, name))
            object.__setattr__(self, name, mass)
            if mass.shape != (self.grid.bins,):
                raise BadInput(
                    f"{name} must have the {self.grid.bins} bins of the grid, got shape {mass.shape}"
                )
            if not (np.all(mass >= 0) and np.all(np.isfinite(mass))):
                raise BadInput(f"{name} must not be negative or missing")
        if not all(np.isfinite(amount) and amount >= 0 for amount in (*self.beyond_usd, *self.never_usd)):
            raise BadInput("mass beyond the grid or without a price must not be negative or missing")
        middle = self.grid.bins_each_way
        if self.long_usd[middle:].any() or self.short_usd[:middle].any():
            raise BadInput("longs must be liquidated below the mark and shorts above it")
        if self.covers is not None and not 0 < self.covers[0] <= self.covers[1] < np.inf:
            raise BadInput(f"covered prices must be positive and ascend, got {self.covers}")
        if self.as_of.tzinfo is None:
            raise BadInput(f"as_of must have a time zone, got {self.as_of}")
        object.__setattr__(self, "as_of", self.as_of.astimezone(UTC))

    @classmethod
    def from_levels(
        cls,
        levels: pl.DataFrame,
        grid: PriceGrid,
        *,
        coin: str,
        venue: str,
        source: Source,
        as_of: datetime,
        coverage: Coverage,
        assumptions: Sequence[Note] = (),
        by: Sequence[str] = (),
        model: str = "",
    ) -> Self:
        """Bin `levels` (`heatmap.levels.LEVELS`) on `grid`; their breakdown by the dimensions `by` is made when it is
        first looked at."""
        checked = check_levels(levels)
        return cls._of_sums(
            bin_sums(checked, grid),
            grid=grid,
            coin=coin,
            venue=venue,
            source=source,
            as_of=as_of,
            coverage=coverage,
            assumptions=tuple(assumptions),
            model=model,
            breakdown=partial(levels_broken_down, checked, grid, tuple(by)),
        )

    @classmethod
    def from_breakdown(cls, breakdown: pl.DataFrame, grid: PriceGrid, **about: Any) -> Self:
        """Sum a long-form breakdown into a map."""
        return cls._of_sums(sum_bins(breakdown, grid.bins), grid=grid, breakdown=breakdown, **about)

    @classmethod
    def _of_sums(cls, sums: BySide[BinSums], **about: Any) -> Self:
        return cls(
            **about,
            long_usd=sums.long.on_grid,
            short_usd=sums.short.on_grid,
            beyond_usd=Sides(*(side.beyond for side in sums)),
            never_usd=Sides(*(side.never for side in sums)),
        )

    @property
    def label(self) -> str:
        """Short name: `hyperliquid exact`, `binance tiers`, `binance tiers (only leverage 15-30x)`; of a map that has
        the shape of another venue's, `hyperliquid climatology at binance`."""
        made = self.model or self.source
        name = made if self.venue == UNKNOWN_VENUE else f"{self.venue} {made}"
        copied = next((one.values.get("of") for one in of_codes(self.assumptions, COPIED)), None)
        if copied not in (None, self.venue):
            name = f"{copied} {made} at {self.venue}"
        return f"{name} ({self.filtered_by})" if self.only else name

    @property
    def filtered_by(self) -> str:
        """`only leverage 15-30x; margin mode cross`; empty for a whole map."""
        return filtered_by(self.only)

    @property
    def synthetic(self) -> bool:
        return self.coverage.synthetic

    @property
    def mark_px(self) -> float:
        return self.grid.mark_px

    @property
    def in_grid_usd(self) -> Sides:
        return Sides(float(self.long_usd.sum()), float(self.short_usd.sum()))

    @property
    def total_usd(self) -> Sides:
        """All mass per side: in the grid, beyond it, and never."""
        parts = (self.in_grid_usd, self.beyond_usd, self.never_usd)
        return Sides(sum(part.long for part in parts), sum(part.short for part in parts))

    @property
    def net_usd(self) -> FloatArray:
        """Long minus short mass per bin."""
        return self.long_usd - self.short_usd

    @property
    def dimensions(self) -> tuple[str, ...]:
        """What this map can be filtered by."""
        if self.breakdown is None:
            return ()
        return tuple(name for name in DIMENSIONS if name in self.breakdown.columns)

    def cumulative(self) -> FloatArray:
        """Mass (USD) liquidated by a move from the mark up to each edge; `grid.bins + 1` values, 0 at the mark."""
        middle = self.grid.bins_each_way
        below = np.cumsum(self.long_usd[:middle][::-1])[::-1]
        above = np.cumsum(self.short_usd[middle:])
        return np.concatenate([below, [0.0], above])

    def filter(self, **wanted: str | Sequence[str]) -> "Heatmap":
        """The part of the map whose dimensions have the wanted values; its coverage stays that of the whole.

        Parameters
        ----------
        **wanted : str or sequence of str
            Values to keep, by the names of `dimensions`; `leverage` and `age` are short for their bands.

        Returns
        -------
        Heatmap
            It says in its label and in every drawing what it was filtered by.

        Raises
        ------
        BadInput
            For a dimension that the map has no breakdown by, one that is named twice, and a value that is on no
            position of a whole map, such as a misspelt band.

        Examples
        --------
        >>> truth.filter(leverage="15-30x", margin_mode=["cross", "isolated"]).label
        'hyperliquid exact (only leverage 15-30x; margin mode cross or isolated)'
        """
        kept = kept_by(wanted, self.dimensions)
        check_labels(self.breakdown, self.dimensions, kept, whole=not self.only)
        return self.part(kept)

    def part(self, kept: Mapping[str, Sequence[str]]) -> "Heatmap":
        """As `filter` with the names of `dimensions`, of labels that this map need not have: where it has none of them
        the part is empty."""
        if self.breakdown is None or not kept:
            return self
        part = Heatmap.from_breakdown(rows_kept(self.breakdown, kept), self.grid, **self._about())
        only = {name: tuple(values) for name, values in kept.items()}
        return replace(
            part,
            assumptions=(*self.assumptions, note("filtered", kept=only)),
            only=narrowed(self.only, only),
            training=self.training,
            origin=self.origin,
            covers=self.covers,
        )

    def _about(self) -> Mapping[str, Any]:
        names = ("coin", "venue", "source", "as_of", "coverage", "assumptions", "model", "quality")
        return {name: getattr(self, name) for name in names}

    def frame(self) -> pl.DataFrame:
        """The bins that hold anything, from the lowest price up.

        Returns
        -------
        polars.DataFrame
            `side`, `low_px` and `high_px` (the bin), `notional_usd` (at the mark).

        Examples
        --------
        >>> truth.frame().columns
        ['side', 'low_px', 'high_px', 'notional_usd']
        >>> round(truth.frame()["notional_usd"].sum() / truth.in_grid_usd.total, 9)
        1.0
        """
        parts = [
            pl.DataFrame(
                {
                    "side": pl.repeat(side, filled.size, dtype=SIDE, eager=True),
                    "low_px": self.grid.edges[filled],
                    "high_px": self.grid.edges[filled + 1],
                    "notional_usd": mass[filled],
                }
            )
            for side, mass in (("long", self.long_usd), ("short", self.short_usd))
            for filled in (np.flatnonzero(mass),)
        ]
        return pl.concat(parts)

    def plot(self) -> "go.Figure":
        """Notional by price with cumulative liquidations, as `liqtruth map --html` draws it.

        Returns
        -------
        plotly.graph_objects.Figure
            It shows itself in a notebook; `.write_html(path)` keeps it.

        Examples
        --------
        >>> [trace.name for trace in truth.plot().data][:2]
        ['longs liquidated', 'shorts liquidated']
        """
        from liqtruth.heatmap.drawing.figure import map_figure

        return map_figure(self)

    def __repr__(self) -> str:
        about = f"{self.coin} {self.label} of {self.as_of:%Y-%m-%d %H:%M:%S} UTC"
        return f"<Heatmap {about}, mark {self.mark_px:.6g}, {self.grid.bins} bins>"

    def _repr_html_(self) -> str:
        from liqtruth.heatmap.drawing.notebook import map_html

        return map_html(self)
