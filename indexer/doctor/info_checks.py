"""Claims about the info endpoint's markets: shapes and numbers that were taken from other people's readers."""

from typing import Final

from liqtruth.indexer.doctor.claims import Check, Seen
from liqtruth.indexer.doctor.evidence import Evidence
from liqtruth.indexer.errors import WireError
from liqtruth.indexer.info.ahead import difference
from liqtruth.indexer.info.batch_forms import PUBLIC, states_of
from liqtruth.indexer.info.budget import RequestRefused
from liqtruth.indexer.info.client import MAIN
from liqtruth.storage.files.coin_names import is_outcome

COLLATERAL: Final = {
    MAIN: 0, "xyz": 0, "abcd": 0, "para": 0, "mkts": 0, "flx": 360, "km": 360, "vntl": 360, "hyna": 235, "cash": 268,
}  # fmt: skip
"""Spot token of each dex' collateral: USDC 0, USDH 360, USDE 235, USDT0 268. `para` and `mkts` are the least sure."""
FIRST_TIERED_TABLE: Final = 50
USUAL_RECENT: Final = 10
CLOCK_S: Final = 5.0
BATCHED: Final = 4


async def all_perp_metas(evidence: Evidence) -> Seen:
    answer = await evidence.tree("allPerpMetas")
    if not isinstance(answer, list) or len(answer) != len(evidence.markets):
        return Seen("differs", f"no list of {len(evidence.markets)} entries, one a dex")
    if all(isinstance(entry, dict) and "universe" in entry for entry in answer):
        return Seen("holds", f"{len(answer)} metas")
    pairs = all(isinstance(entry, list) and len(entry) == 2 for entry in answer)
    return Seen("differs", "pairs of meta and contexts" if pairs else "entries of another shape")


async def clock(evidence: Evidence) -> Seen:
    reported_s = await evidence.info.reported_time_s()
    if reported_s is None:
        return Seen("differs", evidence.info.clock_warning or "exchangeStatus is not answered")
    ahead_s = evidence.info.ahead_s
    words = f"the exchange's clock is {ahead_s:+.1f} s from this machine's"
    return Seen("holds" if abs(ahead_s) <= CLOCK_S else "differs", words)


async def margin_tables(evidence: Evidence) -> Seen:
    """Ids below 50 name a flat leverage and are not listed; from 50 on they are listed with their tiers."""
    wrong, count = [], 0
    for answer in evidence.markets.values():
        listed = {number for number, _ in answer.meta.margin_tables}
        for asset in answer.meta.universe:
            number = asset.margin_table_id
            if number is None:
                continue
            count += 1
            flat = number < FIRST_TIERED_TABLE
            if flat == (number in listed) or (flat and number != asset.max_leverage):
                wrong.append(f"{asset.name} has table {number} and a maximum of {asset.max_leverage}")
    return Seen.all_of(count - len(wrong), count, "coins' margin tables", wrong[0] if wrong else "")


async def collateral(evidence: Evidence) -> Seen:
    known = {
        dex: answer.meta.collateral_token for dex, answer in evidence.markets.items() if dex in COLLATERAL
    }
    wrong = [
        f"{dex or 'main'} has token {token}, not {COLLATERAL[dex]}"
        for dex, token in known.items()
        if token != COLLATERAL[dex]
    ]
    return Seen.all_of(len(known) - len(wrong), len(known), "known dexes' collateral", "; ".join(wrong))


async def no_outcomes(evidence: Evidence) -> Seen:
    names = [asset.name for answer in evidence.markets.values() for asset in answer.meta.universe]
    wrong = [name for name in names if is_outcome(name)]
    return Seen.all_of(len(names) - len(wrong), len(names), "listed perps", ", ".join(wrong[:3]))


async def recent_trades(evidence: Evidence) -> Seen:
    if not evidence.trades:
        return Seen("not_seen", "no coin had a recent trade")
    most = max(
        sum(trade.coin == coin for trade in evidence.trades) for coin in {t.coin for t in evidence.trades}
    )
    return Seen(
        "holds" if most >= USUAL_RECENT else "differs", f"{most} trades of a coin, each with both addresses"
    )


async def liquidatable(evidence: Evidence) -> Seen:
    answer = await evidence.tree("liquidatable")
    if not isinstance(answer, list):
        return Seen("differs", "no list")
    kinds = sorted({kind for row in answer for kind in _kinds(row)})
    if "?" in kinds:
        return Seen("differs", "rows without user and positionIndex")
    if not answer:
        return Seen("not_seen", "nobody is liquidatable now")
    return Seen("holds", f"{len(answer)} accounts, positionIndex {' and '.join(kinds)}")


def _kinds(row: object) -> list[str]:
    index = row.get("positionIndex") if isinstance(row, dict) and "user" in row else None
    if isinstance(index, str):
        return [index]
    return list(index) if isinstance(index, dict) else ["?"]


async def batches(evidence: Evidence) -> Seen:
    """A state per account as single requests give it, which is all that is built on; its weight shows nowhere."""
    users = [account.address for account in evidence.accounts[:BATCHED]]
    if not users:
        return Seen("not_seen", "no account to ask for")
    try:
        raw = await evidence.info.post(PUBLIC.method, items=len(users), users=users, dex=MAIN)
    except RequestRefused:
        return Seen("holds", "refused, so accounts are read one by one")
    try:
        found = {
            address: await evidence.info.read_state(state, address)
            for address, state in states_of(raw, users, evidence.info.shown_url).items()
        }
    except WireError as error:
        return Seen("differs", f"answered in another shape, which is not used: {error.problem}")
    apart = {user: difference(found[user], await evidence.info.clearinghouse_state(user)) for user in found}
    wrong = [f"{user}: {words}" for user, words in apart.items() if words]
    right = len(found) - len(wrong) if 2 * len(wrong) > len(found) else len(found)
    return Seen.all_of(right, len(users), "states of a batch", wrong[0] if wrong else "some are missing")


CHECKS: Final = (
    Check(
        "all-perp-metas",
        "info",
        "`allPerpMetas` is a list of metas in the order of the dexes",
        all_perp_metas,
    ),
    Check("clock", "info", "`exchangeStatus` reports the exchange's clock", clock),
    Check(
        "margin-tables",
        "info",
        "table ids below 50 are a flat leverage, others are listed with tiers",
        margin_tables,
    ),
    Check("collateral", "info", "builder dexes have the collateral tokens that are documented", collateral),
    Check("no-outcomes", "info", "outcome markets (`#N`, `+N`) are not listed as perps", no_outcomes),
    Check("recent-trades", "info", "`recentTrades` has about ten trades with both addresses", recent_trades),
    Check("liquidatable", "info", "`liquidatable` lists accounts with user and positionIndex", liquidatable),
    Check(
        "batches",
        "info",
        "`batchClearinghouseStates` is refused, or gives the states that single requests give",
        batches,
    ),
)
