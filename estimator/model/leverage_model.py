"""`LeverageModel`: at which effective leverage, and in which turnover class, the notional of a venue is opened.

Effective leverage is distance to liquidation, not the setting: what a position of that leverage would be if its own
initial margin were all it had. Public aggregates do not determine it. A model is therefore a named file that states on
what it is based: `prior` where it only follows published figures, `fitted` where it was calibrated on exact positions.
"""

from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import numpy as np

from liqtruth.estimator.errors import UnknownChoice
from liqtruth.heatmap.errors import BadInput
from liqtruth.heatmap.files import NOT_DECODED
from liqtruth.heatmap.grid import FloatArray
from liqtruth.heatmap.levels import SIDES, TwoSided
from liqtruth.heatmap.words.notes import any_synthetic

SCHEMA: Final = "liqtruth.leverage_model/1"
SHIPPED: Final = "leverage_"
DEFAULT: Final = "population"
"""The model that is taken where none is named; a fit has its classes and nodes, and keeps its shares where data tell
nothing."""
PRIOR: Final = "prior"
"""The model of published figures."""
ALIASES: Final = {"large-accounts": PRIOR}
"""Further names of shipped models: the published figures are weighted by capital, so they are of large accounts."""
RESERVED: Final = (DEFAULT, PRIOR, *ALIASES)
"""Names that no other model takes."""

REFERENCE_MAXIMUM: Final = 40.0
REFERENCE_VOLATILITY: Final = 0.03
LEVEL: Final = 0.8
"""Share of held-out maps that lie within the bounds of a model."""
CURVE_OFFSET: Final = 0.005
"""Share of open interest that keeps ratios of curves finite where they start (method, section 5.5)."""

UNHASHED: Final = frozenset({"name", "made_at", "made_by", "synthetic"})
"""Fields that identify a model, and are not part of its content."""

Shares = tuple[tuple[float, ...], ...]


class Provenance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When and by which version of this program a model was made, on what, and from which sources; `synthetic` where
    that was the sandbox."""

    made_at: datetime
    made_by: str
    basis: str
    sources: tuple[str, ...] = ()
    synthetic: bool = False


class SideBounds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What held-out maps show of one side's cumulative curve C, at each `distance_pct` of the mark (ascending).

    With C in shares of open interest, the truth lies between `low` and `high` times (C + `CURVE_OFFSET`), less the
    offset, on `LEVEL` of the held-out maps, and on half of them above `middle`. `crowd_share` is what is left of the
    mass within reach when each position is cut at 0.3 % of open interest; what was cut off, the whales' excess, holds
    between `whales_low` and `whales_high` of open interest within each distance: how much is known, where it lies is
    not. `crowd_low` and `crowd_high` bound the crowd's map alone, every position cut and the rest scaled to the mass
    within reach. Where bounds are withheld they are null, and `withheld` has the reason (`heatmap.bounds.REASONS`),
    null where they are given; the crowd's may be withheld elsewhere.
    """

    distance_pct: tuple[float, ...]
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]
    crowd_share: float
    whales_low: tuple[float | None, ...]
    whales_high: tuple[float | None, ...]
    middle: tuple[float, ...] = ()
    crowd_low: tuple[float | None, ...] = ()
    crowd_high: tuple[float | None, ...] = ()
    withheld: tuple[str | None, ...] = ()


class Bounds(msgspec.Struct, TwoSided[SideBounds], frozen=True, forbid_unknown_fields=True):
    """Bounds of both sides, and in which words they were measured."""

    long: SideBounds
    short: SideBounds
    basis: str


