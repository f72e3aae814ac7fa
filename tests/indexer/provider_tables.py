"""One small market of BTC positions as each provider would export it, in exactly its layout."""

import gzip
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

MARK: Final = 60_000.0
AT: Final = datetime(2026, 8, 21, 11, tzinfo=UTC)
OPENED: Final = datetime(2026, 8, 19, 6, 30, tzinfo=UTC)


@dataclass(frozen=True)
class Holding:
    """A position that agrees with itself at `MARK`; a null price is one that the exchange did not send."""

    number: int
    szi: float
    entry_px: float
    liq_px: float | None
    leverage: int
    margin_mode: str

    @property
    def address(self) -> str:
        return f"0x{self.number:040x}"

    @property
    def value(self) -> float:
        return abs(self.szi) * MARK

    @property
    def pnl(self) -> float:
        return self.szi * (MARK - self.entry_px)

    @property
    def opened(self) -> datetime:
        return OPENED + timedelta(hours=self.number)


HOLDINGS: Final = (
    Holding(1, 2.0, 58_000.0, 54_000.0, 20, "cross"),
    Holding(2, -1.5, 61_000.0, 66_000.0, 10, "isolated"),
    Holding(3, 0.5, 59_500.0, None, 5, "cross"),
    Holding(4, -0.25, 57_000.0, 63_500.0, 40, "cross"),
)
Rows = tuple[Holding, ...]


def hypertracker(rows: Rows = HOLDINGS, **changed: Any) -> str:
    """A CSV of open positions of one coin; `changed` are cells of its first row."""
    made = [
        {
            "id": one.number,
            "address": one.address,
            "coin": "BTC",
            "side": "long" if one.szi > 0 else "short",
            "dex": "",
            "size": abs(one.szi),
            "value": one.value,
            "entryPrice": one.entry_px,
            "unrealizedPnl": one.pnl,
            "funding": -1.25,
            "liquidationPrice": "" if one.liq_px is None else one.liq_px,
            "liquidationProgress": 0.4,
            "crossLeverage": one.leverage if one.margin_mode == "cross" else "",
            "isolatedLeverage": one.leverage if one.margin_mode == "isolated" else "",
            "openTime": f"{one.opened:%Y-%m-%dT%H:%M:%S.000Z}",
            "totalEquity": 50_000,
            "perpEquity": 40_000,
            "countOpenPositions": 1,
        }
        for one in rows
    ]
    made[0] |= changed
    return (
        "\n".join([",".join(made[0]), *(",".join(str(cell) for cell in row.values()) for row in made)]) + "\n"
    )


def liqmap_scan(rows: Rows = HOLDINGS, mode: str = "full", stated: int | None = None) -> str:
    """An hourly scan: a line of names and values, the header, and a row per position."""
    count = len(rows) if stated is None else stated
    above = f"#ts,{AT.isoformat()},px,{MARK},mode,{mode},scanned,31250,btc_positions,{count},elapsed_s,412.7"
    lines = [
        f"{one.address},{one.szi},{one.entry_px},{'' if one.liq_px is None else one.liq_px},{one.leverage},"
        f"{one.margin_mode},{one.pnl},10000.0"
        for one in rows
    ]
    return "\n".join([above, "addr,size,entry,liq,lev,margin,pnl,acct_value", *lines]) + "\n"


def packed_scan(rows: Rows = HOLDINGS, **changed: Any) -> bytes:
    return gzip.compress(liqmap_scan(rows, **changed).encode(), mtime=0)


def coinglass_row(one: Holding, seconds: int = 0, **changed: Any) -> dict[str, Any]:
    """A position as Coinglass lists it, updated so long after `AT`; numbers are numbers, times milliseconds."""
    return {
        "user": one.address,
        "symbol": "BTC",
        "position_size": one.szi,
        "entry_price": one.entry_px,
        "mark_price": MARK,
        "liq_price": one.liq_px,
        "leverage": one.leverage,
        "margin_balance": one.value / one.leverage,
        "position_value_usd": one.value,
        "unrealized_pnl": one.pnl,
        "funding_fee": -3.5,
        "margin_mode": one.margin_mode,
        "create_time": _ms(one.opened),
        "update_time": _ms(AT + timedelta(seconds=seconds)),
        **changed,
    }


def coinglass_list(rows: Rows = HOLDINGS) -> list[dict[str, Any]]:
    """Each row with a time of its own."""
    return [coinglass_row(one, one.number) for one in rows]


def coinglass_page(
    rows: list[dict[str, Any]], page: int = 1, pages: int = 1, **changed: Any
) -> dict[str, Any]:
    data = {"total_pages": pages, "current_page": page, "list": rows}
    return {"code": "0", "msg": "success", "data": {**data, **changed}}


def coinglass_pages() -> list[dict[str, Any]]:
    rows = coinglass_list()
    return [coinglass_page(rows[:2], 1, 2), coinglass_page(rows[2:], 2, 2)]


def whale_alerts() -> dict[str, Any]:
    row = {
        "user": HOLDINGS[0].address, "symbol": "BTC", "position_size": 2.0, "entry_price": 58_000.0,
        "liq_price": 54_000.0, "position_value_usd": 120_000.0, "position_action": 2, "create_time": _ms(AT),
    }  # fmt: skip
    return {"code": "0", "msg": "success", "data": [row]}


def ccxt_positions(rows: Rows = HOLDINGS[:1]) -> list[dict[str, Any]]:
    """What a program that asks ccxt for the positions of one account saves."""
    return [
        {
            "info": {"position": {"coin": "BTC", "szi": str(one.szi)}},
            "symbol": "BTC/USDC:USDC",
            "timestamp": None,
            "isolated": one.margin_mode == "isolated",
            "side": "long" if one.szi > 0 else "short",
            "contracts": abs(one.szi),
            "contractSize": None,
            "entryPrice": one.entry_px,
            "markPrice": None,
            "notional": one.value,
            "leverage": one.leverage,
            "collateral": one.value / one.leverage,
            "unrealizedPnl": one.pnl,
            "liquidationPrice": one.liq_px,
            "marginMode": one.margin_mode,
        }
        for one in rows
    ]


def lines(entries: list[Any]) -> str:
    return "\n".join(json.dumps(one) for one in entries) + "\n"


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)
