"""Bounds of a modelled map, from those that its leverage model brings from held-out maps.

With C the map's cumulative curve of a side in shares of open interest, o = `CURVE_OFFSET`:

    low = max(0, low_factor (C + o) - o),    high = max(0, high_factor (C + o) - o),    likely by the middle factor

Held-out maps were of the venue that the model was fitted on. Its bounds hold there, and where its level was corrected;
elsewhere there are none.
"""

from liqtruth.estimator.model.leverage import LeverageWeights
from liqtruth.estimator.model.leverage_model import CURVE_OFFSET, LEVEL, Bounds, LeverageModel, SideBounds
from liqtruth.estimator.model.model_in_use import is_levelled, of_market
from liqtruth.heatmap import bounds as shown
from liqtruth.heatmap.bands import mass_within
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.notes import Notes, note


def bounds_of(model: LeverageModel | LeverageWeights, venue: str, drawn: Heatmap) -> shown.MapBounds | None:
    """Bounds of `drawn`, a whole map of `model`; null where the model has none, or none that hold on `venue`."""
    open_interest = drawn.coverage.open_interest_usd
    known = _known(model, venue, drawn.coin)
    if known is None or not open_interest:
        return None
    long, short = (
        _side(side_bounds, mass_within(drawn, side_bounds.distance_pct, side), open_interest)
        for side, side_bounds in (("long", known.long), ("short", known.short))
    )
    return shown.MapBounds(long, short, LEVEL, known.basis)


def _known(model: LeverageModel | LeverageWeights, venue: str, coin: str) -> Bounds | None:
    """Those of the model's own coins for one of them on the venue that it was fitted on, else of coins not seen."""
    if not isinstance(model, LeverageModel) or not is_levelled(model, venue):
        return None
    own = of_market(model, venue, coin) is not model
    return (model.own_bounds if own else None) or model.bounds


def bounds_notes(model: LeverageModel | LeverageWeights, venue: str, coin: str) -> Notes:
    """Why a map of a fitted model has no bounds, where it has none; bounds that exist state what they are of."""
    if not isinstance(model, LeverageModel) or model.kind == "prior":
        return ()
    if not is_levelled(model, venue):
        return (note("unbounded_not_levelled", venue=venue),)
    if model.bounds is None:
        return (note("unbounded"),)
    return ()


def _side(bounds: SideBounds, curve_usd: FloatArray, open_interest_usd: float) -> shown.SideBounds:
    lifted = curve_usd / open_interest_usd + CURVE_OFFSET

    def within(factors: tuple[float, ...]) -> tuple[float, ...]:
        shares = (
            max(0.0, factor * at - CURVE_OFFSET) for factor, at in zip(factors, lifted.tolist(), strict=True)
        )
        return tuple(share * open_interest_usd for share in shares)

    return shown.SideBounds(
        distance_pct=bounds.distance_pct,
        modelled_usd=tuple(curve_usd.tolist()),
        low_usd=within(bounds.low),
        high_usd=within(bounds.high),
        crowd_usd=tuple((bounds.crowd_share * curve_usd).tolist()),
        whales_low_usd=tuple(open_interest_usd * share for share in bounds.whales_low),
        whales_high_usd=tuple(open_interest_usd * share for share in bounds.whales_high),
        likely_usd=within(bounds.middle) if bounds.middle else tuple(curve_usd.tolist()),
    )
