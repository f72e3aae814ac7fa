"""A claim about the exchange that the program builds on and nobody has verified, and what one look at it showed."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Literal

from liqtruth.indexer.doctor.evidence import Evidence

Verdict = Literal["holds", "differs", "not_seen"]
Door = Literal["info", "accounts", "HyperEVM", "websocket", "provider", "elsewhere"]
VERDICTS: Final[dict[Verdict, str]] = {"holds": "holds", "differs": "DIFFERS", "not_seen": "not seen"}


@dataclass(frozen=True)
class Seen:
    """What a check saw, in words; `not_seen` is no failure: the exchange showed nothing that decides it."""

    verdict: Verdict
    words: str

    @classmethod
    def all_of(cls, right: int, of: int, words: str, wrong: str = "") -> "Seen":
        """Holds where all cases do; differs naming a case; not seen where there was none."""
        if not of:
            return cls("not_seen", f"nothing to check among {words}")
        if right == of:
            return cls("holds", f"{of} of {of} {words}")
        return cls("differs", f"{of - right} of {of} {words} differ: {wrong}")


@dataclass(frozen=True)
class Check:
    """`claim` is what we build on, `run` looks whether it is so."""

    name: str
    door: Door
    claim: str
    run: Callable[[Evidence], Awaitable[Seen]]


@dataclass(frozen=True)
class Unchecked:
    """A claim that no single look decides, and what would."""

    name: str
    claim: str
    remedy: str


UNCHECKED: Final = (
    Unchecked(
        "open-interest-side",
        "`openInterest` counts one side, in coins",
        "`liqtruth index status` after a watch: more than 52 % of a side seen proves it, more than 100 % disproves it",
    ),
    Unchecked(
        "funding-sign",
        "`cumFunding` is positive where the account paid",
        "no formula of ours uses it; two readings of one account an hour apart decide it",
    ),
    Unchecked(
        "retry-after",
        "an answer of 429 may carry `Retry-After`",
        "it would have to be provoked; the header is obeyed where it comes",
    ),
    Unchecked(
        "node-state-cash",
        "`u` of a node's state is the cross account's cash where isolated positions exist",
        "`liqtruth index node STATE`: its report says how many prices follow from it",
    ),
    Unchecked(
        "node-state-mark",
        "a node's state holds no mark price",
        "`liqtruth index node STATE --marks TABLE` takes marks of that moment; oracle prices stand in without",
    ),
    Unchecked(
        "batch-weight",
        "`batchClearinghouseStates` weighs as much as so many single requests",
        "nobody documents it, and no answer shows it; an answer of 429 within the budget disproves it",
    ),
    Unchecked(
        "batch-provider",
        "providers' batches hold the states that single requests give",
        "`liqtruth index sweep --batch-url URL` compares the first accounts of each dex before any is used",
    ),
    Unchecked(
        "provider-coverage",
        "a provider that states so pushes every liquidation",
        "`liqtruth index fills` of a node's files for the same hours",
    ),
    Unchecked(
        "outcome-collateral",
        "what is held in outcome markets counts where the exchange's available margin counts it, and nowhere else",
        "`liqtruth index verify ADDRESS` on an account with a `+N` balance",
    ),
    Unchecked(
        "disabled-dex",
        "a dex that was disabled leaves a null in `perpDexs`, and the others keep their places",
        "`liqtruth index size` after one was: sizes that are another dex' are refused by comparison",
    ),
    Unchecked(
        "portfolio-same-asset",
        "spot collateral of a perp's own asset is held fixed in its liquidation price",
        "`liqtruth index verify ADDRESS` on such an account at two marks",
    ),
)
