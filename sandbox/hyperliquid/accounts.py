"""One account as Hyperliquid's info endpoint shows it: clearinghouse state, spot state, abstraction;
and what is listed, as `meta`, `spotMeta` and `perpDexs` write it.

Whoever holds a pooled account (unified, portfolio margin) shows only its posted margin in the clearinghouse; the
equity is in the spot state and `tokenToAvailableAfterMaintenance` is what is left above maintenance.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np

from liqtruth.sandbox.hyperliquid.protocol import HYPE, NAMES, OUTCOMES, USDC, ProtocolParts
from liqtruth.sandbox.market.ledger import MICRO
from liqtruth.sandbox.market.listings import (
    BUILDER_DEX,
    Asset,
    Floats,
    Ints,
    fixed,
    from_float,
    from_units,
    scaled_tiers,
)
from liqtruth.sandbox.market.market import Market
from liqtruth.sandbox.market.population import MODE_NAMES, PORTFOLIO, Flags
from liqtruth.sandbox.truth import is_pooled, open_positions

FIRST_BUILDER_ASSET, PER_DEX = 110_000, 10_000
Json = Any
DEPLOYER: Final = "0x" + "5a" * 20
SPOT_META: Final[Json] = {
    "tokens": [
        {"name": "USDC", "szDecimals": 8, "weiDecimals": 8, "index": USDC, "tokenId": "0x" + "6d" * 16,
         "isCanonical": True, "evmContract": None, "fullName": None},
        {"name": "HYPE", "szDecimals": 2, "weiDecimals": 8, "index": HYPE, "tokenId": "0x" + "0d" * 16,
         "isCanonical": False, "evmContract": None, "fullName": "Hyperliquid"},
    ],
    "universe": [{"name": "@107", "tokens": [HYPE, USDC], "index": 107, "isCanonical": False}],
}  # fmt: skip


@dataclass
class AccountBook:
    """Answers by address; unknown addresses get an empty account, as on the exchange."""

    market: Market
    now_ms: Callable[[], int] | None = None
    protocol: ProtocolParts = field(default_factory=ProtocolParts)

    @cached_property
    def row_of(self) -> dict[str, int]:
        return {address: row for row, address in enumerate(self.market.addresses)}

    @property
    def mark(self) -> Ints:
        return np.asarray(self.market.path.mark_units[-1])

    @property
    def oracle(self) -> Ints:
        return np.asarray(self.market.path.oracle_units[-1])

    @cached_property
    def liq_px(self) -> Floats:
        """By account and coin, NaN where there is no position or no price liquidates it."""
        positions = open_positions(self.market, self.market.hyperliquid)
        prices = np.full(self.market.hyperliquid.ledger.lots.shape, np.nan)
        prices[positions.account, positions.coin] = positions.liq_px
        return prices

    @cached_property
    def _maintenance(self) -> Floats:
        return self.market.hyperliquid.ledger.cross_maintenance_usd(self.mark)

    @cached_property
    def _equity(self) -> Floats:
        return self.market.hyperliquid.ledger.cross_equity_usd(self.mark, self.oracle)

    @property
    def _time_ms(self) -> int:
        return self.market.as_of_ms if self.now_ms is None else self.now_ms()

    def abstraction(self, user: str) -> str:
        row = self.row_of.get(user)
        return MODE_NAMES[0] if row is None else MODE_NAMES[self.market.hyperliquid.people.mode[row]]

    def clearinghouse(self, user: str, dex: str) -> Json:
        """State on one dex; the builder dex has isolated positions only."""
        columns = [column for column, asset in enumerate(self._assets) if asset.dex == dex]
        row = self.row_of.get(user)
        if row is None:
            return _summarised([], (0, 0, 0, 0), (0, 0, 0, 0), "0.0", self._time_ms)
        open_columns = [column for column in columns if self.market.hyperliquid.ledger.lots[row, column]]
        return self._state_of(row, open_columns, dex)

    @property
    def _assets(self) -> tuple[Asset, ...]:
        return self.market.hyperliquid.rules.assets

    def _state_of(self, row: int, open_columns: list[int], dex: str) -> Json:
        ledger = self.market.hyperliquid.ledger
        value = {column: int(ledger.lots[row, column] * self.mark[column]) for column in open_columns}
        cross = [column for column in open_columns if not ledger.isolated[row, column]]
        isolated_cash = sum(
            int(ledger.isolated_cash[row, column]) for column in open_columns if column not in cross
        )
        cross_value = sum(value[column] for column in cross)
        margin = sum(abs(value[column]) // int(ledger.leverage[row, column]) for column in cross)
        cash = self._cash_shown(row, cross_value, margin) if dex != BUILDER_DEX else 0
        summary = {
            "cross": (cash, cross_value, sum(abs(value[column]) for column in cross), margin),
            "isolated": (
                isolated_cash,
                sum(value.values()) - cross_value,
                sum(abs(value[column]) for column in open_columns if column not in cross),
                isolated_cash + sum(value.values()) - cross_value,
            ),
        }
        due = from_float(float(self._maintenance[row])) if cross else "0.0"
        positions = [self._position(row, column, value[column]) for column in open_columns]
        return _summarised(positions, summary["cross"], summary["isolated"], due, self._time_ms)

    def _cash_shown(self, row: int, cross_value: int, margin: int) -> int:
        """The cash leg of the dex: all of it, or for a pooled account what posts the margin in use."""
        if not is_pooled(self.market.hyperliquid, row):
            return int(self.market.hyperliquid.ledger.cash[row])
        return min(margin, max(0, int(self._equity[row] * MICRO))) - cross_value

    def _position(self, row: int, column: int, value: int) -> Json:
        ledger, asset = self.market.hyperliquid.ledger, self._assets[column]
        lots, cost = int(ledger.lots[row, column]), int(ledger.cost[row, column])
        setting = int(ledger.leverage[row, column])
        margin = abs(value) // setting
        leverage: Json = {"type": "cross", "value": setting}
        if ledger.isolated[row, column]:
            own = int(ledger.isolated_cash[row, column])
            margin = own + value
            leverage = {"type": "isolated", "value": setting, "rawUsd": from_units(own, 6)}
        gain = value - cost
        liq_px = self.liq_px[row, column]
        return {
            "coin": asset.name,
            "szi": from_units(lots, asset.sz_decimals),
            "leverage": leverage,
            "entryPx": from_float(round(cost / lots / asset.px_scale, 8)),
            "positionValue": from_units(abs(value), 6),
            "unrealizedPnl": from_units(gain, 6),
            "returnOnEquity": fixed(gain / max(abs(cost) / setting, 1), 10),
            "liquidationPx": None if np.isnan(liq_px) else from_float(float(liq_px)),
            "marginUsed": from_units(margin, 6),
            "maxLeverage": int(ledger.max_leverage[row, column]),
            "cumFunding": {
                "allTime": from_units(int(ledger.funding_all_time[row, column]), 6),
                "sinceOpen": from_units(int(ledger.funding_since_open[row, column]), 6),
                "sinceChange": "0.0",
            },
        }

    def liquidatable(self) -> list[Json]:
        """Accounts below maintenance now; `marginAvailable` is invented: equity and maintenance in whole USD."""
        ledger, mark = self.market.hyperliquid.ledger, self.mark
        shape = np.broadcast_shapes(ledger.lots.shape, ledger.table.shape)
        alone = ledger.isolated & (ledger.lots != 0)
        notional = np.abs(ledger.lots * mark) / MICRO
        due = ledger.rules.maintenance_usd(notional, np.broadcast_to(ledger.table, shape))
        equity = ledger.isolated_equity_usd(mark)
        rows = np.flatnonzero((self._maintenance > 0) & (self._equity < self._maintenance)).tolist()
        entries = [self._breach(row, "cross", self._equity[row], self._maintenance[row]) for row in rows]
        for row, column in np.argwhere(alone & (equity < due)).tolist():
            index: Json = {"isolated": {"asset": self._asset_number(column)}}
            entries.append(self._breach(row, index, equity[row, column], due[row, column]))
        return entries

    def _breach(self, row: int, index: Json | str, equity_usd: float, due_usd: float) -> Json:
        available = [int(equity_usd), int(due_usd)]
        return {"user": self.market.addresses[row], "positionIndex": index, "marginAvailable": available}

    def _asset_number(self, column: int) -> int:
        """The exchange's asset id: place in the universe, builder dexs from 110000 on."""
        dex, place = self._places[column]
        return place if dex != BUILDER_DEX else self._first_of_builder + place

    def column_of(self, number: int) -> int | None:
        """The column of an asset id; null where no asset has it."""
        first = self._first_of_builder
        place = (BUILDER_DEX, number - first) if number >= first else ("", number)
        return self._column_at.get(place)

    @property
    def _first_of_builder(self) -> int:
        """Moves with the dexes that are gone before it, while the exchange runs."""
        return FIRST_BUILDER_ASSET + PER_DEX * self.protocol.disabled

    @cached_property
    def _places(self) -> list[tuple[str, int]]:
        """Dex and place in its universe, of each column."""
        dexes = [asset.dex for asset in self._assets]
        return [(dex, dexes[:column].count(dex)) for column, dex in enumerate(dexes)]

    @cached_property
    def _column_at(self) -> dict[tuple[str, int], int]:
        return {place: column for column, place in enumerate(self._places)}

    def spot(self, user: str) -> Json:
        """Balances; for pooled accounts also what is available after maintenance, per token."""
        row = self.row_of.get(user)
        if row is None:
            return {"balances": []}
        if not is_pooled(self.market.hyperliquid, row):
            return {"balances": [_balance("USDC", USDC, "0.0", "0.0")]}
        return self._pooled_spot(row)

    def _in_outcomes(self, total: int) -> int:
        """Of a pooled account's collateral, what is in outcome tokens: a whole number of dollars."""
        return max(0, total // (5 * MICRO)) * MICRO if self.protocol.outcomes else 0

    def _posted_elsewhere(self, isolated: Flags, row: int) -> int:
        """What backs isolated positions of the builder dex, where that has a collateral of its own."""
        if self.protocol.collateral_token == USDC:
            return 0
        ledger = self.market.hyperliquid.ledger
        there = isolated & np.array([asset.dex == BUILDER_DEX for asset in self._assets])
        return int(np.where(there, ledger.isolated_cash[row] + ledger.lots[row] * self.mark, 0).sum())

    def _pooled_spot(self, row: int) -> Json:
        ledger = self.market.hyperliquid.ledger
        value = ledger.lots[row] * self.mark
        isolated = ledger.isolated[row] & (ledger.lots[row] != 0)
        isolated_usd = int(np.where(isolated, ledger.isolated_cash[row] + value, 0).sum())
        cross_value = int(np.where(isolated, 0, value).sum())
        total = int(ledger.cash[row]) + cross_value + isolated_usd
        margin = int((np.abs(value) // ledger.leverage[row])[~isolated].sum())
        hold = min(margin, max(0, int(self._equity[row] * MICRO))) + isolated_usd
        available = float(self._equity[row]) - float(self._maintenance[row])
        apart, posted = self._in_outcomes(total), self._posted_elsewhere(isolated, row)
        state: Json = {
            "balances": [
                _balance(
                    "USDC", USDC, from_units(total - apart - posted, 6), from_units(hold - posted, 6), "0.0"
                )
            ]
        }
        left = [[USDC, from_float(available)]]
        if (token := self.protocol.collateral_token) != USDC:
            shown = from_units(posted, 6)
            state["balances"].append(_balance(NAMES[token], token, shown, shown, "0.0"))
            left.append([token, "0.0"])
        if apart:
            state["balances"].append(_outcome(OUTCOMES[0], from_units(apart, 6)))
        if self.market.hyperliquid.people.mode[row] == PORTFOLIO:
            amount = from_units(int(ledger.collateral_lots[row]), 2)
            state["balances"].append(_balance("HYPE", HYPE, amount, "0.0", self.protocol.ltv))
            state["portfolioMarginEnabled"] = True
            left.append([HYPE, amount])
        state["tokenToAvailableAfterMaintenance"] = left
        return state


def _outcome(number: int, total: str) -> Json:
    """A balance of an outcome, which is no token."""
    return {"coin": f"+{number}", "total": total, "hold": "0.0", "entryNtl": "0.0"}


def _balance(coin: str, token: int, total: str, hold: str, ltv: str | None = None) -> Json:
    row = {"coin": coin, "token": token, "total": total, "hold": hold, "entryNtl": "0.0"}
    return row if ltv is None else {**row, "ltv": ltv}


Summary = tuple[int, int, int, int]


def _summarised(positions: list[Json], cross: Summary, isolated: Summary, due: str, time_ms: int) -> Json:
    whole = tuple(one + other for one, other in zip(cross, isolated, strict=True))
    account_value = cross[0] + cross[1]
    kept = max(cross[3], cross[2] // 10)
    return {
        "marginSummary": _summary(*whole),
        "crossMarginSummary": _summary(*cross),
        "crossMaintenanceMarginUsed": due,
        "withdrawable": from_units(max(0, account_value - kept), 6),
        "assetPositions": [{"type": "oneWay", "position": position} for position in positions],
        "time": time_ms,
    }


def _summary(cash: int, value: int, notional: int, margin: int) -> Json:
    """Money in micro-dollars; the account value is the cash leg plus the signed value of the positions."""
    return {
        "accountValue": from_units(cash + value, 6),
        "totalNtlPos": from_units(notional, 6),
        "totalRawUsd": from_units(cash, 6),
        "totalMarginUsed": from_units(margin, 6),
    }


def listing(asset: Asset) -> Json:
    row = {
        "szDecimals": asset.sz_decimals,
        "name": asset.name,
        "maxLeverage": scaled_tiers(asset.table_id)[0][1],
        "marginTableId": asset.table_id,
    }
    return row if not asset.dex else {**row, "onlyIsolated": True, "marginMode": "strictIsolated"}


def margin_table(table_id: int) -> Json:
    tiers = scaled_tiers(table_id)
    return {
        "description": f"synthetic tiered {tiers[0][1]}x",
        "marginTiers": [
            {"lowerBound": from_float(bound), "maxLeverage": leverage} for bound, leverage in tiers
        ],
    }


def builder_dex(names: list[str]) -> Json:
    return {
        "name": BUILDER_DEX,
        "fullName": "Synthetic builder dex",
        "deployer": DEPLOYER,
        "oracleUpdater": None,
        "feeRecipient": None,
        "assetToStreamingOiCap": [[name, "100000000.0"] for name in names],
        "subDeployers": [],
        "deployerFeeScale": "1.0",
        "lastDeployerFeeScaleChangeTime": "2026-01-01T00:00:00",
        "assetToFundingMultiplier": [[name, "1.0"] for name in names],
        "assetToFundingInterestRate": [[name, "0.0"] for name in names],
    }
