"""Where addresses are found: roles, sub-accounts, vaults, the leaderboard. Shapes as the info endpoint and stats-data
have them; `/Mainnet/vaults` is undocumented and written from what readers of it expect.

The leaderboard is as biased as the real one: profitable accounts by size, down to a quarter of all holders; vaults and
sub-accounts are not on it. Profit is what positions gained on their marks and fills, without fees and funding;
`allTime` is all that was simulated, warm-up included.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np

from liqtruth.sandbox.hyperliquid.accounts import AccountBook
from liqtruth.sandbox.market.ledger import MICRO
from liqtruth.sandbox.market.listings import BUILDER_DEX, Floats, Ints, from_float
from liqtruth.sandbox.market.market import Market
from liqtruth.sandbox.market.price import MINUTES_PER_DAY
from liqtruth.sandbox.market.roles import HOUR_MS, Roles, Vault

Json = Any
LISTED_SHARE: Final = 0.25
REFERRER_SHARE: Final = 0.03
REFERRED_SHARE: Final = 0.3
NEWBORN_MS: Final = 2 * HOUR_MS
MOST_LISTED_FOLLOWERS: Final = 100
LEADER_SHARE: Final = 0.1
WINDOWS: Final = {"day": 1, "week": 7, "month": 30, "allTime": None}


@dataclass(frozen=True)
class Performance:
    """Per account, in USD."""

    pnl: Floats
    volume: Floats


def account_values(market: Market) -> Floats:
    """Cross equity and isolated equities of every account, in USD."""
    ledger, path = market.hyperliquid.ledger, market.path
    mark, oracle = path.mark_units[-1], path.oracle_units[-1]
    return np.asarray(ledger.cross_equity_usd(mark, oracle) + ledger.isolated_equity_usd(mark).sum(axis=1))


def performance(market: Market) -> dict[str, Performance]:
    """By window."""
    return {name: _since(market, _first_point(market, days)) for name, days in WINDOWS.items()}


def _first_point(market: Market, days: int | None) -> int:
    return -1 if days is None else max(market.point - days * MINUTES_PER_DAY, -1)


def _since(market: Market, point: int) -> Performance:
    """Value now less value at `point` less what was paid in between; there are no positions before the first point."""
    trades, mark = market.trades, market.path.mark_units
    accounts = len(market.addresses)
    later = trades.of(np.flatnonzero(trades.point > point))
    value = later.lots * later.px / MICRO
    paid = _per_account(later.buyer, value, accounts) - _per_account(later.seller, value, accounts)
    # What was traded since is worth its lots at today's mark; earlier positions moved with the mark.
    gained = later.lots * mark[-1][later.coin] / MICRO
    bought = _per_account(later.buyer, gained, accounts) - _per_account(later.seller, gained, accounts)
    lots = market.hyperliquid.ledger.lots.copy()
    np.subtract.at(lots, (later.buyer, later.coin), later.lots)
    np.add.at(lots, (later.seller, later.coin), later.lots)
    moved = lots @ (mark[-1] - mark[max(point, 0)]) / MICRO
    volume = _per_account(later.buyer, value, accounts) + _per_account(later.seller, value, accounts)
    return Performance(np.asarray(bought - paid + moved), volume)


def _per_account(account: np.ndarray, usd: Floats, accounts: int) -> Floats:
    return np.asarray(np.bincount(account, usd, minlength=accounts))


@dataclass
class Directory:
    """Answers about who is who, as of the market's moment."""

    market: Market
    book: AccountBook
    roles: Roles

    @cached_property
    def _values(self) -> Floats:
        return account_values(self.market)

    @cached_property
    def _performance(self) -> dict[str, Performance]:
        return performance(self.market)

    def role(self, user: str) -> Json:
        """What an address is; master and sub-account are named, an unknown one is missing."""
        row = self.book.row_of.get(user)
        if user in self.roles.vaults:
            return {"role": "vault"}
        if row in self.roles.master_of:
            return {"role": "subAccount", "data": {"master": self._name(self.roles.master_of[row])}}
        return {"role": "missing" if row is None and user not in self.roles.leaders else "user"}

    def sub_accounts(self, user: str, all_dexs: bool) -> Json:
        """The children of a master with their states, null for anybody else."""
        row = self.book.row_of.get(user)
        children = self.roles.children_of.get(-1 if row is None else row)
        return children and [self._sub_account(child, user, all_dexs) for child in children]

    def _sub_account(self, row: int, master: str, all_dexs: bool) -> Json:
        user = self._name(row)
        entry = {"name": f"sub {row}", "subAccountUser": user, "master": master}
        spot = self.book.spot(user)
        if not all_dexs:
            return {**entry, "clearinghouseState": self.book.clearinghouse(user, ""), "spotState": spot}
        dexs = ["", BUILDER_DEX] if self.market.spec.builder_dex else [""]
        return {
            **entry,
            "dexToClearinghouseState": [[dex, self.book.clearinghouse(user, dex)] for dex in dexs],
            "spotState": spot,
            "abstraction": self.book.abstraction(user),
        }

    @cached_property
    def _referrers(self) -> dict[int, int]:
        """By the row of whom they referred, who joined later than they: a forest."""
        count = len(self.market.addresses)
        draw = np.random.default_rng([self.market.spec.seed, 31])
        able = np.flatnonzero(draw.random(count) < REFERRER_SHARE)
        later = np.flatnonzero(draw.random(count) < REFERRED_SHARE)
        later = later[later > able[0]] if able.size else later[:0]
        before = np.searchsorted(able, later)
        return dict(
            zip(later.tolist(), able[(draw.random(later.size) * before).astype(int)].tolist(), strict=True)
        )

    def referral(self, user: str) -> Json:
        """Who referred the address, and whom it referred; anybody may ask about anybody."""
        row = self.book.row_of.get(user, -1)
        by = self._referrers.get(row)
        children = [child for child, referrer in self._referrers.items() if referrer == row]
        states = [
            {
                "cumVlm": "0.0",
                "cumRewardedFeesSinceReferred": "0.0",
                "cumFeesRewardedToReferrer": "0.0",
                "timeJoined": self.market.as_of_ms,
                "user": self._name(child),
            }
            for child in children
        ]
        ready = {
            "stage": "ready",
            "data": {"code": f"R{row}", "nReferrals": len(states), "referralStates": states},
        }
        return {
            "referredBy": None if by is None else {"referrer": self._name(by), "code": f"R{by}"},
            "cumVlm": "0.0",
            "unclaimedRewards": "0.0",
            "claimedRewards": "0.0",
            "builderRewards": "0.0",
            "referrerState": ready if states else {"stage": "needToTrade", "data": {"required": "10000.0"}},
            "rewardHistory": [],
            "tokenToState": [],
        }

    def _name(self, row: int) -> str:
        return self.market.addresses[row]

    def vault_summaries(self) -> Json:
        """Only vaults less than two hours old."""
        now = self.market.as_of_ms
        young = [v for v in self.roles.vaults.values() if 0 <= now - v.created_ms < NEWBORN_MS]
        return [self._summary(vault) for vault in young]

    def all_vaults(self) -> Json:
        """Every vault, as stats-data lists them."""
        born = [v for v in self.roles.vaults.values() if v.created_ms <= self.market.as_of_ms]
        return [{"apr": 0.0, "pnls": self._pnls(vault), "summary": self._summary(vault)} for vault in born]

    def _summary(self, vault: Vault) -> Json:
        return {
            "name": vault.name,
            "vaultAddress": vault.address,
            "leader": vault.leader,
            "tvl": from_float(self._equity(vault)),
            "isClosed": False,
            "relationship": _relationship(vault),
            "createTimeMillis": vault.created_ms,
        }

    def vault_details(self, address: str) -> Json:
        """One vault with its followers, null for an address that is not a vault."""
        vault = self.roles.vaults.get(address)
        if vault is None:
            return None
        equity = self._equity(vault)
        return {
            "name": vault.name,
            "vaultAddress": vault.address,
            "leader": vault.leader,
            "description": "synthetic",
            "portfolio": [[window, self._window(vault, window)] for window in self._performance],
            "apr": 0.0,
            "followerState": None,
            "leaderFraction": LEADER_SHARE if vault.followers else 1.0,
            "leaderCommission": 0.1,
            "followers": self._followers(vault, equity),
            "maxDistributable": 0.0,
            "maxWithdrawable": 0.0,
            "isClosed": False,
            "relationship": _relationship(vault),
            "allowDeposits": True,
            "alwaysCloseOnWithdraw": False,
        }

    def _rows(self, vault: Vault) -> list[int]:
        """The accounts behind a vault: its own, or its components."""
        if vault.relationship == "parent":
            return [self.book.row_of[child] for child in vault.children]
        return [] if vault.row is None else [vault.row]

    def _equity(self, vault: Vault) -> float:
        return float(np.round(self._values[self._rows(vault)].sum(), 6))

    def _window(self, vault: Vault, window: str) -> Json:
        rows, now = self._rows(vault), self.market.as_of_ms
        done = self._performance[window]
        return {
            "accountValueHistory": [[now, from_float(self._equity(vault))]],
            "pnlHistory": [[now, from_float(float(done.pnl[rows].sum()))]],
            "vlm": from_float(float(done.volume[rows].sum())),
        }

    def _pnls(self, vault: Vault) -> Json:
        rows = self._rows(vault)
        return [
            [window, [from_float(float(done.pnl[rows].sum()))]] for window, done in self._performance.items()
        ]

    def _followers(self, vault: Vault, equity: float) -> Json:
        """At most a hundred, the leader among them; earlier followers hold more."""
        names = ("Leader", *vault.followers)[:MOST_LISTED_FOLLOWERS]
        parts = 1 / (1.0 + np.arange(len(names) - 1))
        shares = [LEADER_SHARE, *((1 - LEADER_SHARE) * parts / parts.sum()).tolist()] if parts.size else [1.0]
        days = max(0, self.market.as_of_ms - vault.created_ms) // (24 * HOUR_MS)
        return [
            {
                "user": name,
                "vaultEquity": from_float(share * equity),
                "pnl": "0.0",
                "allTimePnl": "0.0",
                "daysFollowing": days,
                "vaultEntryTime": vault.created_ms,
                "lockupUntil": vault.created_ms + 24 * HOUR_MS,
            }
            for name, share in zip(names, shares, strict=True)
        ]

    def leaderboard(self) -> Json:
        """Rows by account value, largest first."""
        return {"leaderboardRows": [self._leader(row) for row in self._listed().tolist()]}

    def _listed(self) -> Ints:
        market = self.market
        holds = (market.hyperliquid.ledger.lots != 0).any(axis=1)
        plain = np.ones(holds.size, np.bool_)
        plain[[vault.row for vault in self.roles.vaults.values() if vault.row is not None]] = False
        plain[list(self.roles.master_of)] = False
        able = np.flatnonzero(plain & (self._performance["allTime"].pnl > 0) & (self._values > 0))
        ranked = able[np.argsort(-self._values[able], kind="stable")]
        enough = np.cumsum(holds[ranked]) <= LISTED_SHARE * holds.sum()
        return np.asarray(ranked[enough])

    def _leader(self, row: int) -> Json:
        value = float(self._values[row])
        return {
            "ethAddress": self._name(row),
            "accountValue": from_float(round(value, 6)),
            "windowPerformances": [
                [window, _performed(value, float(done.pnl[row]), float(done.volume[row]))]
                for window, done in self._performance.items()
            ],
            "prize": 0,
            "displayName": None,
        }


def _performed(value: float, pnl: float, volume: float) -> Json:
    """Return on what the account would hold without the profit, at least a tenth of what it holds."""
    roi = pnl / max(value - pnl, 0.1 * value, 1e-6)
    return {
        "pnl": from_float(round(pnl, 6)),
        "roi": from_float(round(roi, 10)),
        "vlm": from_float(round(volume, 6)),
    }


def _relationship(vault: Vault) -> Json:
    if vault.relationship == "parent":
        return {"type": "parent", "data": {"childAddresses": list(vault.children)}}
    return {"type": vault.relationship}
