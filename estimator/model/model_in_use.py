"""Which leverage model `calibrated` means: one fitted on exact positions, chosen by name, levelled to a venue where
that was done.

`<data-dir>/models/in-use` holds the chosen name. A venue other than Hyperliquid takes `NAME-VENUE` where such a model
exists, else `NAME` itself: a fitted shape transfers better than its level, and the map's assumptions state which it is.
"""

from pathlib import Path
from typing import Final

from liqtruth.estimator.errors import UnknownChoice
from liqtruth.estimator.model.leverage_model import LeverageModel, known_models
from liqtruth.heatmap.errors import BadInput, MissingData
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
    if model.kind == "prior":
        raise BadInput(f"{name} is a prior, not fitted: `--model vintages --weights {name}` draws with it")
    if model.correction is not None:
        source = model.correction.source_model
        raise BadInput(
            f"{name} is levelled to {model.correction.venue} alone: use {source}, which it came from"
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


def is_fitted(data_dir: Path) -> bool:
    """Whether there is a model that `calibrated` means."""
    return (data_dir / "models" / f"{in_use(data_dir)}.json").is_file()


def calibrated_model(data_dir: Path | None, venue: str) -> LeverageModel:
    """The model in use, as it is levelled to `venue`; raises `MissingData` with the remedy where none was fitted."""
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
    """Whether the model's level is this venue's: it was fitted there, or levelled to it."""
    return model.correction.venue == venue if model.correction is not None else venue == TRAINED_ON


def of_market(model: LeverageModel, venue: str, coin: str) -> LeverageModel:
    """The model with the coin's own shares where it was fitted, with those that all coins share elsewhere."""
    return model.of_coin(coin) if venue == TRAINED_ON else model
