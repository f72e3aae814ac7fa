"""From a cold start with the leaderboard and an hour of tape: info weight and minutes until 50, 80 and 95 % of open
interest of those who are known is read, with sizes by HyperEVM; run by itself: `python -m benchmarks.bench_cold_evm`.

Beside it the scheduler without sizes, round-robin, and an oracle that knows every size and cost. Minutes are at the
public limits, 960 of weight and 100 requests of 200 reads. Sizes come in parts, as `indexer.evm.sizing` has them, a
tenth as large. `watched` sizes those first of whom most is expected, and reads what is largest by what is known so far,
as a watch does; `swept` sizes the list as the leaderboard has it, and reads the largest that is known to hold
something, as a sweep does; `sized` reads after everyone is sized. The map's error (Wasserstein-1, percent of price) is
at the same minutes for all. On three seeds on which no constant was chosen; the market is a tenth of the exchange's
size, and all times with it.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "indexer"))
sys.path.insert(0, str(Path(__file__).parents[1]))

from market_replay import (
    Floats,
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

from benchmarks.telling import say
from liqtruth.indexer.discovery.size_prior import PRIOR, SizePrior
from liqtruth.indexer.evm.sizing import parts_of

SEEDS: Final = (37, 41, 43)
ACCOUNTS: Final = 3_000
DORMANT: Final = 12_000
BOARDS: Final = {"the sandbox's leaderboard": None, "three quarters of accounts listed": 0.75}
SHARES: Final = (0.5, 0.8, 0.95)
AT: Final = (0.25, 0.5, 1.0, 1.5)
"""Of the oracle's time to 95 %."""
WEIGHT_PER_MINUTE, READS_PER_MINUTE = 960.0, 20_000.0
DEXES: Final = 2
SCALE, BATCH = 10, 10
BOARD_VALUE: Final = 2
"""Column of hints that orders accounts as the leaderboard does; who is not on it comes after."""
UNREAD_WEIGHT: Final = 4
"""What an account that nobody read is taken to cost (`indexer.watch.crawl_queue`)."""


def of_known(truth: Truth, hints: Hints) -> tuple[Truth, Hints]:
    """The same of whoever the leaderboard or the tape names."""
    at = np.flatnonzero(hints.named)
    columns = {name: getattr(truth, name)[at] for name in ("szi", "liq_px", "weight")}
    return replace(truth, **columns), Hints(hints.columns[at], hints.named[at])


def sized_at(first: Floats, sizing: float) -> Floats:
    """Minutes at which each account is sized, where those with the most of `first` are sized first."""
    turn = np.argsort(np.argsort(-first, kind="stable"))
    ends = np.array([SCALE * start + len(part) for start, part in parts_of(range(SCALE * turn.size))])  # type: ignore[arg-type]
    return np.asarray(sizing * ends[np.searchsorted(ends, SCALE * turn, side="right")] / ends[-1])


def order_while_sizing(truth: Truth, known_at: Floats, expected: Floats) -> tuple[Ints, float]:
    """Read while everyone is sized, a batch of accounts each time: by size where it is known by then, else by what is
    `expected` (nan: not before it is known). The order, and the minutes in which nothing was read."""
    unread, order = np.ones(truth.weight.size, np.bool_), list[Ints]()
    spent, waited = 0.0, float(known_at.min())
    while unread.any():
        minutes = spent / WEIGHT_PER_MINUTE + waited
        now = np.where(known_at <= minutes + 1e-12, np.maximum(truth.account_usd, 1e-9), expected)
        at = np.flatnonzero(unread & (now > 1e-9) | unread & (known_at.max() <= minutes + 1e-12))
        if not at.size:
            waited += float(known_at[known_at > minutes + 1e-12].min()) - minutes
            continue
        rows = at[np.argsort(-now[at], kind="stable")[:BATCH]]
        unread[rows] = False
        spent += float(truth.weight[rows].sum())
        order.append(rows)
    return np.concatenate(order), waited


def error_after(truth: Truth, order: Ints, minutes: float) -> float:
    """Wasserstein-1 (percent) of the map of what was read in this order by then."""
    read = order[np.cumsum(truth.weight[order]) <= WEIGHT_PER_MINUTE * minutes]
    szi = np.zeros(truth.szi.shape)
    szi[read] = truth.szi[read]
    return map_error(truth, szi, truth.liq_px).wasserstein_pct


def measure(seed: int, listing: str) -> None:
    replay = Replay.of(seed, ACCOUNTS, live_hours=1, dormant=DORMANT)
    hints = hour_of_hints(replay, BOARDS[listing], 1)
    whole = replay.truth()
    named = float(whole.account_usd[hints.named].sum() / whole.account_usd.sum())
    truth, known = of_known(whole, hints)
    count = truth.weight.size
    sizing = DEXES * count / READS_PER_MINUTE
    expected, board = SizePrior(PRIOR).expected_usd(known.columns), known.columns[:, BOARD_VALUE]
    watched, first = order_while_sizing(truth, sized_at(expected, sizing), expected)
    swept, waited = order_while_sizing(truth, sized_at(board, sizing), np.full(count, np.nan))
    waits = {"sized": sizing, "watched": first, "swept": waited}
    orders = {
        "watched": watched,
        "swept": swept,
        "sized": warm_order(truth, truth.account_usd, np.full(count, UNREAD_WEIGHT)),
        "unsized": cold_order(truth, known),
        "round-robin": round_robin_order(count),
        "oracle": truth.oracle_order,
    }
    say(
        f"seed {seed}, {listing}: {count:,} known accounts have {named:.0%} of OI; sizing {sizing:.2f} minutes"
    )
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


def main() -> None:
    for seed in SEEDS:
        for board in BOARDS:
            measure(seed, board)


if __name__ == "__main__":
    main()