class Correction(msgspec.Struct, TwoSided[tuple[float, ...]], frozen=True, forbid_unknown_fields=True):
    """How a fitted model was calibrated to another venue by realised liquidations.

    Shares at each of its leverages were multiplied by exp of `long` and `short`, and by `held_to` where they would have
    placed more than all open interest; out of `events` liquidations in `hours` of a feed that reports `coverage` of
    all, which deviate by the logarithm `deviation` per side from what the fitted model predicts. `level_sd` is the
    standard error, per side, of the logarithm of what that makes of the mass within 10 % of the mark; leverages above
    `trained_to` were nowhere seen in training. In files of before, which have a `near_leverage`, `long` and `short` are
    (b0, b1, b2): shares at leverage l were multiplied by exp(w (b0 + b1 z + b2 z^2)), z = ln(l / 10) / 0.8,
    w = min(1, (l / near_leverage)^2).
    """

    venue: str
    source_model: str
    coverage: float
    start: datetime
    end: datetime
    hours: int
    events: int
    long: tuple[float, ...]
    short: tuple[float, ...]
    level_sd: tuple[float, float]
    trained_to: float
    near_leverage: float | None = None
    held_to: tuple[float, float] = (1.0, 1.0)
    deviation: tuple[float, float] | None = None


Coordinate = Literal["leverage", "of-maximum", "of-volatility", "mixed"]
MIXED: Final = "mixed"
COORDINATES: Final[tuple[Coordinate, ...]] = ("leverage", "of-maximum", "of-volatility", MIXED)
MIXED_OF: Final[tuple[Coordinate, ...]] = ("leverage", "of-maximum", "of-volatility")
"""In which coordinates, one after the other, the turnover classes of a mixed model stand."""
AT_MARK_IN: Final[Coordinate] = "of-maximum"
"""In which the row of a mixed model stands that follows the mark."""
MIXED_BEFORE: Final = 2
"""Coordinates of `MIXED_OF` that files of before have."""
MAINTENANCE: Final = 2.0
"""Maintenance is half the initial margin at the highest leverage, so a position that stands may be as near to its
liquidation as twice that leverage would be: what it lost or other positions of its account take does not back it."""
FADES: Final = (0.3, 1.0)
"""Parts of a market's highest leverage between which what does not go by it fades out under a mixture. Nobody can set
more than the highest, and who stands near it has no margin left: as much of that as there is goes by the highest."""


class CoinShares(msgspec.Struct, TwoSided[Shares], frozen=True, forbid_unknown_fields=True):
    """Shares of one coin where they deviate from what all coins share, as `LeverageModel.long` and `short`."""

    long: Shares
    short: Shares


