"""What deciding whom to read is worth: weight and map error against round-robin and an oracle, on synthetic markets.

Run as a script it prints the figures; under pytest-benchmark it times one decision over 100,000 accounts.
"""

import sys
from pathlib import Path
from typing import Final

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "indexer"))
sys.path.insert(0, str(Path(__file__).parents[1]))

from market_replay import (
    Hints,
    Replay,
    Truth,
    cold_order,
    hour_of_hints,
    kept_book,
    map_error,
    round_robin_order,
    run_continuously,
    warm_order,
)

from benchmarks.telling import say
from liqtruth.indexer.watch.scheduler import Candidates, choose, priorities

SEEDS: Final = (5, 11, 23)
ACCOUNTS: Final = 3000
SHARES: Final = (0.5, 0.8, 0.95)
BOARDS: Final = {"the sandbox's leaderboard": None, "three quarters of accounts listed": 0.75}


@pytest.fixture(scope="module")
def candidates() -> Candidates:
    rng = np.random.default_rng(7)
    count = 100_000
    return Candidates(
        size_usd=rng.lognormal(8, 2, count),
        traded_usd=np.where(rng.random(count) < 0.1, rng.lognormal(6, 2, count), 0.0),
        expected_usd=rng.lognormal(5, 2, count),
        distance=rng.exponential(0.3, count),
        dirty_since_s=np.where(rng.random(count) < 0.1, 1.0, np.nan),
        read_s=np.where(rng.random(count) < 0.5, 1.0, np.nan),
        weight=np.where(rng.random(count) < 0.5, 2, 4),
    )


@pytest.mark.benchmark(group="one decision over 100,000 accounts")
def test_choose(benchmark: BenchmarkFixture, candidates: Candidates) -> None:
    assert benchmark(lambda: choose(candidates, 960, 7200.0)).size > 200


@pytest.mark.benchmark(group="one decision over 100,000 accounts")
def test_sorted_list(benchmark: BenchmarkFixture, candidates: Candidates) -> None:
    """The same order by a sort of Python tuples, as a heap of accounts would keep it."""
    worth = priorities(candidates, 7200.0).tolist()
    benchmark.pedantic(lambda: sorted(zip(worth, range(len(worth)), strict=True), reverse=True), rounds=3)


def print_cold(seed: int, dormant: int) -> None:
    for name, share in BOARDS.items():
        for looks in (1, 2):
            replay = Replay.of(seed, ACCOUNTS, live_hours=1, dormant=dormant)
            hints = hour_of_hints(replay, share, looks)
            truth = replay.truth()
            named = float(truth.account_usd[hints.named].sum() / truth.account_usd.sum())
            say(
                f"cold, seed {seed}, {replay.size:,} addresses, {name} ({looks} looks): hints name {named:.0%} of OI"
            )
            print_weights(truth, hints, (*SHARES, 0.95 * named))


def print_weights(truth: Truth, hints: Hints, shares: tuple[float, ...]) -> None:
    ours, oracle, turn = cold_order(truth, hints), truth.oracle_order, round_robin_order(truth.weight.size)
    for share in shares:
        spent, least, most = (truth.weight_to(order, share) for order in (ours, oracle, turn))
        errors = [error_after(truth, order, spent) for order in (ours, oracle, turn)]
        say(
            f"  {share:6.1%} of OI: weight {spent:8,.0f}, oracle {least:8,.0f} ({spent / least:5.2f}x), "
            f"round-robin {most:8,.0f} ({spent / most:4.2f}x); Wasserstein-1 after that weight "
            f"{errors[0]:.2f} / {errors[1]:.2f} / {errors[2]:.2f} %"
        )


def error_after(truth: Truth, order: np.ndarray, weight: float) -> float:
    """Wasserstein-1 (percent) of the map of what was read for `weight` in this order."""
    read = order[np.cumsum(truth.weight[order]) <= weight]
    szi = np.zeros(truth.szi.shape)
    szi[read] = truth.szi[read]
    return map_error(truth, szi, truth.liq_px).wasserstein_pct


def print_warm(seed: int, dormant: int) -> None:
    replay = Replay.of(seed, ACCOUNTS, live_hours=6, dormant=dormant)
    then = replay.truth()
    for hours in range(1, 7):
        replay.advance(60)
        if hours in (1, 2, 6):
            now = replay.truth()
            order = warm_order(now, then.account_usd, then.weight)
            ratio = now.weight_to(order, 0.95) / now.weight_to(now.oracle_order, 0.95)
            say(
                f"warm, seed {seed}: book {hours} h old, no tape since: 95 % of OI for {ratio:.2f}x the oracle"
            )


def print_kept(seed: int, dormant: int) -> None:
    for hours in (1, 6):
        replay = Replay.of(seed, ACCOUNTS, live_hours=hours, dormant=dormant)
        now, book_usd, weight = kept_book(replay, 60 * hours)
        ratio = now.weight_to(warm_order(now, book_usd, weight), 0.95) / now.weight_to(now.oracle_order, 0.95)
        say(
            f"warm, seed {seed}: book {hours} h old, kept up by the tape: 95 % of OI for {ratio:.2f}x the oracle"
        )


def print_continuous(seed: int, dormant: int, cycle_hours: float) -> None:
    errors = run_continuously(Replay.of(seed, ACCOUNTS, live_hours=9, dormant=dormant), 9, cycle_hours)
    half = len(errors.ours) // 2
    for measure in ("wasserstein_pct", "displaced_pct"):
        ours, turn = (
            np.mean([getattr(error, measure) for error in run[half:]])
            for run in (errors.ours, errors.round_robin)
        )
        say(
            f"continuous, seed {seed}, {ACCOUNTS + dormant:,} addresses, list read in {cycle_hours:g} h: "
            f"{measure} {ours:.3f}, round-robin {turn:.3f} ({ours / turn:.2f}x); weight {errors.spent[0]:,.0f} "
            f"and {errors.spent[1]:,.0f}"
        )


def main() -> None:
    for seed in SEEDS:
        for dormant in (0, 3 * ACCOUNTS):
            print_cold(seed, dormant)
        print_kept(seed, 3 * ACCOUNTS)
        print_warm(seed, 3 * ACCOUNTS)
        for dormant, cycle_hours in ((0, 6.0), (3 * ACCOUNTS, 6.0), (0, 48.0), (3 * ACCOUNTS, 96.0)):
            print_continuous(seed, dormant, cycle_hours)


if __name__ == "__main__":
    main()


@pytest.mark.benchmark(group="one decision over 100,000 accounts")
def test_floor_of_one_partition(benchmark: BenchmarkFixture, candidates: Candidates) -> None:
    """The most worth, once it is known what each is worth."""
    worth = priorities(candidates, 7200.0)
    assert benchmark(lambda: np.argpartition(worth, -400)[-400:]).size == 400
