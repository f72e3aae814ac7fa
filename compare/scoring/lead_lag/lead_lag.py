"""Whether what price swept on the exact map tells the liquidations of a venue before, after or while they happen.

Per step stand the notional swept on the map and the notional liquidated on the venue, both as ln(1 + USD) and ranked.
At lag k the swept mass of step t is compared with the liquidations of step t + k: a map that leads has its highest
correlation at a lag above zero. A larger move both sweeps and liquidates more, whatever the map has, so each series
is first rid of the rank of its own step's move (a partial Spearman correlation).

The null shuffles whole days of the liquidations, which keeps what is alike within a day and at the same time of day.
Of every shuffle only the highest correlation over all lags counts: the share of shuffles that reach ours is a p-value
for the best lag that has paid for having been looked for (Westfall & Young 1993, single-step maxT).
"""

from typing import Final

import msgspec
import numpy as np

from liqtruth.compare.scoring.visits.major_zones import BoolArray
from liqtruth.compare.statistics.intervals import ranks
from liqtruth.heatmap.errors import BadInput, MissingData
from liqtruth.heatmap.grid import FloatArray

SHUFFLES: Final = 400
FEWEST_DAYS: Final = 6
FEWEST_PAIRS: Final = 30
"""Steps on which both are known; a lag with fewer has no correlation."""
SURE: Final = 0.05
MOST_AT_ONCE: Final = 2_000_000
"""Shuffled steps in memory at once: 16 MB."""


class Lead(msgspec.Struct, frozen=True):
    """One side, or both together. Correlations are by lag, null where too few steps are known.

    `band_low` to `band_high` holds 95 % of the shuffled `partial` of each lag; `highest_by_chance` is what 95 % of the
    shuffles stay below at every lag. `exceeding` shuffles reached `best`. `answer` is `leads`, `lags`, `same step`,
    `neither` or `not known`, then with the reason in `why`.
    """

    side: str
    steps: int
    days: int
    lags: tuple[int, ...]
    correlation: tuple[float | None, ...]
    partial: tuple[float | None, ...]
    band_low: tuple[float | None, ...]
    band_high: tuple[float | None, ...]
    highest_by_chance: float | None
    best_lag: int | None
    best: float | None
    p_value: float | None
    exceeding: int
    shuffles: int
    answer: str
    why: str = ""


def lead_of(
    side: str,
    swept_usd: FloatArray,
    realised_usd: FloatArray,
    move: FloatArray,
    *,
    max_lag: int = 12,
    shuffles: int = SHUFFLES,
    seed: int = 0,
) -> Lead:
    """Of arrays (days, steps of a day), NaN where a step is not known; deterministic by seed.

    Raises `BadInput` for a lag that is none, `MissingData` for fewer than `FEWEST_DAYS` days on which both are known.
    """
    both = np.isfinite(swept_usd) & np.isfinite(realised_usd) & np.isfinite(move)
    days = int(both.any(axis=1).sum())
    _refuse(max_lag, swept_usd.shape[1], days)
    swept, realised = (
        np.log1p(np.where(np.isfinite(move), usd, np.nan)) for usd in (swept_usd, realised_usd)
    )
    rid = _rid_of(swept, move), _rid_of(realised, move)
    about = (side, int(both.sum()), days, tuple(range(-max_lag, max_lag + 1)))
    if not all(_varies(series) for series in rid):
        return _not_known(*about, why=f"nothing of {side} varies beyond the move and the day")
    plain = _by_lag(_ranked(swept), _ranked(realised)[None], max_lag)[0]
    ours = _by_lag(rid[0], rid[1][None], max_lag)[0]
    if np.isnan(ours).all():
        return _not_known(*about, why=f"fewer than {FEWEST_PAIRS} steps are known together")
    return _judged(about, plain, ours, _by_chance(*rid, max_lag, shuffles, seed))


def _refuse(max_lag: int, steps: int, days: int) -> None:
    if not 1 <= max_lag <= steps:
        raise BadInput(f"--max-lag {max_lag}: a lag is from 1 to the {steps} steps of a day")
    if days < FEWEST_DAYS:
        raise MissingData(
            f"{days} days have exact maps, prices and liquidations together; at least {FEWEST_DAYS} are needed to "
            "shuffle: let `liqtruth index watch` and `liqtruth feed watch` run side by side"
        )


