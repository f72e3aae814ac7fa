"""Who is what: vaults with leaders and followers, sub-accounts with masters, the exchange's own liquidity provider.

The market makers are the components of one vault, the provider, as on the exchange; the first is the liquidator. The
parent vault, its leader and one newborn, empty vault trade nothing, so they are not among `sandbox.truth.addresses`.
Users' vaults are drawn from accounts that never traded on the builder dex, because vaults cannot.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from liqtruth.sandbox.market.listings import Ints
from liqtruth.sandbox.market.market import Market

VAULT_SHARE: Final = 0.012
SUB_ACCOUNT_SHARE: Final = 0.06
MASTER_SHARE: Final = 0.04
MOST_FOLLOWERS: Final = 12
LIQUIDATOR: Final = 0
HOUR_MS: Final = 3_600_000


@dataclass(frozen=True)
class Vault:
    """`row` is its account, None for those that trade nothing; `relationship` is normal, parent or child."""

    address: str
    name: str
    leader: str
    row: int | None
    relationship: str
    children: tuple[str, ...]
    followers: tuple[str, ...]
    created_ms: int


@dataclass(frozen=True)
class Roles:
    """Vaults by address, and the master's row by the row of each sub-account; all others are plain users."""

    vaults: dict[str, Vault]
    master_of: dict[int, int]
    leaders: frozenset[str]

    @cached_property
    def children_of(self) -> dict[int, list[int]]:
        """Sub-accounts by master."""
        children: dict[int, list[int]] = {}
        for child, master in self.master_of.items():
            children.setdefault(master, []).append(child)
        return children


def draw_roles(market: Market) -> Roles:
    """The same for the same specification, wherever the market's clock stands."""
    rng = np.random.default_rng([market.spec.seed, 20])
    people, makers = market.hyperliquid.people, market.hyperliquid.people.makers
    vault_rows = _vault_rows(rng, market)
    others = rng.permutation(np.setdiff1d(np.arange(makers, people.size), vault_rows))
    traders = people.size - makers
    subs = others[: max(1, round(SUB_ACCOUNT_SHARE * traders))]
    users = others[subs.size :]
    masters = users[: max(1, round(MASTER_SHARE * traders))]
    master_of = dict(zip(subs.tolist(), rng.choice(masters, subs.size).tolist(), strict=True))
    vaults = [_user_vault(rng, market, row, users) for row in vault_rows.tolist()]
    vaults += _provider(rng, market, users)
    by_address = {vault.address: vault for vault in vaults}
    return Roles(by_address, master_of, frozenset(vault.leader for vault in vaults))


def _vault_rows(rng: np.random.Generator, market: Market) -> Ints:
    """Discretionary traders and whales without a fill on the builder dex in all that was simulated."""
    end = market if market.ahead is None else market.ahead.end
    result = end.hyperliquid
    people, tape = result.people, result.tape
    abroad = np.unique(tape.account[result.rules.isolated_only[tape.coin]])
    kinds = [
        place for place, name in enumerate(people.kind_names) if name.endswith(("discretionary", "whale"))
    ]
    able = np.setdiff1d(np.flatnonzero(np.isin(people.kind, kinds)), abroad)
    count = max(1, round(VAULT_SHARE * (people.size - people.makers)))
    return np.sort(rng.permutation(able)[:count])


def _user_vault(rng: np.random.Generator, market: Market, row: int, users: Ints) -> Vault:
    leader, *followers = rng.permutation(users)[: 2 + int(rng.integers(MOST_FOLLOWERS))].tolist()
    names = market.addresses
    created = int(market.path.times_ms[0]) - int(rng.integers(1, 500)) * 24 * HOUR_MS
    followed = tuple(names[follower] for follower in followers)
    return Vault(names[row], f"Synthetic vault {row}", names[leader], row, "normal", (), followed, created)


def _provider(rng: np.random.Generator, market: Market, users: Ints) -> list[Vault]:
    """The liquidity provider's parent vault and its components, and a vault an hour old with nothing in it."""
    makers, names = market.hyperliquid.people.makers, market.addresses
    parent, leader, newborn = (_invented(market, name) for name in ("parent", "leader", "newborn"))
    followers = tuple(names[row] for row in rng.permutation(users)[:100].tolist())
    created = int(market.path.times_ms[0]) - 900 * 24 * HOUR_MS
    vaults = [Vault(parent, "Synthetic HLP", leader, None, "parent", names[:makers], followers, created)]
    for row in range(makers):
        name = "Synthetic HLP Liquidator" if row == LIQUIDATOR else f"Synthetic HLP Strategy {row}"
        vaults.append(Vault(names[row], name, leader, row, "child", (), (), created))
    opened = int(market.spec.ends.timestamp() * 1000) - HOUR_MS
    first = names[int(users[0])]
    return [*vaults, Vault(newborn, "Synthetic newborn vault", first, None, "normal", (), (), opened)]


def _invented(market: Market, name: str) -> str:
    return "0x" + hashlib.sha256(f"{market.spec.seed}:{name}".encode()).hexdigest()[:40]
