"""The part of a report's JSON that is read again: what its index and its conditions ask of it, and nothing else.

The JSON is that of `compare` (`divergence.to_json`); fields that are not named here are not looked at.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise

import msgspec

from liqtruth.compare.conclusion.records import CROWD
from liqtruth.compare.divergence.divergence import SCHEMA
from liqtruth.heatmap.errors import MapFileError


class Part(msgspec.Struct, frozen=True):
    """W1 in percent of price; null where a side of either map is empty."""

    wasserstein_pct: float | None


class ScoresOf(msgspec.Struct, frozen=True):
    """Of the sides, and their mean."""

    long: Part
    short: Part
    mean: Part


class MapOf(msgspec.Struct, frozen=True):
    """One map; `coverage_share` is what longs and shorts it has seen of open interest, null where that is not known."""

    label: str
    coverage_share: tuple[float, float] | None = None


class Bar(msgspec.Struct, frozen=True):
    """Why a model is not ranked: a code of `conclusion.MARKS`."""

    code: str


class Standing(msgspec.Struct, frozen=True):
    """A model against one layer of the truth; `ranked` where it may be judged by that."""

    scores: ScoresOf
    skill: float | None
    ranked: bool


class ModelOf(Standing, frozen=True):
    """A model against the whole truth."""

    summary: MapOf
    barred: Bar | None = None
    by_chance: bool = False


class LayerOf(msgspec.Struct, frozen=True):
    """All models against one layer, in the order of the report's models."""

    layer: str
    null_scores: ScoresOf
    models: tuple[Standing, ...]


class BandOf(msgspec.Struct, frozen=True):
    """Shares of a side that lie from `low_pct` to `high_pct` away from each map's mark."""

    side: str
    low_pct: float
    high_pct: float
    truth_share: float | None
    model_shares: tuple[float | None, ...]


class ConclusionOf(msgspec.Struct, frozen=True):
    """The answer as a code; `layer` is null where none may speak."""

    code: str
    layer: str | None = None
    label: str | None = None


class Content(msgspec.Struct, frozen=True):
    """One report. Made by `read_content`, which has checked that its lists belong together."""

    schema: str
    coin: str
    as_of: datetime
    synthetic: bool
    verdict: str
    range_pct: float
    truth: MapOf
    null_scores: ScoresOf
    models: tuple[ModelOf, ...]
    bands: tuple[BandOf, ...]
    layers: tuple[LayerOf, ...] = ()
    conclusion: ConclusionOf | None = None

    @property
    def layer(self) -> str | None:
        """The layer that speaks; null where none may."""
        return None if self.conclusion is None else self.conclusion.layer

    @property
    def labels(self) -> tuple[str, ...]:
        """Of the models, each once: the second of a name is `NAME (2)`."""
        names = [one.summary.label for one in self.models]
        before = [names[:at].count(name) for at, name in enumerate(names)]
        return tuple(f"{name} ({n + 1})" if n else name for name, n in zip(names, before, strict=True))

    def against_layer(self, at: int) -> Standing | None:
        """The model against the layer that speaks; null where none may."""
        if self.layer is None:
            return None
        crowd = self._crowd
        return self.models[at] if crowd is None else crowd.models[at]

    @property
    def mark_only_pct(self) -> float | None:
        """W1 of a map that knows only the mark, against the layer that speaks."""
        if self.layer is None:
            return None
        crowd = self._crowd
        return (self.null_scores if crowd is None else crowd.null_scores).mean.wasserstein_pct

    @property
    def _crowd(self) -> LayerOf | None:
        """Where it is the crowd that speaks."""
        wanted = self.layer == CROWD
        return next((one for one in self.layers if wanted and one.layer == CROWD), None)

    def within(self, pct: float, at: int | None = None) -> float | None:
        """Share of a map's liquidations within `pct` of its mark, mean of its sides: of a model, or of the truth.

        Null where a side is empty, and where the maps are compared within less than that.
        """
        sides = [self._side_within(side, pct, at) for side in ("long", "short")]
        known = [share for share in sides if share is not None]
        return sum(known) / len(known) if len(known) == len(sides) else None

    def _side_within(self, side: str, pct: float, at: int | None) -> float | None:
        bands = [one for one in self.bands if one.side == side and one.high_pct <= pct]
        if not any(one.high_pct == pct for one in bands):
            return None
        shares = [one.truth_share if at is None else one.model_shares[at] for one in bands]
        known = [share for share in shares if share is not None]
        return sum(known) if len(known) == len(shares) else None

    def follows(self, earlier: "Content") -> bool:
        """Whether figures of both may be subtracted: the same coin, layer and range, and both or neither synthetic."""
        return (self.coin, self.layer, self.range_pct, self.synthetic) == (
            earlier.coin,
            earlier.layer,
            earlier.range_pct,
            earlier.synthetic,
        )


def read_content(text: bytes, place: str) -> Content:
    """A report's JSON; raises `MapFileError` where it is none, or its lists do not belong together."""
    try:
        found = msgspec.json.decode(text, type=Content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MapFileError(f"{place}: must be the JSON of a report, got one that is not: {error}") from error
    if found.schema != SCHEMA:
        raise MapFileError(f"{place}: must be of schema {SCHEMA}, got {found.schema!r}")
    if not found.models or not _fits_together(found):
        raise MapFileError(f"{place}: must have scores and bands of each of its models, got another number")
    moment = found.as_of
    return msgspec.structs.replace(
        found, as_of=moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    )


def _fits_together(found: Content) -> bool:
    counts: Sequence[int] = (
        *(len(one.models) for one in found.layers),
        *(len(one.model_shares) for one in found.bands),
        len(found.models),
    )
    return all(one == other for one, other in pairwise(counts))