class LeverageModel(
    msgspec.Struct, TwoSided[Shares], frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True
):
    """Shares of one side's open interest before any liquidation, by turnover class and leverage node.

    `rates` are multiples of the activity of `estimator.model.turnover`; `long` and `short` have one row per rate and
    one share per node of `leverage`. What a side's shares lack to one is null mass: hedged or without leverage, it
    has no place on a map. `coordinate` is what markets are taken to share: the leverages as they stand, or those of a
    market of `REFERENCE_MAXIMUM` or `REFERENCE_VOLATILITY`, scaled to each (`scale`). A `mixed` model has its rates
    once in each coordinate of `MIXED_OF`, and a last row for what follows the mark (`estimator.model.at_mark`).
    Nodes up to `reach` times a market's highest leverage hold something, null: up to the highest itself, as files of
    before were fitted; what follows the mark is bounded by maintenance alone. What a mixture has in other coordinates
    than the highest fades out between the parts of it in `fades`; null: it does not, as in files of before.
    `coins` deviate from the pooled shares on the venue that they were fitted on. `bounds` and `correction` are null
    where nothing was held out, or nothing transferred; `known_bounds` are of `known_coins`, from days left out, and
    hold on the venue that they were fitted on; `own_bounds` stand in files of before and are not used. Raises
    `BadInput` where they are not shares.
    """

    schema: Literal["liqtruth.leverage_model/1"] = SCHEMA
    name: str
    kind: Literal["prior", "census", "fitted", "transferred"]
    provenance: Provenance
    rates: tuple[float, ...]
    leverage: tuple[float, ...]
    long: Shares
    short: Shares
    coordinate: Coordinate = "leverage"
    coins: dict[str, CoinShares] = {}
    bounds: Bounds | None = None
    own_bounds: Bounds | None = None
    known_bounds: Bounds | None = None
    known_coins: tuple[str, ...] = ()
    correction: Correction | None = None
    reach: float | None = None
    fades: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if not self.name or not self.name.replace("-", "").replace("_", "").isalnum():
            raise BadInput(f"a leverage model's name must be of letters, digits, - and _, got {self.name!r}")
        _check_ascending(self.name, "rates", self.rates, 0.0)
        _check_ascending(self.name, "leverage", self.leverage, 1.0)
        if self.fades is not None:
            _check_ascending(self.name, "fades", self.fades, 0.0)
        parts: list[TwoSided[Shares]] = [self, *self.coins.values()]
        for side in SIDES:
            for own in parts:
                _check_shares(self.name, side, own.of(side), (self.rows, len(self.leverage)))

    @property
    def rows(self) -> int:
        """Rows of `long` and of `short`."""
        return rows_of(self.coordinate, len(self.rates))

    def shares(self, side: str) -> FloatArray:
        """Shares of one side, shape (rows, nodes)."""
        return np.array(self.of(side), dtype=np.float64)

    def class_shares(self, side: str) -> FloatArray:
        """Sum over nodes and coordinates per turnover class, shape (classes,), without what follows the mark."""
        each = self.shares(side).sum(axis=1)
        if self.coordinate == MIXED:
            each = each[:-1].reshape(len(MIXED_OF), -1).sum(axis=0)
        return np.asarray(each)

    def in_coordinate(self, coordinate: Coordinate) -> "LeverageModel":
        """The same shares where all coordinates agree. Into a mixture: equal parts in each, nothing at the mark; out of
        one: its parts together, what follows the mark evenly in all classes; both without coins, bounds, correction."""
        if MIXED not in (coordinate, self.coordinate):
            return msgspec.structs.replace(self, coordinate=coordinate)
        if coordinate == self.coordinate:
            return self
        change = _mixed if coordinate == MIXED else _unmixed
        long, short = (_as_rows(change(self.shares(side))) for side in SIDES)
        return msgspec.structs.replace(
            self, coordinate=coordinate, long=long, short=short, coins={}, bounds=None, own_bounds=None,
            known_bounds=None, known_coins=(), correction=None,
        )  # fmt: skip

    def null_share(self, side: str) -> float:
        """What the shares of a side lack to one."""
        return max(0.0, 1.0 - float(self.shares(side).sum()))

    def bound(self, highest_leverage: float) -> float:
        """The highest leverage at which its turnover classes hold something on a market."""
        return highest_leverage * (1.0 if self.reach is None else self.reach)

    def held(self, coordinate: Coordinate, leverage: FloatArray, highest_leverage: float) -> FloatArray:
        """Part (nodes,) of what stands in a coordinate at plain leverages (nodes,) that a market has room for."""
        within = (leverage <= self.bound(highest_leverage)).astype(np.float64)
        if self.coordinate != MIXED or self.fades is None:
            return within
        return within * not_faded(coordinate, leverage / highest_leverage, self.fades)

    def of_coin(self, coin: str) -> "LeverageModel":
        """With the shares that are this coin's own, where it has any."""
        own = self.coins.get(coin)
        return self if own is None else msgspec.structs.replace(self, long=own.long, short=own.short)

    def scale(self, highest_leverage: float, daily_volatility: float) -> float:
        """What the nodes are multiplied by on a market of this highest leverage and standard deviation of a day's log
        return; of a mixed model those of the row that follows the mark (`AT_MARK_IN`), never upwards: no market that it
        was fitted on allowed more than the reference."""
        if self.coordinate == MIXED:
            return min(highest_leverage / REFERENCE_MAXIMUM, 1.0)
        if self.coordinate == "of-maximum":
            return highest_leverage / REFERENCE_MAXIMUM
        if self.coordinate == "of-volatility":
            return REFERENCE_VOLATILITY / daily_volatility if daily_volatility > 0 else 1.0
        return 1.0

    def scales(self, highest_leverage: float, daily_volatility: float) -> tuple[float, ...]:
        """As `scale`, of the turnover classes in each coordinate that they stand in."""
        if self.coordinate != MIXED:
            return (self.scale(highest_leverage, daily_volatility),)
        apart = [self.in_coordinate(name).scale(highest_leverage, daily_volatility) for name in MIXED_OF]
        at_mark = MIXED_OF.index(AT_MARK_IN)
        return (*apart[:at_mark], self.scale(highest_leverage, daily_volatility), *apart[at_mark + 1 :])

    @cached_property
    def hash(self) -> str:
        """Hash of the model's content and sources; not of its name, of when and by what it was made, or of how its
        file is written. What is empty does not count, so that a part added later changes no hash."""
        return sha256(msgspec.json.encode(_hashed(self), order="sorted")).hexdigest()[:12]

    @property
    def note(self) -> str:
        """One line for the assumptions of a map."""
        fitted = "prior, not fitted" if self.kind == "prior" else self.kind
        made = f"{self.provenance.made_at:%Y-%m-%d} by {self.provenance.made_by}"
        return f"leverage model {self.name} ({fitted}; {self.hash}; made {made}): {self.provenance.basis}"

    def to_json(self) -> bytes:
        return msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"


