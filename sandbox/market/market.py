"""The synthetic market: one price path, a venue on chain and centralised ones, everything decided by a seed.

`simulate` is the only entry. A few days of warm-up precede the history that is served, so that the first served day
already has old positions. No wall clock: history ends at `MarketSpec.ends`. With `live_hours` the market is simulated
that much further; `Market.ahead` holds what is to come, and `sandbox.live` lets a clock run into it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property

import numpy as np

from liqtruth.sandbox.errors import SandboxRefused
from liqtruth.sandbox.market.families import DEFAULT, check_population, drawn_mix
from liqtruth.sandbox.market.ledger import Ledger
from liqtruth.sandbox.market.listings import (
    BUILDER_ASSET,
    Asset,
    MarginRules,
    half_of_initial,
    listed,
    scaled_tiers,
)
from liqtruth.sandbox.market.matching import Trades, matched_trades
from liqtruth.sandbox.market.population import (
    BINANCE,
    CENTRALISED,
    HYPERLIQUID_MIX,
    Centralised,
    Population,
    TraderType,
    draw_addresses,
    draw_population,
)
from liqtruth.sandbox.market.price import MINUTES_PER_DAY, PricePath, simulate_path
from liqtruth.sandbox.market.venue import Venue, VenueResult, VenueRules, rules_of

HYPERLIQUID = "hyperliquid"
GRANDFATHERED_LEVERAGE = 50
GRANDFATHERED_SHARE = 0.01


@dataclass(frozen=True)
class MarketSpec:
    """What to simulate. The same spec gives the same market, byte for byte on the wire.

    `live_hours` go on after `ends`, where serving starts; another number of them is another market altogether.
    `venues` are the centralised ones, with `cex_accounts` each; one more of them changes none of the others.
    `population` is one of `families.POPULATIONS`: every venue draws its own figures out of the same one.
    """

    seed: int = 7
    accounts: int = 3000
    days: int = 30
    coins: tuple[str, ...] = ("BTC", "ETH", "SOL", "HYPE")
    cex_accounts: int = 6000
    step_minutes: int = 15
    builder_dex: bool = True
    ends: datetime = datetime(2026, 9, 1, tzinfo=UTC)
    live_hours: int = 0
    venues: tuple[str, ...] = (BINANCE,)
    population: str = DEFAULT

    def __post_init__(self) -> None:
        listed(self.coins)
        _check_venues(self.venues)
        check_population(self.population)
        for name, least in (
            ("seed", 0),
            ("accounts", 10),
            ("cex_accounts", 10),
            ("days", 1),
            ("live_hours", 0),
        ):
            if getattr(self, name) < least:
                raise SandboxRefused(f"{name} must be at least {least}, got {getattr(self, name)}")
        if self.step_minutes < 1 or 60 % self.step_minutes:
            raise SandboxRefused(f"step_minutes must divide an hour, got {self.step_minutes}")

    @property
    def warmup_days(self) -> int:
        return max(2, self.days // 10)

    @property
    def history_minutes(self) -> int:
        """Minute point of the path at which the history ends: `ends`."""
        return (self.days + self.warmup_days) * MINUTES_PER_DAY

    @property
    def assets(self) -> tuple[Asset, ...]:
        return (*listed(self.coins), BUILDER_ASSET) if self.builder_dex else listed(self.coins)


@dataclass(frozen=True)
class Market:
    """A synthetic market as of one moment; columns of every array follow `spec.assets`. `past` is the first venue as it
    stood at the ends of those earlier days that `simulate` was asked for."""

    spec: MarketSpec
    path: PricePath
    venues: Mapping[str, VenueResult]
    addresses: tuple[str, ...]
    ahead: "Ahead | None" = None
    past: tuple["Market", ...] = ()

    def venue(self, name: str) -> VenueResult:
        """One venue by name; refuses one that was not simulated."""
        if name not in self.venues:
            raise SandboxRefused(f"no synthetic venue {name!r} here; there are {', '.join(self.venues)}")
        return self.venues[name]

    @property
    def hyperliquid(self) -> VenueResult:
        return self.venues[HYPERLIQUID]

    @property
    def binance(self) -> VenueResult:
        return self.venue(BINANCE)

    @property
    def point(self) -> int:
        """Minute point of the path that is now."""
        return self.path.times_ms.size - 1

    @property
    def as_of(self) -> datetime:
        return self.spec.ends + timedelta(minutes=self.point - self.spec.history_minutes)

    @cached_property
    def trades(self) -> Trades:
        """Every trade of the first venue so far, with both sides."""
        if self.ahead is not None:
            return self.ahead.end.trades.until(self.point)
        return matched_trades(self.hyperliquid)

    @property
    def as_of_ms(self) -> int:
        return int(self.path.times_ms[-1])

    @property
    def first_point(self) -> int:
        """Minute point at which the served history starts, after the warm-up."""
        return self.spec.warmup_days * MINUTES_PER_DAY

    def coin_index(self, coin: str) -> int | None:
        names = [asset.name for asset in self.spec.assets]
        return names.index(coin) if coin in names else None


@dataclass(frozen=True)
class Ahead:
    """What comes after `MarketSpec.ends`: the venues as they stood then, to be stepped on, and how it all ends."""

    venues: Mapping[str, Venue]
    end: Market

    def market_at(self, point: int, ledgers: Mapping[str, Ledger]) -> Market:
        """The market as it is known at `point`, given every venue's ledger of that moment."""
        end = self.end
        known = {name: result.until(point, ledgers[name]) for name, result in end.venues.items()}
        return Market(end.spec, end.path.until(point), known, end.addresses, self)


