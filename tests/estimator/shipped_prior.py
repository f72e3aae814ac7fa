"""How the shipped prior was made: a log-normal of effective leverage per turnover class, from published figures."""

from datetime import UTC, datetime
from importlib.metadata import version
from typing import Final

import numpy as np
from scipy.special import ndtr

from liqtruth.estimator.model.leverage_model import PRIOR, LeverageModel, Provenance

NODES: Final = tuple(round(float(node), 6) for node in np.geomspace(1.6, 115.0, 40))
"""Effective leverages of the default prior, evenly spaced in their logarithm."""


PRIOR_CLASSES: Final = (
    # rate, share of open interest, median leverage, spread of log leverage
    (0.5, 0.20, 3.0, 0.6),
    (1.0, 0.25, 4.0, 0.7),
    (2.0, 0.25, 5.0, 0.8),
    (5.0, 0.15, 8.0, 0.9),
    (15.0, 0.05, 15.0, 0.9),
)
"""All parameters of the default prior; what the shares lack to one (0.10) is taken as hedged."""


PRIOR_BASIS: Final = (
    "published figures, no fit: on Hyperliquid in December 2025 about 36 % of open interest lay at 0-3x, 48 % at 3-7x "
    "and 15 % above; populations of other venues are reported to use more, so classes that turn over faster get more. "
    "Below 3x such figures mean next to nothing, above 40x this is extrapolation; the rest is hedged or unlevered"
)


PRIOR_SOURCES: Final = (
    "Hyperliquid open interest by leverage, December 2025, an analyst reported by PANews",
    "BitMEX leverage statistics 2018-19: means of 22x to 39x by distance to bankruptcy, on a venue of 100x",
    "Binance 2019: institutions at 20x or below are 81 % of volume",
)


def default_prior(made_at: datetime, nodes: tuple[float, ...] = NODES) -> LeverageModel:
    """The shipped prior: a log-normal of effective leverage per turnover class (`PRIOR_CLASSES`), alike on both sides.

    A node holds what lies nearer to it in log leverage than to its neighbours; what lies below the first is unlevered
    and in no node.
    """
    steps = np.log(nodes)
    middles = (steps[1:] + steps[:-1]) / 2
    bounds = np.concatenate([[steps[0]], middles, [np.inf]])
    rows = tuple(
        tuple(np.round(share * np.diff(ndtr((bounds - np.log(median)) / spread)), 9).tolist())
        for _, share, median, spread in PRIOR_CLASSES
    )
    return LeverageModel(
        name=PRIOR,
        kind="prior",
        provenance=Provenance(
            made_at.astimezone(UTC), f"liqtruth {version('liqtruth')}", PRIOR_BASIS, PRIOR_SOURCES
        ),
        rates=tuple(rate for rate, *_ in PRIOR_CLASSES),
        leverage=nodes,
        long=rows,
        short=rows,
    )
