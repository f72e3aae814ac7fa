"""Families of populations: what people go by when they choose their leverage, and how their collateral moves.

    absolute        settings in steps that are the same on every coin, capped by its highest; much isolated margin, to
                    which some is added; short holding times
    of-maximum      settings as a part of the coin's highest leverage; mostly cross
    of-volatility   size by what a day's volatility may cost; cross collateral out of which profits are taken, or with
                    which size grows and shrinks; long holding times, many hedgers and whales
    of-wealth       leverage of one's own that falls with equity while holding times grow; cross collateral, profits
                    stay in it and losses are made up for, by the rich most
    mixed           the first three at once, in parts that are drawn (Dirichlet)

A family is data: per type of trader a range for every figure, out of which a market's seed draws one. No figure is
fitted to recorded positions. What was published bounds the ranges: settings have their median near 20x while accounts
stand at about 4x of their equity (Hyperliquid), 60 % of trades are set at 20x and more (Binance, 2019), and about 15 %
of open interest stands above 7x (Hyperliquid, December 2025). That many make up for losses (`SOME`, `MANY`, `MOST`,
`NEARLY_ALL`), and that the largest positions have the lowest leverage and stand for days (`of-wealth`), is seen in
recorded accounts, see docs/calibrating.md. Account modes and equity are each venue's own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from liqtruth.sandbox.errors import SandboxRefused
from liqtruth.sandbox.market.population import Anchor, Habits, LeverageMix, TraderType

Range = tuple[float, float]
DEFAULT: Final = "default"
MIXED: Final = "mixed"
NOBODY: Final[Range] = (0.0, 0.0)
SOME: Final[Range] = (0.05, 0.3)
MANY: Final[Range] = (0.15, 0.6)
MOST: Final[Range] = (0.3, 0.9)
NEARLY_ALL: Final[Range] = (0.6, 1.0)
CONCENTRATION: Final = 1.5
"""Of the Dirichlet distribution of a mixture's parts: mostly one family leads, rarely alone."""
RICHER: Final[Range] = (0.7, 1.4)
"""Times each venue's stated equity."""


@dataclass(frozen=True)
class Ranges:
    """What one type of trader is drawn from: fields as in `TraderType`, `LeverageMix` and `Habits`."""

    share: Range
    median: Range
    sigma: Range
    used: Range
    isolated_share: Range
    entries_per_day: Range
    hold_hours: Range
    stop_share: Range
    adds_per_hour: Range = (0.004, 0.02)
    adds_margin: Range = NOBODY
    withdraws: Range = NOBODY
    resizes: Range = NOBODY
    refills: Range = NOBODY


@dataclass(frozen=True)
class Family:
    """One way to choose leverage, and its types of trader by name. `calms` is the power of equity (over the least of
    its type) by which all its people's leverage falls and holding times grow."""

    name: str
    anchor: Anchor
    tiered: bool
    types: Mapping[str, Ranges]
    calms: Range = NOBODY