def not_faded(
    coordinate: Coordinate, of_highest: FloatArray, fades: tuple[float, float] = FADES
) -> FloatArray:
    """Part (nodes,) of what stands in a coordinate of a mixture at these parts of a market's highest leverage."""
    if coordinate == AT_MARK_IN:
        return np.ones(len(of_highest))
    begin, end = fades
    return np.clip((end - of_highest) / (end - begin), 0.0, 1.0)


def check_own_name(name: str) -> None:
    """Raise `BadInput` where a model of one's own takes the name of a shipped one."""
    if name in RESERVED:
        raise BadInput(f"{name!r} is the name of a shipped model: give yours another name")


def rows_of(coordinate: Coordinate, classes: int) -> int:
    """Rows of shares of a model with so many turnover classes."""
    return len(MIXED_OF) * classes + 1 if coordinate == MIXED else classes


def parts_of(rows: int) -> dict[Coordinate, slice]:
    """Where in the rows of a mixture the turnover classes of each coordinate stand."""
    classes = (rows - 1) // len(MIXED_OF)
    return {name: slice(at * classes, (at + 1) * classes) for at, name in enumerate(MIXED_OF)}


def _mixed(shares: FloatArray) -> FloatArray:
    return np.concatenate([*[shares / len(MIXED_OF)] * len(MIXED_OF), np.zeros((1, shares.shape[1]))])


def _unmixed(shares: FloatArray) -> FloatArray:
    classes = (len(shares) - 1) // len(MIXED_OF)
    apart = shares[:-1].reshape(len(MIXED_OF), classes, shares.shape[1])
    return np.asarray(apart.sum(axis=0) + shares[-1] / classes)


def _as_rows(shares: FloatArray) -> Shares:
    return tuple(tuple(row) for row in shares.tolist())


def from_json(content: bytes, place: str) -> LeverageModel:
    """Read one model; raises `BadInput` with `place` and what is wrong there."""
    try:
        return _of_before(msgspec.convert(_with_all_rows(msgspec.json.decode(content)), LeverageModel))
    except NOT_DECODED as error:
        raise BadInput(
            f"{place} is not a leverage model: {error}; write one like the shipped ones"
        ) from error
    except BadInput as error:
        raise BadInput(f"{place}: {error}") from error


