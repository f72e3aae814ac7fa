"""What a model assumes of leverage, in the one form that maps take: shares per class and node.

Where a leverage model's coordinate is not leverage itself, its nodes are scaled to the market (`LeverageModel.scale`).
A node that would fall below 1x stays there: unlevered, its longs are liquidated at no price. Of a mixed model the nodes
of all its coordinates are laid beside each other; what follows the mark is kept apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from liqtruth.estimator.errors import UnknownChoice
from liqtruth.estimator.model.at_mark import AtMark
from liqtruth.estimator.model.brackets import LONG, SHORT, Brackets, liquidation_factors
from liqtruth.estimator.model.leverage import MODELS, LeverageWeights, band_of, bands_among, weights_named
from liqtruth.estimator.model.leverage_model import (
    AT_MARK_IN,
    MIXED,
    MIXED_OF,
    REFERENCE_MAXIMUM,
    REFERENCE_VOLATILITY,
    LeverageModel,
    leverage_model_named,
)
from liqtruth.estimator.model.model_in_use import (
    CALIBRATED,
    TRAINED_ON,
    calibrated_model,
    is_levelled,
    of_market,
)
from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.grid import FloatArray, IntArray
from liqtruth.heatmap.levels import SIDES, BySide, TwoSided
from liqtruth.heatmap.words.notes import Notes, note

VINTAGES: Final = "vintages"
DAY_S: Final = 86_400.0
Weights = LeverageWeights | LeverageModel | str


@dataclass(frozen=True, eq=False)
class NodeShares(TwoSided[FloatArray]):
    """`long` and `short` of shape (classes, nodes) sum to at most one with those at the mark; `band` labels each node.

    `notes` is for the assumptions; `synthetic` where they were fitted on the sandbox. `of_node` (nodes,) is which node
    of the model each is, null where they are the same. `at_mark` is what follows the mark, null where nothing does.
    """

    model: str
    rates: FloatArray
    leverage: FloatArray
    long: FloatArray
    short: FloatArray
    band: tuple[str, ...]
    notes: Notes
    synthetic: bool = False
    of_node: IntArray | None = None
    at_mark: AtMark | None = None

    @property
    def bands(self) -> tuple[str, ...]:
        """Every label, of the nodes and at the mark."""
        beside = () if self.at_mark is None else self.at_mark.band
        return tuple(dict.fromkeys([*self.band, *beside]))

    def assigned(self, side: str) -> float:
        """Share of a side that has a leverage."""
        beside = 0.0 if self.at_mark is None else float(self.at_mark.of(side).sum())
        return float(self.of(side).sum()) + beside

    def per_model_node(self, values: FloatArray) -> FloatArray:
        """Values (..., nodes) of this market's nodes, added up per node of the model."""
        if self.of_node is None:
            return values
        member = self.of_node[:, None] == np.arange(int(self.of_node.max()) + 1)
        return np.asarray(values @ member.astype(np.float64))

    def factors(self, brackets: Brackets, position_usd: float) -> tuple[FloatArray, FloatArray]:
        """Liquidation over entry price per node, of longs and of shorts."""
        long, short = (
            liquidation_factors(brackets, self.leverage, side, position_usd) for side in (LONG, SHORT)
        )
        return long, short

    def only(self, wanted: Sequence[float]) -> "NodeShares":
        """Nodes in the bands of the wanted leverages; raises `UnknownChoice` for one without a band."""
        bands = bands_among(self.model, self.bands, wanted)
        kept = np.array([label in bands for label in self.band], dtype=np.float64)
        restriction, at_mark = note("only_leverage", bands=bands), self.at_mark
        if at_mark is not None:
            beside = np.array([label in bands for label in at_mark.band], dtype=np.float64)
            at_mark = replace(at_mark, long=at_mark.long * beside, short=at_mark.short * beside)
        return replace(
            self,
            long=self.long * kept,
            short=self.short * kept,
            notes=(*self.notes, restriction),
            at_mark=at_mark,
        )