def simulate(
    spec: MarketSpec, on_progress: Callable[[float], None] | None = None, past_days: Sequence[int] = ()
) -> Market:
    """Run all venues over one path; `on_progress` gets the fraction done, `past_days` are kept in `Market.past`."""
    seeds = [np.random.default_rng(child) for child in np.random.SeedSequence(spec.seed).spawn(9)]
    path_seed, people_seed, venue_seed = seeds[:3]
    minutes = spec.history_minutes + 60 * spec.live_hours
    end_ms = int(spec.ends.timestamp() * 1000) + 3_600_000 * spec.live_hours
    path = simulate_path(path_seed, spec.assets, minutes, end_ms)
    mix, highest = people_of(spec, HYPERLIQUID), [scaled_tiers(asset.table_id)[0][1] for asset in spec.assets]
    people = draw_population(people_seed, mix, spec.accounts, spec.assets, highest)
    cex_people = {kind.name: _their_people(spec, kind, seeds[kind.seeds[0]]) for kind in _kinds(spec)}
    rules = _hyperliquid_rules(people_seed, spec, people)
    venues = {HYPERLIQUID: Venue(rules, people, path, spec.step_minutes, venue_seed)}
    for kind in _kinds(spec):
        venues[kind.name] = _centralised(spec, path, kind, cex_people[kind.name], seeds[kind.seeds[1]])
    kept = _run_all(venues, spec, on_progress or (lambda _: None), past_days)
    addresses = tuple(draw_addresses(people_seed, spec.accounts))
    if spec.live_hours:
        market = _going_on(spec, path, venues, addresses)
    else:
        market = Market(spec, path, _results(venues), addresses)
    return replace(market, past=tuple(at_earlier(market, HYPERLIQUID, *one) for one in kept.items()))


def at_earlier(market: Market, venue: str, point: int, ledger: Ledger) -> Market:
    """The market at a minute point of its history at which `venue`, which alone is in it, had this ledger."""
    known = {venue: market.venue(venue).until(point, ledger)}
    return replace(market, path=market.path.until(point), venues=known)


def people_of(spec: MarketSpec, venue: str) -> tuple[TraderType, ...]:
    """The types of trader on one venue, as the market's seed draws them."""
    names = (HYPERLIQUID, *CENTRALISED)
    stated = HYPERLIQUID_MIX if venue == HYPERLIQUID else CENTRALISED[venue].mix
    return drawn_mix(spec.population, stated, np.random.default_rng([spec.seed, 30, names.index(venue)]))


def _their_people(spec: MarketSpec, kind: Centralised, rng: np.random.Generator) -> Population:
    assets = listed(spec.coins)
    highest = [float(kind.max_leverage)] * len(assets)
    return draw_population(rng, people_of(spec, kind.name), spec.cex_accounts, assets, highest)