def _judged(
    about: tuple[str, int, int, tuple[int, ...]], plain: FloatArray, ours: FloatArray, chance: FloatArray
) -> Lead:
    """The highest of `ours` (lags) among the highest of each row of `chance` (shuffles, lags)."""
    known = ~np.isnan(ours)
    highest = chance[:, known].max(axis=1)
    best = int(np.nanargmax(ours))
    exceeding = int((highest >= ours[best]).sum())
    p_value = (1 + exceeding) / (1 + len(chance))
    low, high = (np.where(known, end, np.nan) for end in np.percentile(chance, (2.5, 97.5), axis=0))
    return Lead(
        *about,
        correlation=_told(plain),
        partial=_told(ours),
        band_low=_told(low),
        band_high=_told(high),
        highest_by_chance=float(np.percentile(highest, 95)),
        best_lag=about[-1][best],
        best=float(ours[best]),
        p_value=p_value,
        exceeding=exceeding,
        shuffles=len(chance),
        answer=_answer(about[-1][best], p_value),
    )


def _answer(lag: int, p_value: float) -> str:
    if p_value >= SURE:
        return "neither"
    return "same step" if lag == 0 else "leads" if lag > 0 else "lags"


def _ranked(values: FloatArray) -> FloatArray:
    """Ranks of what is known, centred, between -1/2 and 1/2."""
    known = np.isfinite(values)
    ranked = np.full(values.shape, np.nan)
    ranked[known] = ranks(values[known]) / max(int(known.sum()), 1)
    return ranked - np.nanmean(ranked) if known.any() else ranked


def _rid_of(values: FloatArray, move: FloatArray) -> FloatArray:
    """The ranks less their day's mean and less what the rank of the move, taken the same way, tells of them."""
    ranked = _within_days(_ranked(values))
    beside = _within_days(_ranked(np.where(np.isfinite(ranked), move, np.nan)))
    spread = float(np.nansum(beside**2))
    slope = float(np.nansum(beside * ranked)) / spread if spread > 0 else 0.0
    return ranked - slope * beside


def _within_days(ranked: FloatArray) -> FloatArray:
    count = np.maximum(np.isfinite(ranked).sum(axis=1, keepdims=True), 1)
    return np.asarray(ranked - np.nansum(ranked, axis=1, keepdims=True) / count)


def _varies(series: FloatArray) -> bool:
    return bool(np.nanstd(series) > 1e-9) if np.isfinite(series).any() else False


def _by_chance(swept: FloatArray, realised: FloatArray, max_lag: int, shuffles: int, seed: int) -> FloatArray:
    """Correlations (shuffles, lags) with whole days of `realised` shuffled; zero where too few steps are left.

    Only days of which something is known change places.
    """
    rng = np.random.default_rng(seed)
    known = np.flatnonzero(np.isfinite(realised).any(axis=1))
    order = np.broadcast_to(np.arange(len(realised)), (shuffles, len(realised))).copy()
    order[:, known] = rng.permuted(np.broadcast_to(known, (shuffles, known.size)), axis=1)
    parts = np.array_split(order, -(-shuffles * realised.size // MOST_AT_ONCE))
    drawn = [_by_lag(swept, realised[part], max_lag) for part in parts]
    return np.asarray(np.nan_to_num(np.concatenate(drawn)))


def _by_lag(swept: FloatArray, realised: FloatArray, max_lag: int) -> FloatArray:
    """Correlations (rows of `realised`, lags) over the steps on which both are known at that lag."""
    x, y = swept.ravel(), realised.reshape(len(realised), -1)
    has_x, has_y = np.isfinite(x), np.isfinite(y)
    x, y = np.where(has_x, x, 0.0), np.where(has_y, y, 0.0)
    found = [_at_lag(x, has_x, y, has_y, lag) for lag in range(-max_lag, max_lag + 1)]
    return np.stack(found, axis=1)


def _at_lag(x: FloatArray, has_x: BoolArray, y: FloatArray, has_y: BoolArray, lag: int) -> FloatArray:
    """Pearson's correlation of `x[t]` and each `y[row, t + lag]` out of masked sums."""
    first, second = slice(max(0, -lag), x.size - max(0, lag)), slice(max(0, lag), x.size - max(0, -lag))
    x, mask_x = x[first], has_x[first].astype(np.float64)
    y, mask_y = y[:, second], has_y[:, second].astype(np.float64)
    count = mask_y @ mask_x
    pairs = np.maximum(count, 1.0)
    sum_x, sum_y = mask_y @ x, y @ mask_x
    shared = y @ x - sum_x * sum_y / pairs
    spread = (mask_y @ x**2 - sum_x**2 / pairs) * (y**2 @ mask_x - sum_y**2 / pairs)
    sound = (count >= FEWEST_PAIRS) & (spread > 1e-12)
    return np.where(sound, shared / np.sqrt(np.where(sound, spread, 1.0)), np.nan)


def _told(values: FloatArray) -> tuple[float | None, ...]:
    return tuple(float(value) if np.isfinite(value) else None for value in values)


def _not_known(side: str, steps: int, days: int, lags: tuple[int, ...], why: str) -> Lead:
    none = (None,) * len(lags)
    return Lead(
        side, steps, days, lags, none, none, none, none, None, None, None, None, 0, 0, "not known", why
    )