def node_shares(
    model: str,
    weights: Weights | None,
    brackets: Brackets,
    position_usd: float,
    data_dir: Path | None = None,
    *,
    venue: str = "",
    coin: str = "",
    daily_volatility: float = 0.0,
) -> NodeShares:
    """The shares of `model`: a baseline by its name, `vintages` with a leverage model (by default the shipped one),
    or `calibrated` with the one in use for `venue`.

    `venue` and `coin` are of the market, `daily_volatility` is the standard deviation of a day's log return, 0 where it
    is not known. Raises `UnknownChoice`
    for another model, `BadInput` for weights that it does not take, `MissingData` where none was fitted.
    """
    highest = brackets.highest_leverage(position_usd)
    if isinstance(weights, LeverageWeights):
        return _of_baseline(weights.up_to(highest))
    if model in (VINTAGES, CALIBRATED):
        named = weights if isinstance(weights, LeverageModel) else _named(model, weights, venue, data_dir)
        return _of_model(model, named, highest, (venue, coin), daily_volatility)
    if model not in MODELS:
        raise UnknownChoice("model of a price-time heatmap", model, (*MODELS, VINTAGES, CALIBRATED))
    if weights is not None:
        raise BadInput(f"model {model} has its own weights; leverage models are for --model {VINTAGES}")
    return _of_baseline(weights_named(model).up_to(highest))


def daily_volatility(close: FloatArray, step_s: float) -> float:
    """Standard deviation of a day's log return, from closes `step_s` apart; 0 where there are too few."""
    if len(close) < 3 or not step_s > 0:
        return 0.0
    return float(np.std(np.diff(np.log(close))) * np.sqrt(DAY_S / step_s))


def _named(model: str, weights: str | None, venue: str, data_dir: Path | None) -> LeverageModel:
    if model == VINTAGES:
        return leverage_model_named(weights, data_dir)
    if weights is not None:
        raise BadInput(
            f"model {model} is the leverage model in use: leave --weights out, or take --model {VINTAGES}"
        )
    return calibrated_model(data_dir, venue)


def _of_baseline(weights: LeverageWeights) -> NodeShares:
    shares = weights.weight[None, :]
    notes = (note("weights", weights=weights.note), note("increases_open"))
    return NodeShares(weights.name, np.zeros(1), weights.leverage, shares, shares, weights.band, notes)


def _of_model(
    shown_as: str, model: LeverageModel, highest: float, market: tuple[str, str], daily_volatility: float
) -> NodeShares:
    """Nodes above the model's bound (`LeverageModel.bound`) hold nothing, and what fades out is not there either
    (`LeverageModel.held`): their shares are null mass."""
    own = of_market(model, *market)
    scales, bound = own.scales(highest, daily_volatility), own.bound(highest)
    nodes = [_scaled(own, scale) for scale in scales]
    coordinates = MIXED_OF if own.coordinate == MIXED else (own.coordinate,)
    held = [own.held(name, each, highest) for name, each in zip(coordinates, nodes, strict=True)]
    whole = BySide.each(lambda side: _parts(own, side, len(nodes)))
    leverage, sides, of_node = _merged(
        nodes,
        BySide.each(lambda side: [part * kept for part, kept in zip(whole.of(side), held, strict=True)]),
    )
    above = _mean_share(whole, [(each > bound).astype(np.float64) for each in nodes])
    faded = _mean_share(
        whole, [(each <= bound) * (1.0 - kept) for each, kept in zip(nodes, held, strict=True)]
    )
    scale = own.scale(highest, daily_volatility)
    at_mark = _at_mark(own, scale) if own.coordinate == MIXED else None
    low, high = (part * highest for part in own.fades or (1.0, 1.0))
    notes = (
        note("leverage_model", model=model.note),
        *((note("own_shares", coin=market[1]),) if own is not model else ()),
        *_calibration_notes(model, market[0]),
        *_scale_notes(own, highest, daily_volatility),
        note("turnover_classes", count=len(model.rates), rates=model.rates),
        *((note("above_highest", highest=bound, share=above),) if above > 0 else ()),
        *((note("fades_out", low=low, high=high, share=faded),) if faded > 0 else ()),
        *(
            (note("follows_the_mark", share=tuple(at_mark.of(side).sum() for side in SIDES)),)
            if at_mark
            else ()
        ),
    )
    return NodeShares(
        shown_as,
        np.array(model.rates),
        leverage,
        sides.long,
        sides.short,
        tuple(band_of(value) for value in leverage),
        notes,
        model.provenance.synthetic,
        of_node,
        at_mark,
    )


