"""Maps that are at hand, compared: what a notebook asks for and shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from typing import TYPE_CHECKING, Unpack

import polars as pl

from liqtruth.compare.divergence.divergence import Divergence
from liqtruth.compare.divergence.measure import Given, measured
from liqtruth.compare.imported.overlap import told_apart
from liqtruth.compare.matching.consensus import NOTHING_AROUND, Around, cluster_rows
from liqtruth.compare.statistics.distances import HEADLINE_PCT
from liqtruth.heatmap.drawing.notebook import card, table_html
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.words.notes import SYNTHETIC_NOTE

if TYPE_CHECKING:
    import plotly.graph_objects as go


@dataclass(frozen=True)
class Comparison:
    """A divergence and the maps it was computed from.

    Attributes
    ----------
    divergence : Divergence
        Everything that was measured.
    truth_map, model_maps : Heatmap, tuple of Heatmap
    crowd_map : Heatmap, optional
        The truth's crowd, where the answer is against it.
    left_out : dict
        Maps that were asked for by name and could not be compared, with why, by the file that has them.

    Examples
    --------
    >>> found = lt.compare(truth, model)
    >>> found.truth_map is truth, len(found.model_maps)
    (True, 1)
    """

    divergence: Divergence
    truth_map: Heatmap
    model_maps: tuple[Heatmap, ...]
    crowd_map: Heatmap | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """What may be concluded, in words."""
        return self.divergence.verdict

    def frame(self) -> pl.DataFrame:
        """As `Divergence.frame`: every score of every model beside that of the map that knows only the mark.

        Returns
        -------
        polars.DataFrame

        Examples
        --------
        >>> scores = lt.compare(truth, model).frame()
        >>> scores.filter(score="wasserstein_pct")["side"].to_list()
        ['long', 'short', 'mean', 'both']
        """
        return self.divergence.frame()

    def plot(self) -> go.Figure:
        """Cumulative share of each side by distance from the mark; Wasserstein-1 is the area between two lines.

        Returns
        -------
        plotly.graph_objects.Figure
            It shows itself in a notebook.

        Examples
        --------
        >>> {trace.name for trace in lt.compare(truth, model).plot().data} >= {"truth: hyperliquid exact"}
        True
        """
        from liqtruth.compare.comparison.report import curves_figure

        return curves_figure(self.truth_map, self.model_maps, self.divergence.range_pct, self.crowd_map)

    def __repr__(self) -> str:
        return f"<Comparison of {self.divergence.coin}: {self.verdict}>"

    def _repr_html_(self) -> str:
        found = self.divergence
        rows = [
            [r.summary.label, _figure(r.scores.wasserstein_pct), _figure(found.null_scores.wasserstein_pct)]
            for r in found.models
        ]
        heads = ("W1, percent of price", "model", "knows only the mark")
        sentences = [found.verdict, found.caveat, *([SYNTHETIC_NOTE] if found.synthetic else [])]
        lines = [f"<div>{escape(line)}</div>" for line in sentences if line]
        return card(
            [
                f"<b>{escape(f'{found.coin}: against {found.truth.label}')}</b>",
                *lines,
                table_html(heads, rows),
            ]
        )


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def compare(
    truth: Heatmap,
    *models: Heatmap,
    tolerance_pct: float = 1.0,
    crowd: Heatmap | None = None,
    baselines: Sequence[Heatmap] = (),
    within_pct: float = HEADLINE_PCT,
) -> Comparison:
    """Measure models against a truth, each beside a map that knows only the mark.

    Parameters
    ----------
    truth : Heatmap
        The map to measure against; any map may be it.
    *models : Heatmap
        One or more.
    tolerance_pct : float
        Clusters match within this many percent of price.
    crowd : Heatmap, optional
        The truth's crowd (`lake.exact_map(coin, layer="crowd")`): where the whole truth rests on too few large
        positions, conclusions are drawn from it. `lake.compare` adds it by itself.
    baselines : sequence of Heatmap, optional
        Scored beside the models and not ranked among them (`lake.model_map(coin, model="moving-average")`).
        `lake.compare` adds those that can be made.
    within_pct : float
        Conclusions are drawn within so many percent of the mark: 10, 25 or 50. Scores within each are in `ranges`.

    Returns
    -------
    Comparison

    Raises
    ------
    LiqtruthError
        Without a model, or with a tolerance that is no distance.

    Examples
    --------
    >>> found = lt.compare(truth, model)
    >>> found.frame().filter(score="wasserstein_pct", side="mean")["model"].to_list()
    ['binance vintages']
    """
    return compared(truth, models, tolerance_pct, crowd=crowd, baselines=baselines, within_pct=within_pct)


def compared(
    truth: Heatmap,
    models: Sequence[Heatmap],
    tolerance_pct: float = 1.0,
    *,
    around: Around = NOTHING_AROUND,
    **given: Unpack[Given],
) -> Comparison:
    """As `measured`, with the maps as they are drawn: cut to what all of them cover; and with every cluster of
    them, and what is known `around` it."""
    given["notes"] = (*given.get("notes", ()), *around.lacking)
    whole = (truth, *told_apart(models))
    found, truth, drawn, judged_by = measured(truth, models, tolerance_pct, **given)
    rows = cluster_rows(whole, tolerance_pct, found.range_pct, around, (truth, *drawn))
    of_truth = around.completed(whole[0], tolerance_pct)
    completed = [
        replace(
            result,
            pairs=tuple(
                pair.with_zones(of_truth, around.completed(model, tolerance_pct)) for pair in result.pairs
            ),
        )
        for result, model in zip(found.models, whole[1:], strict=True)
    ]
    found = replace(found, models=tuple(completed), clusters=rows, markets=tuple(around.markets.values()))
    return Comparison(found, truth, drawn, judged_by)