def _check_venues(venues: tuple[str, ...]) -> None:
    unknown = [name for name in venues if name not in CENTRALISED]
    if unknown:
        raise SandboxRefused(f"no synthetic venue {unknown[0]!r}; there are {', '.join(CENTRALISED)}")
    if not venues or len(set(venues)) != len(venues):
        raise SandboxRefused(f"venues must be at least one, each once, got {venues!r}")


def _kinds(spec: MarketSpec) -> list[Centralised]:
    return [kind for name, kind in CENTRALISED.items() if name in spec.venues]


def _centralised(
    spec: MarketSpec, path: PricePath, kind: Centralised, people: Population, rng: np.random.Generator
) -> Venue:
    assets = listed(spec.coins)
    rules = rules_of(kind, assets, people)
    return Venue(rules, people, _main_coins(path, len(assets)), spec.step_minutes, rng)


def _results(venues: Mapping[str, Venue]) -> dict[str, VenueResult]:
    return {name: venue.result() for name, venue in venues.items()}


def _going_on(
    spec: MarketSpec, path: PricePath, venues: Mapping[str, Venue], addresses: tuple[str, ...]
) -> Market:
    """The market at the end of its history, with what comes after."""
    forks, now = {name: venue.fork() for name, venue in venues.items()}, spec.history_minutes
    for point in range(now + 1, path.times_ms.size):
        for venue in venues.values():
            venue.minute(point)
    ahead = Ahead(forks, Market(spec, path, _results(venues), addresses))
    return ahead.market_at(now, {name: fork.ledger.copy() for name, fork in forks.items()})


def _run_all(
    venues: Mapping[str, Venue], spec: MarketSpec, report: Callable[[float], None], past_days: Sequence[int]
) -> dict[int, Ledger]:
    """Runs every venue; the ledger of the first one at the points where `past_days` end."""
    points = [(spec.warmup_days + day) * MINUTES_PER_DAY for day in past_days]
    work, done, kept = sum(venue.people.size for venue in venues.values()), 0, dict[int, Ledger]()
    for name, venue in venues.items():
        wanted = points if name == HYPERLIQUID else []
        kept |= _run(venue, spec, done / work, (done + venue.people.size) / work, report, wanted)
        done += venue.people.size
    return kept


def _run(
    venue: Venue,
    spec: MarketSpec,
    start: float,
    end: float,
    report: Callable[[float], None],
    points: Sequence[int],
) -> dict[int, Ledger]:
    steps = spec.history_minutes // venue.step_minutes
    every, kept = max(1, steps // 100), dict[int, Ledger]()

    def on_step(step: int) -> None:
        if step % every == 0 or step == steps:
            report(start + (end - start) * step / steps)
        if step * venue.step_minutes in points:
            kept[step * venue.step_minutes] = venue.ledger.copy()

    venue.run(steps, on_step)
    return kept


def _main_coins(path: PricePath, coins: int) -> PricePath:
    """The same path without the builder dex's coin."""
    return PricePath(
        path.times_ms,
        path.mark_units[:, :coins],
        path.oracle_units[:, :coins],
        path.premium[:, :coins],
        path.hour_points,
        path.funding[:, :coins],
    )


def _hyperliquid_rules(rng: np.random.Generator, spec: MarketSpec, people: Population) -> VenueRules:
    """One margin table row per asset, and a last, flat row for grandfathered positions and the vault."""
    assets = spec.assets
    tiers = [scaled_tiers(asset.table_id) for asset in assets] + [scaled_tiers_flat(GRANDFATHERED_LEVERAGE)]
    margin = MarginRules.build([half_of_initial(table) for table in tiers], [table[0][1] for table in tiers])
    rows = np.tile(np.arange(len(assets)), (people.size, 1))
    grandfathered = rng.random(rows.shape) < GRANDFATHERED_SHARE
    grandfathered[: people.makers] = False
    grandfathered[0] = True
    on_main = np.array([asset.dex == "" for asset in assets])
    collateral = spec.coins.index("HYPE") if "HYPE" in spec.coins else None
    table = np.where(grandfathered & on_main, len(assets), rows)
    return VenueRules(assets, margin, table, ~on_main, 1, collateral)


def scaled_tiers_flat(leverage: int) -> tuple[tuple[float, int], ...]:
    return ((0.0, leverage),)
