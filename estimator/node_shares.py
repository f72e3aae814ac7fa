"""What a model assumes of leverage, in the one form that the price-time heatmap takes: shares per class and node."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from estimator.brackets import LONG, SHORT, Brackets, liquidation_factors
from estimator.errors import UnknownChoice
from estimator.leverage import MODELS, LeverageWeights, band_of, bands_among, weights_named
from estimator.leverage_model import LeverageModel, leverage_model_named
from heatmap.errors import BadInput
from heatmap.grid import FloatArray

VINTAGES: Final = "vintages"
Weights = LeverageWeights | LeverageModel | str


@dataclass(frozen=True, eq=False)
class NodeShares:
    """`long` and `short` of shape (classes, nodes) sum to at most one; `band` labels each node.

    `said` is one line or more for the assumptions.
    """

    model: str
    rates: FloatArray
    leverage: FloatArray
    long: FloatArray
    short: FloatArray
    band: tuple[str, ...]
    said: tuple[str, ...]

    def factors(self, brackets: Brackets, position_usd: float) -> tuple[FloatArray, FloatArray]:
        """Liquidation over entry price per node, of longs and of shorts."""
        long, short = (
            liquidation_factors(brackets, self.leverage, side, position_usd) for side in (LONG, SHORT)
        )
        return long, short

    def only(self, wanted: Sequence[float]) -> "NodeShares":
        """Nodes in the bands of the wanted leverages; raises `UnknownChoice` for one without a band."""
        bands = bands_among(self.model, self.band, wanted)
        kept = np.array([label in bands for label in self.band], dtype=np.float64)
        said = f"only leverage {', '.join(bands)} is shown"
        return replace(self, long=self.long * kept, short=self.short * kept, said=(*self.said, said))


def node_shares(
    model: str, weights: Weights | None, brackets: Brackets, position_usd: float, data_dir: Path | None = None
) -> NodeShares:
    """The shares of `model`: a baseline by its name, or `vintages` with a leverage model (by default the prior).

    Raises `UnknownChoice` for another model.
    """
    highest = brackets.highest_leverage(position_usd)
    if isinstance(weights, LeverageWeights):
        return _of_baseline(weights.up_to(highest))
    if model == VINTAGES:
        named = weights if isinstance(weights, LeverageModel) else leverage_model_named(weights, data_dir)
        return _of_model(named, highest)
    if model not in MODELS:
        raise UnknownChoice("model of a price-time heatmap", model, (*MODELS, VINTAGES))
    if weights is not None:
        raise BadInput(f"model {model} has its own weights; leverage models are for --model {VINTAGES}")
    return _of_baseline(weights_named(model).up_to(highest))


def _of_baseline(weights: LeverageWeights) -> NodeShares:
    shares = weights.weight[None, :]
    said = (
        f"{weights.note}; the same on both sides",
        "only an increase of open interest opens positions; a decrease closes all earlier ones in proportion",
    )
    return NodeShares(weights.name, np.zeros(1), weights.leverage, shares, shares, weights.band, said)


def _of_model(model: LeverageModel, highest: float) -> NodeShares:
    """Nodes above the venue's highest leverage hold nothing: their shares are null mass."""
    leverage = np.array(model.leverage)
    allowed = (leverage <= highest).astype(np.float64)
    long, short = model.shares("long"), model.shares("short")
    masked = float(((long + short) @ (1.0 - allowed)).sum() / 2)
    above = (f"leverage above the venue's highest of {highest:g}x ({masked:.1%} of shares) is null mass",)
    said = (
        model.note,
        f"{len(model.rates)} turnover classes at {', '.join(f'{rate:g}' for rate in model.rates)} "
        "times the market's activity",
        *(above if masked > 0 else ()),
    )
    bands = tuple(band_of(value) for value in model.leverage)
    return NodeShares(VINTAGES, np.array(model.rates), leverage, long * allowed, short * allowed, bands, said)
