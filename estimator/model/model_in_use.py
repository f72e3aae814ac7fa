"""Which leverage model `calibrated` means, on which venues its level holds, and which bounds a map of it has.

`<data-dir>/models/in-use` holds the chosen name. A venue other than Hyperliquid takes `NAME-VENUE` where such a model
exists, else `NAME` itself: a fitted shape transfers better than its level, and the map's assumptions state which it is.

Bounds of a map come from those that its model brings from held-out maps. With C the map's cumulative curve of a side in
shares of open interest, o = `CURVE_OFFSET`:

    low = max(0, low_factor (C + o) - o),    high = max(0, high_factor (C + o) - o),    likely by the middle factor

What the model withholds at a distance is withheld on every map. A lower end of nothing is shown elsewhere: on maps
chosen by what is drawn of them, bounds would hold more rarely than on all.

Held-out maps were of the venue that the model was fitted on. Its bounds hold there, and where its level was calibrated;
elsewhere there are none. On that venue coins that the fit has seen have bounds from days left out, others those from
coins left out.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from liqtruth.estimator.errors import UnknownChoice
from liqtruth.estimator.model.leverage import LeverageWeights
from liqtruth.estimator.model.leverage_model import (
    CURVE_OFFSET,
    LEVEL,
    Bounds,
    LeverageModel,
    SideBounds,
    known_models,
)
from liqtruth.heatmap import bounds as shown
from liqtruth.heatmap.clusters.distribution import mass_within
from liqtruth.heatmap.errors import BadInput, MissingData
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.words.notes import Notes, note
from liqtruth.heatmap.writing import write_atomically

CALIBRATED: Final = "calibrated"
"""Of the model in use on maps, and its name where none was chosen."""
TRAINED_ON: Final = "hyperliquid"
"""The venue whose positions are public: fitted models are of it."""
IN_USE: Final = "in-use"
UNPROVEN: Final = "-unproven"
"""After the name of a fit that failed its gate where the name itself is in use: it is used when it is chosen only."""


def use(data_dir: Path, name: str) -> LeverageModel:
    """Choose the model that `calibrated` means; raises `UnknownChoice`, and `BadInput` for one that was not fitted."""
    known = known_models(data_dir)
    if name not in known:
        raise UnknownChoice("leverage model", name, known)
    model = known[name]
    if model.kind in ("prior", "census"):
        raise BadInput(
            f"{name} is a {model.kind}, not fitted: `--model vintages --weights {name}` draws with it"
        )
    if model.correction is not None:
        source = model.correction.source_model
        raise BadInput(
            f"{name} is calibrated to {model.correction.venue} alone: use {source}, which it came from"
        )
    write_atomically(data_dir / "models" / IN_USE, f"{name}\n")
    return model


def in_use(data_dir: Path) -> str:
    """The name that was chosen, `calibrated` where none was."""
    path = data_dir / "models" / IN_USE
    try:
        return path.read_text().strip() or CALIBRATED
    except FileNotFoundError:
        return CALIBRATED
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(
            f"cannot read {path}: {error}; `liqtruth calibrate use NAME` writes it anew"
        ) from error


def is_fitted(data_dir: Path | None) -> bool:
    """Whether there is a model that `calibrated` means."""
    return data_dir is not None and (data_dir / "models" / f"{in_use(data_dir)}.json").is_file()


def calibrated_model(data_dir: Path | None, venue: str) -> LeverageModel:
    """The model in use, as it is calibrated to `venue`; raises `MissingData` with the remedy where none was fitted."""
    name = CALIBRATED if data_dir is None else in_use(data_dir)
    known = known_models(data_dir)
    if name not in known:
        where = "" if data_dir is None else f" in {data_dir / 'models'}"
        aside = f"{name}{UNPROVEN}"
        other = f"{aside} (which failed its gate)" if aside in known else "another"
        chosen = aside if aside in known else "NAME"
        raise MissingData(
            f"no fitted leverage model {name!r}{where}: `liqtruth calibrate fit COIN` fits one, "
            f"`liqtruth calibrate use {chosen}` chooses {other}"
        )
    return known.get(f"{name}-{venue}", known[name]) if venue != TRAINED_ON else known[name]


def is_levelled(model: LeverageModel, venue: str) -> bool:
    """Whether the model's level is this venue's: it was fitted there, or calibrated to it."""
    return model.correction.venue == venue if model.correction is not None else venue == TRAINED_ON


def of_market(model: LeverageModel, venue: str, coin: str) -> LeverageModel:
    """The model with the coin's own shares where it was fitted, with those that all coins share elsewhere."""
    return model.of_coin(coin) if venue == TRAINED_ON else model


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
    """Those that a fitted model brings, on a venue whose level it has; of a coin that it has seen there, others."""
    if not isinstance(model, LeverageModel) or not is_levelled(model, venue):
        return None
    seen = venue == TRAINED_ON and coin in model.known_coins and model.correction is None
    return model.known_bounds if seen else model.bounds


def bounds_notes(model: LeverageModel | LeverageWeights, venue: str, coin: str) -> Notes:
    """Why a map of a fitted model has no bounds, where it has none; bounds that exist state what they are of."""
    if not isinstance(model, LeverageModel) or model.kind == "prior":
        return ()
    if not is_levelled(model, venue):
        return (note("unbounded_not_levelled", venue=venue),)
    if _known(model, venue, coin) is None:
        return (note("unbounded"),)
    return ()


def _side(bounds: SideBounds, curve_usd: FloatArray, open_interest_usd: float) -> shown.SideBounds:
    lifted = (curve_usd / open_interest_usd + CURVE_OFFSET).tolist()

    def within(factors: tuple[float | None, ...]) -> list[float | None]:
        return [
            None if factor is None else max(0.0, factor * at - CURVE_OFFSET) * open_interest_usd
            for factor, at in zip(factors, lifted, strict=True)
        ]

    low = within(bounds.low)
    reasons = bounds.withheld or (None,) * len(low)

    def given(amounts: Iterable[float | None]) -> tuple[float | None, ...]:
        return tuple(
            amount if reason is None else None for amount, reason in zip(amounts, reasons, strict=True)
        )

    def of_interest(shares: tuple[float | None, ...]) -> Iterator[float | None]:
        return (None if share is None else open_interest_usd * share for share in shares)

    return shown.SideBounds(
        distance_pct=bounds.distance_pct,
        modelled_usd=tuple(curve_usd.tolist()),
        low_usd=given(low),
        high_usd=given(within(bounds.high)),
        crowd_usd=tuple((bounds.crowd_share * curve_usd).tolist()),
        whales_low_usd=given(of_interest(bounds.whales_low)),
        whales_high_usd=given(of_interest(bounds.whales_high)),
        likely_usd=tuple(within(bounds.middle)) if bounds.middle else tuple(curve_usd.tolist()),  # type: ignore[arg-type]
        withheld=reasons if any(reasons) else (),
    )