def _with_all_rows(raw: Any) -> Any:
    """The content of a file; where it is a mixed model of before, with nothing in the coordinates that it lacks."""
    if not isinstance(raw, dict) or raw.get("coordinate") != MIXED:
        return raw
    before = MIXED_BEFORE * len(raw["rates"])
    lacking = (len(MIXED_OF) - MIXED_BEFORE) * len(raw["rates"])
    for own in (raw, *raw.get("coins", {}).values()):
        for side in SIDES:
            if len(own[side]) == before + 1:
                nothing = [[0.0] * len(own[side][-1])] * lacking
                own[side] = [*own[side][:before], *nothing, own[side][-1]]
    return raw


def _of_before(model: LeverageModel) -> LeverageModel:
    """A model whose file states only in its basis that it was made on the sandbox."""
    if model.provenance.synthetic or not any_synthetic([model.provenance.basis]):
        return model
    made = msgspec.structs.replace(model.provenance, synthetic=True)
    return msgspec.structs.replace(model, provenance=made)


def leverage_model_named(name: str | None = None, data_dir: Path | None = None) -> LeverageModel:
    """A shipped model, one of `<data_dir>/models`, or the one in a JSON file; null: the default.

    Raises `UnknownChoice` with the known names, `BadInput` for a file that cannot be used.
    """
    wanted = name or DEFAULT
    known = {} if wanted.endswith(".json") else known_models(data_dir)
    if wanted not in known:
        wanted = ALIASES.get(wanted, wanted)
    if wanted.endswith(".json"):
        return _read(Path(wanted))
    if wanted not in known:
        raise UnknownChoice("leverage model", wanted, [*known, "or a file ending in .json"])
    return known[wanted]


def known_models(data_dir: Path | None = None) -> Mapping[str, LeverageModel]:
    """Models by the name of their file; one in the data directory precedes a shipped one."""
    shipped = {
        item.name.removeprefix(SHIPPED).removesuffix(".json"): from_json(item.read_bytes(), item.name)
        for item in (files("liqtruth.estimator") / "facts").iterdir()
        if item.name.startswith(SHIPPED) and item.name.endswith(".json")
    }
    own = sorted((data_dir / "models").glob("*.json")) if data_dir else []
    return {**shipped, **{path.stem: _read(path) for path in own}}


def _read(path: Path) -> LeverageModel:
    try:
        return from_json(path.read_bytes(), str(path))
    except OSError as error:
        raise BadInput(
            f"cannot read {path}: {error.strerror}; give a leverage model's name or file"
        ) from error


def _hashed(value: Any) -> Any:
    """Parts without `UNHASHED` and without what is empty."""
    if isinstance(value, msgspec.Struct):
        value = {field: getattr(value, field) for field in value.__struct_fields__ if field not in UNHASHED}
    if isinstance(value, dict):
        return {key: _hashed(one) for key, one in value.items() if one not in (None, (), {})}
    return value


def _check_ascending(name: str, field: str, values: tuple[float, ...], least: float) -> None:
    found = np.asarray(values, dtype=np.float64)
    if not (found.size and np.all(np.isfinite(found)) and found[0] >= least and np.all(np.diff(found) > 0)):
        raise BadInput(f"{name}: {field} must be numbers that ascend from at least {least:g}")


def _check_shares(name: str, side: str, rows: Shares, shape: tuple[int, int]) -> None:
    if len(rows) != shape[0] or any(len(row) != shape[1] for row in rows):
        raise BadInput(f"{name}: {side} needs {shape[0]} rows (rates) of {shape[1]} shares (leverages)")
    found = np.array(rows, dtype=np.float64)
    if not (np.all(np.isfinite(found)) and np.all(found >= 0) and found.sum() <= 1 + 1e-9):
        raise BadInput(f"{name}: shares of {side} must not be negative nor sum to more than one")
