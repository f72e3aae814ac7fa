"""20,000 `clearinghouseState` answers to the positions frame, beside a Python loop and beside decoding alone."""

import json
from collections.abc import Callable, Sized
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from pytest_benchmark.fixture import BenchmarkFixture

from liqtruth.indexer.frames import POSITIONS, from_columns
from liqtruth.indexer.info.wire import decode_clearinghouse_state
from liqtruth.indexer.positions.accounts import AccountReading, positions_frame
from liqtruth.indexer.sweep.sweep import BATCH_ACCOUNTS

ACCOUNTS: Final = 20_000
GROUP: Final = f"{ACCOUNTS:,} clearinghouseState answers"
ROUNDS: Final = 7
TIME_MS: Final = 1_788_713_175_818


class BareLeverage(msgspec.Struct, rename="camel", gc=False):
    type: str
    value: int
    raw_usd: float | None = None


class BarePosition(msgspec.Struct, rename="camel", gc=False):
    coin: str
    szi: float
    leverage: BareLeverage
    entry_px: float
    position_value: float
    unrealized_pnl: float
    liquidation_px: float | None
    margin_used: float
    max_leverage: int


class BareEntry(msgspec.Struct, gc=False):
    position: BarePosition


class BareSummary(msgspec.Struct, rename="camel", gc=False):
    account_value: float
    total_ntl_pos: float
    total_raw_usd: float
    total_margin_used: float


class BareState(msgspec.Struct, rename="camel", gc=False):
    """The same fields as ours without any check."""

    margin_summary: BareSummary
    cross_margin_summary: BareSummary
    cross_maintenance_margin_used: float
    withdrawable: float
    asset_positions: list[BareEntry]
    time: int


RECORDED: Final = Path(__file__).parents[2] / "shared" / "recorded" / "hyperliquid"
RECORDED_ANSWERS: Final = (
    "capture-2026-09-06/clearinghouseState.json",
    "accounts-2026-06-22/clearinghouse_whale.json",
    "accounts-2026-06-22/clearinghouse_small.json",
)


@pytest.fixture(scope="module")
def recorded() -> list[bytes]:
    """Answers of real accounts, a thousand times each."""
    if not RECORDED.is_dir():
        pytest.skip(f"no recorded payloads at {RECORDED}")
    return [(RECORDED / name).read_bytes() for name in RECORDED_ANSWERS] * 1_000


@pytest.mark.benchmark(group="3,000 recorded clearinghouseState answers")
@pytest.mark.parametrize("how", ["bare msgspec", "our structs", "to the positions frame"])
def test_recorded(benchmark: BenchmarkFixture, recorded: list[bytes], how: str) -> None:
    bare = msgspec.json.Decoder(BareState, strict=False).decode
    work: dict[str, Callable[[], Sized]] = {
        "bare msgspec": lambda: [bare(raw) for raw in recorded],
        "our structs": lambda: [decode_clearinghouse_state(raw, "bench") for raw in recorded],
        "to the positions frame": lambda: framed(recorded),
    }
    assert len(benchmark.pedantic(work[how], rounds=ROUNDS, warmup_rounds=1)) >= len(recorded)


@pytest.fixture(scope="module")
def answers() -> list[bytes]:
    """As the exchange sends them, one to a dozen positions each, four on average."""
    rng = np.random.default_rng(20260906)
    return [json.dumps(answer(rng)).encode() for _ in range(ACCOUNTS)]


def answer(rng: np.random.Generator) -> dict[str, Any]:
    summary = {
        "accountValue": f"{rng.lognormal(9, 2):.6f}",
        "totalNtlPos": f"{rng.lognormal(10, 2):.6f}",
        "totalRawUsd": f"{rng.normal(0, 1e5):.6f}",
        "totalMarginUsed": f"{rng.lognormal(8, 2):.6f}",
    }
    coins = rng.choice(200, 1 + rng.poisson(3), replace=False)
    positions = [{"type": "oneWay", "position": position(rng, f"COIN{coin}")} for coin in coins]
    return {
        "marginSummary": summary,
        "crossMarginSummary": summary,
        "crossMaintenanceMarginUsed": f"{rng.lognormal(5, 2):.6f}",
        "withdrawable": "0.0",
        "assetPositions": positions,
        "time": TIME_MS,
    }


def position(rng: np.random.Generator, coin: str) -> dict[str, Any]:
    szi, px = round(rng.normal(0, 10), 4) or 1.0, round(rng.lognormal(5, 2), 4) + 0.01
    leverage: dict[str, Any] = {"type": "cross", "value": 20}
    if rng.random() < 0.25:
        leverage = {"type": "isolated", "value": 10, "rawUsd": f"{-0.9 * szi * px:.6f}"}
    return {
        "coin": coin,
        "szi": str(szi),
        "leverage": leverage,
        "entryPx": f"{px:.4f}",
        "positionValue": f"{abs(szi) * px:.6f}",
        "unrealizedPnl": f"{rng.normal():.6f}",
        "returnOnEquity": "-0.0026789",
        "liquidationPx": None if rng.random() < 0.2 else f"{0.8 * px:.10f}",
        "marginUsed": f"{abs(szi) * px / 20:.6f}",
        "maxLeverage": 50,
        "cumFunding": {"allTime": "514.085417", "sinceOpen": "0.0", "sinceChange": "0.0"},
    }


