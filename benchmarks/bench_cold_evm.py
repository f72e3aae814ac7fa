"""From a cold start with the leaderboard and an hour of tape: info weight and minutes until 50, 80 and 95 % of open
interest of those who are known is read, with sizes by HyperEVM; run by itself: `python -m benchmarks.bench_cold_evm`.

Beside it the scheduler without sizes, round-robin, and an oracle that knows every size and cost. Minutes are at the
public limits, 960 of weight and 100 requests of 200 reads. `watched` sizes those first of whom most is expected, a
tenth at a time, and reads what is largest by what is known so far, as a watch does; `sized` reads after everyone is
sized, as a sweep does. The map's error (Wasserstein-1, percent of price) is at the same minutes for all. On three
seeds on which no constant was chosen; the market is a tenth of the exchange's size, and all times with it.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "indexer"))
sys.path.insert(0, str(Path(__file__).parents[1]))

from market_replay import (
    Hints,
    Ints,
    Replay,
    Truth,
    cold_order,
    hour_of_hints,
    map_error,
    round_robin_order,
    warm_order,
)

from liqtruth.indexer.discovery.size_prior import PRIOR, SizePrior

SEEDS: Final = (37, 41, 43)
ACCOUNTS: Final = 3_000
DORMANT: Final = 12_000
BOARDS: Final = {"the sandbox's leaderboard": None, "three quarters of accounts listed": 0.75}
SHARES: Final = (0.5, 0.8, 0.95)
AT: Final = (0.25, 0.5, 1.0, 1.5)
"""Of the oracle's time to 95 %."""
WEIGHT_PER_MINUTE, READS_PER_MINUTE = 960.0, 20_000.0
DEXES: Final = 2
PARTS, BATCH = 10, 10
UNREAD_WEIGHT: Final = 4
"""What an account that nobody read is taken to cost (`indexer.watch.crawl_queue`)."""


def of_known(truth: Truth, hints: Hints) -> tuple[Truth, Hints]:
    """The same of whoever the leaderboard or the tape names."""
    at = np.flatnonzero(hints.named)
    columns = {name: getattr(truth, name)[at] for name in ("szi", "liq_px", "weight")}
    return replace(truth, **columns), Hints(hints.columns[at], hints.named[at])


def watched_order(truth: Truth, hints: Hints, sizing: float) -> Ints:
    """Read while everyone is sized: a batch of accounts each time, by size where it is known by then, else by hints."""
    count = truth.weight.size
    expected = SizePrior(PRIOR).expected_usd(hints.columns)
    turn = np.argsort(np.argsort(-expected, kind="stable"))
    known_at = sizing * np.ceil((turn + 1) / count * PARTS) / PARTS
    unread, order, spent = np.ones(count, np.bool_), list[Ints](), known_at.min() * WEIGHT_PER_MINUTE
    while unread.any():
        now = np.where(known_at <= spent / WEIGHT_PER_MINUTE, np.maximum(truth.account_usd, 1e-9), expected)
        at = np.flatnonzero(unread)
        rows = at[np.argsort(-now[at], kind="stable")[:BATCH]]
        unread[rows] = False
        spent += float(truth.weight[rows].sum())
        order.append(rows)
    return np.concatenate(order)


def error_after(truth: Truth, order: Ints, minutes: float) -> float:
    """Wasserstein-1 (percent) of the map of what was read in this order by then."""
    read = order[np.cumsum(truth.weight[order]) <= WEIGHT_PER_MINUTE * minutes]
    szi = np.zeros(truth.szi.shape)
    szi[read] = truth.szi[read]
    return map_error(truth, szi, truth.liq_px).wasserstein_pct


def measure(seed: int, board: str) -> None:
    replay = Replay.of(seed, ACCOUNTS, live_hours=1, dormant=DORMANT)
    hints = hour_of_hints(replay, BOARDS[board], 1)
    whole = replay.truth()
    named = float(whole.account_usd[hints.named].sum() / whole.account_usd.sum())
    truth, known = of_known(whole, hints)
    count = truth.weight.size
    sizing = DEXES * count / READS_PER_MINUTE
    waits = {"sized": sizing, "watched": sizing / PARTS}
    orders = {
        "watched": watched_order(truth, known, sizing),
        "sized": warm_order(truth, truth.account_usd, np.full(count, UNREAD_WEIGHT)),
        "unsized": cold_order(truth, known),
        "round-robin": round_robin_order(count),
        "oracle": truth.oracle_order,
    }
    say(f"seed {seed}, {board}: {count:,} known accounts have {named:.0%} of OI; sizing {sizing:.2f} minutes")
    for share in SHARES:
        spent = {name: truth.weight_to(order, share) for name, order in orders.items()}
        least = spent["oracle"] / WEIGHT_PER_MINUTE
        minutes = {name: one / WEIGHT_PER_MINUTE + waits.get(name, 0.0) for name, one in spent.items()}
        shown = ", ".join(
            f"{name} {one / spent['oracle']:.2f}x weight {minutes[name] / least:.2f}x minutes"
            for name, one in spent.items()
            if name != "oracle"
        )
        say(f"  {share:4.0%} of OI: oracle {spent['oracle']:,.0f} weight, {least:.2f} minutes; {shown}")
    whole_minutes = truth.weight_to(orders["oracle"], SHARES[-1]) / WEIGHT_PER_MINUTE
    for part in AT:
        now = part * whole_minutes
        errors = (
            f"{name} {error_after(truth, order, max(now - waits.get(name, 0.0), 0.0)):.2f} %"
            for name, order in orders.items()
        )
        say(f"  error after {now:.2f} minutes: {', '.join(errors)}")


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    for seed in SEEDS:
        for board in BOARDS:
            measure(seed, board)


if __name__ == "__main__":
    main()