def _scaled(model: LeverageModel, scale: float) -> FloatArray:
    """Nodes on a market."""
    return np.maximum(np.array(model.leverage) * scale, 1.0)


def _parts(model: LeverageModel, side: str, count: int) -> list[FloatArray]:
    """Shares (classes, nodes) in each of so many coordinates."""
    classes, shares = len(model.rates), model.shares(side)
    return [shares[at * classes : (at + 1) * classes] for at in range(count)]


def _mean_share(parts: BySide[list[FloatArray]], chosen: Sequence[FloatArray]) -> float:
    """Share of a side at the `chosen` part of its nodes, per coordinate; mean of both sides."""
    each = [part @ kept for side in SIDES for part, kept in zip(parts.of(side), chosen, strict=True)]
    return float(np.sum(each) / len(SIDES))


def _merged(
    nodes: Sequence[FloatArray], parts: BySide[list[FloatArray]]
) -> tuple[FloatArray, BySide[FloatArray], IntArray | None]:
    """Nodes of all coordinates together, ascending, with the shares of both sides there, and which node of the model
    each is; where all coordinates have the same nodes, each once."""
    if all(np.array_equal(each, nodes[0]) for each in nodes):
        return nodes[0], BySide.each(lambda side: np.sum(parts.of(side), axis=0)), None
    leverage = np.concatenate(nodes)
    order = np.argsort(leverage, kind="stable")
    of_node = np.tile(np.arange(len(nodes[0])), len(nodes))[order]
    return (
        leverage[order],
        BySide.each(lambda side: np.concatenate(parts.of(side), axis=1)[:, order]),
        of_node,
    )


def _at_mark(model: LeverageModel, scale: float) -> AtMark:
    leverage = _scaled(model, scale)
    long, short = (model.shares(side)[-1] for side in SIDES)
    return AtMark(leverage, long, short, tuple(band_of(value) for value in leverage))


def _calibration_notes(model: LeverageModel, venue: str) -> Notes:
    """What of a fitted model is another venue's."""
    if model.kind == "prior" or not venue or is_levelled(model, venue):
        return ()
    whose = TRAINED_ON.capitalize() if model.correction is None else model.correction.venue
    return (note("not_levelled", venue=venue, whose=whose),)


def _scale_notes(model: LeverageModel, highest: float, volatility: float) -> Notes:
    """How the nodes were brought to this market, per coordinate that they stand in."""
    mixed = model.coordinate == MIXED
    coordinates, count = MIXED_OF if mixed else (model.coordinate,), len(model.rates)
    rows = (model.shares("long") + model.shares("short")) / len(SIDES)
    found = []
    for at, (coordinate, scale) in enumerate(
        zip(coordinates, model.scales(highest, volatility), strict=True)
    ):
        if coordinate == "leverage" or (mixed and scale == 1 and coordinate != "of-volatility"):
            continue
        if coordinate == "of-volatility" and not volatility > 0:
            found.append(note("volatility_unknown", reference=REFERENCE_VOLATILITY))
            continue
        own = rows[at * count : (at + 1) * count]
        if coordinate == AT_MARK_IN and mixed:
            own = np.concatenate([own, rows[-1:]])
        by_maximum = coordinate == "of-maximum"
        found.append(
            note(
                "scaled",
                scale=scale,
                coordinate=coordinate,
                here=highest if by_maximum else volatility,
                reference=REFERENCE_MAXIMUM if by_maximum else REFERENCE_VOLATILITY,
                unlevered=float(own[:, np.array(model.leverage) * scale < 1].sum()),
                part=mixed,
            )
        )
    return tuple(found)