def framed(answers: list[bytes]) -> pl.DataFrame:
    """Batch by batch, as a sweep stores them."""
    batches = []
    for start in range(0, len(answers), BATCH_ACCOUNTS):
        readings = [
            AccountReading(f"0x{number:040x}", decode_clearinghouse_state(raw, "bench"), "bench")
            for number, raw in enumerate(answers[start : start + BATCH_ACCOUNTS], start)
        ]
        batches.append(positions_frame(readings))
    return pl.concat(batches)


def looped(answers: list[bytes]) -> pl.DataFrame:
    """The way most readers do it: `json.loads`, a dict per position, a frame of the dicts."""
    rows = []
    for number, raw in enumerate(answers):
        state = json.loads(raw)
        as_of = datetime.fromtimestamp(state["time"] / 1000, UTC)
        for entry in state["assetPositions"]:
            own = entry["position"]
            szi, value, px = float(own["szi"]), float(own["positionValue"]), own["liquidationPx"]
            raw_usd = own["leverage"].get("rawUsd")
            rows.append(
                {
                    "address": f"0x{number:040x}",
                    "dex": "",
                    "coin": own["coin"],
                    "szi": szi,
                    "entry_px": float(own["entryPx"]),
                    "mark_px": value / abs(szi) if value > 0 else None,
                    "notional_usd": value,
                    "margin_mode": own["leverage"]["type"],
                    "leverage": float(own["leverage"]["value"]),
                    "max_leverage": float(own["maxLeverage"]),
                    "margin_used_usd": float(own["marginUsed"]),
                    "isolated_raw_usd": None if raw_usd is None else float(raw_usd),
                    "account_value_usd": float(state["crossMarginSummary"]["accountValue"]),
                    "cross_maintenance_usd": float(state["crossMaintenanceMarginUsed"]),
                    "unrealized_pnl_usd": float(own["unrealizedPnl"]),
                    "liq_px_exchange": None if px is None else float(px),
                    "exchange_read": True,
                    "as_of": as_of,
                    "source": "bench",
                }
            )
    return from_columns({name: [row[name] for row in rows] for name in rows[0]}, POSITIONS)


@pytest.mark.benchmark(group=GROUP)
def test_to_the_positions_frame(benchmark: BenchmarkFixture, answers: list[bytes]) -> None:
    frame = benchmark.pedantic(lambda: framed(answers), rounds=ROUNDS, warmup_rounds=1)
    assert_frame_equal(frame, looped(answers))


@pytest.mark.benchmark(group=GROUP)
def test_bare_msgspec(benchmark: BenchmarkFixture, answers: list[bytes]) -> None:
    """Structs alone: no check, no frame."""
    decode = msgspec.json.Decoder(BareState, strict=False).decode
    states = benchmark.pedantic(lambda: [decode(raw) for raw in answers], rounds=ROUNDS, warmup_rounds=1)
    assert len(states) == ACCOUNTS


@pytest.mark.benchmark(group=GROUP)
def test_bare_msgspec_of_one_document(benchmark: BenchmarkFixture, answers: list[bytes]) -> None:
    """What decoding whole batches could save at most: `BATCH_ACCOUNTS` answers as one list, joined beforehand."""
    decode = msgspec.json.Decoder(list[BareState], strict=False).decode
    starts = range(0, len(answers), BATCH_ACCOUNTS)
    batches = [b"[" + b",".join(answers[start : start + BATCH_ACCOUNTS]) + b"]" for start in starts]
    states = benchmark.pedantic(lambda: [decode(raw) for raw in batches], rounds=ROUNDS, warmup_rounds=1)
    assert sum(map(len, states)) == ACCOUNTS


@pytest.mark.benchmark(group=GROUP)
def test_our_structs(benchmark: BenchmarkFixture, answers: list[bytes]) -> None:
    """With every bound checked, and no frame."""
    states = benchmark.pedantic(
        lambda: [decode_clearinghouse_state(raw, "bench") for raw in answers], rounds=ROUNDS, warmup_rounds=1
    )
    assert len(states) == ACCOUNTS


@pytest.mark.benchmark(group=GROUP)
def test_json_loads_and_a_loop(benchmark: BenchmarkFixture, answers: list[bytes]) -> None:
    frame = benchmark.pedantic(lambda: looped(answers), rounds=3)
    assert frame.height > ACCOUNTS