ALL: Final[Range] = (1.0, 1.0)
ABSOLUTE: Final = Family(
    "absolute",
    "absolute",
    True,
    {
        "retail": Ranges((0.58, 0.75), (8, 20), (0.6, 0.9), (0.15, 0.45), (0.4, 0.8), (1.0, 2.0), (5, 14), (0.4, 0.7),
                         adds_margin=(0.2, 0.7), withdraws=(0.0, 0.10), refills=SOME),
        "discretionary": Ranges((0.16, 0.28), (4, 9), (0.6, 0.9), (0.2, 0.5), (0.2, 0.5), (0.5, 0.9), (18, 48),
                                (0.3, 0.5), adds_margin=(0.2, 0.7), withdraws=(0.0, 0.15), refills=MANY),
        "whale": Ranges((0.03, 0.06), (3, 6), (0.5, 0.8), (0.25, 0.6), (0.05, 0.2), (0.3, 0.5), (48, 120), (0.2, 0.4),
                        adds_margin=(0.1, 0.4), withdraws=(0.0, 0.2), refills=MOST),
        "hedger": Ranges((0.03, 0.06), (1, 1), (0.3, 0.5), ALL, NOBODY, (0.2, 0.3), (200, 400), (0.0, 0.1),
                         refills=MOST),
    },
)  # fmt: skip
OF_MAXIMUM: Final = Family(
    "of-maximum",
    "of-maximum",
    False,
    {
        "retail": Ranges((0.55, 0.70), (0.25, 0.6), (0.5, 0.9), (0.4, 1.0), (0.15, 0.4), (0.8, 1.8), (8, 24),
                         (0.4, 0.6), adds_margin=(0.0, 0.2), withdraws=(0.0, 0.2), resizes=(0.0, 0.2), refills=SOME),
        "discretionary": Ranges((0.20, 0.30), (0.10, 0.25), (0.5, 0.8), (0.4, 1.0), (0.1, 0.3), (0.5, 0.9), (24, 60),
                                (0.3, 0.5), adds_margin=(0.0, 0.2), withdraws=(0.0, 0.2), resizes=(0.0, 0.3),
                                refills=MANY),
        "whale": Ranges((0.04, 0.08), (0.06, 0.15), (0.5, 0.8), (0.4, 1.0), (0.05, 0.15), (0.3, 0.5), (60, 150),
                        (0.2, 0.4), withdraws=(0.1, 0.4), resizes=(0.0, 0.3), refills=MOST),
        "hedger": Ranges((0.05, 0.12), (0.04, 0.06), (0.3, 0.5), ALL, NOBODY, (0.2, 0.3), (200, 400), (0.0, 0.1),
                         refills=MOST),
    },
)  # fmt: skip
OF_VOLATILITY: Final = Family(
    "of-volatility",
    "of-volatility",
    False,
    {
        "retail": Ranges((0.50, 0.65), (0.15, 0.45), (0.4, 0.8), ALL, (0.0, 0.1), (0.6, 1.4), (12, 48), (0.2, 0.5),
                         withdraws=(0.2, 0.7), resizes=(0.2, 0.6), refills=SOME),
        "discretionary": Ranges((0.22, 0.32), (0.06, 0.15), (0.4, 0.7), ALL, (0.0, 0.05), (0.4, 0.8), (36, 120),
                                (0.2, 0.4), withdraws=(0.3, 0.8), resizes=(0.2, 0.6), refills=MANY),
        "whale": Ranges((0.05, 0.11), (0.03, 0.08), (0.4, 0.7), ALL, NOBODY, (0.2, 0.4), (72, 240), (0.1, 0.3),
                        withdraws=(0.3, 0.8), resizes=(0.2, 0.6), refills=MOST),
        "hedger": Ranges((0.08, 0.18), (0.03, 0.04), (0.3, 0.5), ALL, NOBODY, (0.2, 0.3), (200, 500), (0.0, 0.1),
                         withdraws=(0.3, 0.8), refills=MOST),
    },
)  # fmt: skip
OF_WEALTH: Final = Family(
    "of-wealth",
    "absolute",
    False,
    {
        "retail": Ranges((0.55, 0.70), (8, 20), (0.4, 0.8), ALL, (0.1, 0.4), (0.8, 1.8), (6, 20), (0.3, 0.6),
                         adds_margin=(0.0, 0.3), refills=MANY),
        "discretionary": Ranges((0.20, 0.30), (3, 6), (0.4, 0.7), ALL, (0.0, 0.2), (0.4, 0.8), (30, 90), (0.2, 0.4),
                                adds_per_hour=(0.002, 0.01), refills=MOST),
        "whale": Ranges((0.04, 0.08), (1.0, 2.5), (0.3, 0.6), ALL, (0.0, 0.05), (0.2, 0.4), (100, 300), (0.1, 0.3),
                        adds_per_hour=(0.001, 0.008), refills=NEARLY_ALL),
        "hedger": Ranges((0.04, 0.10), (1, 1), (0.3, 0.5), ALL, NOBODY, (0.2, 0.3), (200, 400), (0.0, 0.1),
                         adds_per_hour=(0.001, 0.008), refills=NEARLY_ALL),
    },
    calms=(0.25, 0.45),
)  # fmt: skip
FAMILIES: Final[Mapping[str, Family]] = {
    one.name: one for one in (ABSOLUTE, OF_MAXIMUM, OF_VOLATILITY, OF_WEALTH)
}
MIXED_OF: Final = (ABSOLUTE, OF_MAXIMUM, OF_VOLATILITY)
POPULATIONS: Final = (DEFAULT, *(one.name for one in MIXED_OF), MIXED, OF_WEALTH.name)


def check_population(name: str) -> None:
    """Raises `SandboxRefused` for one that is not among `POPULATIONS`."""
    if name not in POPULATIONS:
        raise SandboxRefused(f"no population {name!r}; there are {', '.join(POPULATIONS)}")


def drawn_mix(name: str, stated: Sequence[TraderType], rng: np.random.Generator) -> tuple[TraderType, ...]:
    """A venue's people: as `stated`, or of the named population with the account modes and equity that are stated for
    each type. Deterministic for the same generator."""
    check_population(name)
    if name == DEFAULT:
        return tuple(stated)
    families = MIXED_OF if name == MIXED else (FAMILIES[name],)
    parts = rng.dirichlet(np.full(len(families), CONCENTRATION))
    drawn = [
        trader
        for family, part in zip(families, parts, strict=True)
        for trader in _drawn(family, stated, float(part), rng)
    ]
    whole = sum(trader.share for trader in drawn)
    return tuple(replace(trader, share=trader.share / whole) for trader in drawn)


def _drawn(
    family: Family, stated: Sequence[TraderType], part: float, rng: np.random.Generator
) -> list[TraderType]:
    """All types of a family that makes up `part` of everyone."""
    calms = 0.0 if family.calms == NOBODY else _between(rng, family.calms)
    return [_of_type(family, one, part, calms, rng) for one in stated]


def _of_type(
    family: Family, stated: TraderType, part: float, calms: float, rng: np.random.Generator
) -> TraderType:
    ranges = family.types[stated.name]
    found = {name: _between(rng, getattr(ranges, name)) for name in Ranges.__annotations__}
    leverage = LeverageMix(found.pop("median"), found.pop("sigma"))
    share = part * found.pop("share")
    return replace(
        stated,
        name=f"{family.name} {stated.name}",
        share=share,
        equity_min_usd=stated.equity_min_usd * _between(rng, RICHER),
        leverage=leverage,
        isolated_share=found.pop("isolated_share"),
        entries_per_day=found.pop("entries_per_day"),
        hold_hours=found.pop("hold_hours"),
        stop_share=found.pop("stop_share"),
        habits=Habits(anchor=family.anchor, tiered=family.tiered, calms=calms, **found),
    )


def _between(rng: np.random.Generator, ends: Range) -> float:
    """By ratio where both ends are above zero; evenly otherwise."""
    low, high = ends
    place = float(rng.random())
    return float(low * (high / low) ** place) if low > 0 else low + (high - low) * place
