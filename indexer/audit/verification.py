"""What two readers of one account saw, beside each other, for people and for JSON."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from liqtruth.heatmap.errors import LeftOut
from liqtruth.heatmap.text import counted
from liqtruth.indexer.margin.checks import AGREE, DIFFER, words_of
from liqtruth.indexer.margin.solved import MISMATCH


@dataclass(frozen=True)
class VerifiedPosition:
    """One position by both readers; a null price is the exchange's own null, a null size a position not shown."""

    dex: str
    coin: str
    szi_sdk: float | None
    szi_ours: float | None
    liq_px_sdk: float | None
    liq_px_ours: float | None
    liq_px_solved: float | None
    status: str
    check: str = "agree"

    @property
    def read_alike(self) -> bool:
        return self.szi_sdk == self.szi_ours and self.liq_px_sdk == self.liq_px_ours

    @property
    def difference(self) -> float | None:
        """Relative difference of the solved price from the one that the SDK read; null where one has none."""
        if self.liq_px_sdk is None or self.liq_px_solved is None:
            return None
        return self.liq_px_solved / self.liq_px_sdk - 1

    @property
    def checked(self) -> bool:
        """A price or a null of ours was held against the exchange's."""
        return self.check in AGREE or self.check in DIFFER

    @property
    def solved_alike(self) -> bool:
        difference = self.difference
        if not self.checked:
            return False
        return self.liq_px_sdk is self.liq_px_solved if difference is None else abs(difference) <= MISMATCH


@dataclass(frozen=True)
class Verification:
    """One account by the SDK and by us.

    `mode_sdk` is what `userAbstraction` says, `mode_ours` what the spot state tells. `available_usd` is K of the main
    collateral as sent; `available_by_formula_usd` the same by the documented sum, where every dex was read and the
    account is unified.
    """

    address: str
    base_url: str
    dexes: tuple[str, ...]
    sdk_at: datetime
    ours_at: datetime
    mode_sdk: str | None
    mode_ours: str | None
    account_value_sdk_usd: float
    account_value_ours_usd: float
    available_usd: float | None
    available_by_formula_usd: float | None
    positions: tuple[VerifiedPosition, ...]
    left_out: LeftOut = field(default_factory=LeftOut)

    def raise_if_partly(self) -> None:
        """Raise `PartlyRead` where something of the account could not be read."""
        self.left_out.raise_any("verify again later")

    @property
    def agrees(self) -> bool:
        """Everything was read alike and every price was reproduced; one that could not be checked was not."""
        return all(position.read_alike and position.solved_alike for position in self.positions)

    def describe(self) -> list[str]:
        """Lines for people: one position a line, both readers side by side."""
        where = ", ".join(dex or "the main dex" for dex in self.dexes)
        if not self.positions:
            return [
                f"{self.address} holds nothing on {where} at {self.base_url}, by the SDK and by us; an agent's "
                "wallet shows nothing either: ask for its master account"
            ]
        lines = [self._heading(where), *self._facts(), *_table(self.positions)]
        read = sum(position.read_alike for position in self.positions)
        solved = sum(position.solved_alike for position in self.positions)
        unchecked = sum(not position.checked for position in self.positions)
        verdict = (
            f"{read} of {counted(len(self.positions), 'position')} read alike; {solved} agree (to {MISMATCH:g}), "
            f"{len(self.positions) - solved - unchecked} differ, {unchecked} not checked"
        )
        return [*lines, verdict]

    def _heading(self, where: str) -> str:
        apart_s = abs((self.ours_at - self.sdk_at).total_seconds())
        return (
            f"{self.address} on {where} at {self.base_url}: the SDK's reading of "
            f"{self.sdk_at:%Y-%m-%dT%H:%M:%S}Z, ours {apart_s:.1f} s apart"
        )

    def _facts(self) -> list[str]:
        lines = [
            f"mode: {self.mode_sdk or 'not told'} by userAbstraction, {self.mode_ours or 'not told'} by the spot state",
            f"account value: {self.account_value_sdk_usd:,.2f} USD by the SDK, "
            f"{self.account_value_ours_usd:,.2f} by us",
        ]
        if self.available_usd is not None:
            formula = self.available_by_formula_usd
            check = "" if formula is None else f", {formula:,.2f} by the documented sum"
            lines.append(f"available after maintenance: {self.available_usd:,.2f} USD as sent{check}")
        return lines


def _table(positions: Sequence[VerifiedPosition]) -> list[str]:
    head = (
        "coin",
        "size by SDK",
        "size by us",
        "price by SDK",
        "price by us",
        "solved",
        "difference",
        "check",
    )
    cells = [head, *(_cells(position) for position in positions)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    return [
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
        for row in cells
    ]


def _cells(held: VerifiedPosition) -> tuple[str, ...]:
    difference = held.difference
    return (
        held.coin,
        *(
            f"{number:.12g}" if number is not None else "none"
            for number in (held.szi_sdk, held.szi_ours, held.liq_px_sdk, held.liq_px_ours, held.liq_px_solved)
        ),
        "" if difference is None else f"{difference:+.1e}",
        words_of(held.check),
    )
