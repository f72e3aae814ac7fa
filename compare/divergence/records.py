"""What is known of each map of a divergence: what it is, and how it stands to the truth."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from liqtruth.compare.conclusion.records import Aside, Barred
from liqtruth.compare.matching.assignment import ClusterPair
from liqtruth.compare.matching.matching import ClusterMatch, Recall
from liqtruth.compare.statistics.effective_sample_size import Granularity
from liqtruth.compare.statistics.scores import (
    Gap,
    Judged,
    Scores,
)
from liqtruth.heatmap.clusters.distribution import Cluster
from liqtruth.heatmap.heatmap import Coverage
from liqtruth.heatmap.levels import Sides
from liqtruth.heatmap.words.notes import Notes


@dataclass(frozen=True)
class MapSummary:
    """What a map is, how much it has seen, and where its mass lies; USD at its own mark. `data_moment` is when what it
    rests on was taken, `only` what a filtered map was filtered by."""

    label: str
    coin: str
    venue: str
    source: str
    as_of: datetime
    mark_px: float
    basis_bps: float
    in_grid_usd: Sides
    beyond_usd: Sides
    never_usd: Sides
    coverage: Coverage
    coverage_share: Sides | None
    share_above: float | None
    nearest_pct: tuple[float | None, float | None]
    clusters: tuple[Cluster, ...]
    assumptions: Notes
    data_moment: datetime | None = None
    only: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Band:
    """One side's mass in one distance band; shares are null where a map has nothing on the side."""

    side: str
    low_pct: float
    high_pct: float
    truth_usd: float
    truth_share: float | None
    null_share: float | None
    model_shares: tuple[float | None, ...]


@dataclass(frozen=True)
class ModelResult:
    """One model against the whole truth; `skill` is that of the mean Wasserstein-1 of both sides. Only where `ranked`
    does any of it rank the model: the whole truth has enough positions, and nothing bars the model's fit. `verdict` is
    of the layer that speaks, and so are the clusters, where `clusters_of` names it: `pairs` are those with the largest
    shares of both maps, one to one. Where it is null they may judge nothing: each cluster stands alone;
    `diagnosis` is what seems to be wrong with the model, empty where it is not ranked; `by_chance` where it is no
    nearer than a map that knows nothing may be, so that no figure of it may be called better; `turned_at`
    the coverage at which what was not read of the truth could turn how it stands to the mark. `aside` is why it is not
    ranked among the others: its scores then reach as far as it covers. `untold` is what the truth cannot tell of it."""

    summary: MapSummary
    scores: Scores
    skill: float | None
    verdict: str
    judged: tuple[Judged, ...]
    gaps: tuple[Gap, ...]
    matches: tuple[ClusterMatch, ...]
    recall: tuple[Recall, ...]
    ranked: bool = True
    barred: Barred | None = None
    pairs: tuple[ClusterPair, ...] = ()
    diagnosis: Notes = ()
    by_chance: bool = False
    turned_at: float | None = None
    clusters_of: str | None = None
    aside: Aside | None = None
    untold: Notes = ()


@dataclass(frozen=True)
class BaselineResult:
    """A map that anyone has for free, against the whole truth; `ranked` where the truth has enough positions."""

    model: str
    label: str
    scores: Scores
    skill: float | None
    assumptions: Notes = ()
    ranked: bool = True


@dataclass(frozen=True)
class LayerScore:
    """One model against one layer of the truth; `skill` is that of the mean Wasserstein-1 of both sides. It ranks the
    model only where `ranked`. A map that is set aside is scored within `reach_pct` of the mark, as far as it covers; a
    reading of the same positions against the whole truth in either layer."""

    label: str
    scores: Scores
    skill: float | None
    ranked: bool = True
    gaps: tuple[Gap, ...] = ()
    reach_pct: float | None = None


@dataclass(frozen=True)
class LayerResult:
    """All models against one layer. `enough` where it rests on so many positions that its shape can be claimed, which
    `says` puts in words."""

    layer: str
    granularity: tuple[Granularity, ...]
    noise_floor_pct: float | None
    enough: bool
    says: str
    null_scores: Scores
    models: tuple[LayerScore, ...]
    baselines: tuple[LayerScore, ...] = ()

    @property
    def effective(self) -> str:
        """`155 / 159`: effective numbers of longs and shorts, at least."""
        return " / ".join(f"{side.effective_least:.0f}" for side in self.granularity)


@dataclass(frozen=True)
class RangeScore:
    """One map against one layer on its own: within `reach_pct` of the mark, the range or as far as map and truth reach.
    `null_pct` is W1 of the map that knows only the mark there, `noise_floor_pct` that of the truth; `enough` and
    `ranked` as those of a layer, `turned_at` as of a model."""

    label: str
    reach_pct: float
    scores: Scores
    null_pct: float | None
    skill: float | None
    enough: bool = True
    ranked: bool = True
    gaps: tuple[Gap, ...] = ()
    noise_floor_pct: float | None = None
    turned_at: float | None = None


@dataclass(frozen=True)
class RangeResult:
    """All maps against one layer within `range_pct` of the mark, none of them cut to what another covers."""

    range_pct: float
    layer: str
    enough: bool
    noise_floor_pct: float | None
    null_pct: float | None
    models: tuple[RangeScore, ...]
    baselines: tuple[RangeScore, ...] = ()
