"""Every claim about the exchange that nobody has verified, looked at in one run against the exchange itself.

A check that fails costs itself only; what could not be looked at is `not_seen` with the reason. Against the sandbox,
which was built on the same claims, a run proves that the checks work and nothing about the exchange.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich.table import Table

from liqtruth.heatmap.errors import LiqtruthError
from liqtruth.heatmap.words.notes import any_synthetic
from liqtruth.heatmap.words.text import counted
from liqtruth.indexer.doctor import account_checks, evm_checks, info_checks, provider_checks, socket_checks
from liqtruth.indexer.doctor.claims import UNCHECKED, VERDICTS, Check, Door, Seen, Verdict
from liqtruth.indexer.doctor.evidence import Evidence, collect
from liqtruth.indexer.evm.batches import BatchReader
from liqtruth.indexer.evm.sizing import EvmEndpoint
from liqtruth.indexer.info.budget import Budget, Patience
from liqtruth.indexer.info.client import InfoClient

CHECKS: Final[tuple[Check, ...]] = (
    *info_checks.CHECKS,
    *account_checks.CHECKS,
    *evm_checks.CHECKS,
    *socket_checks.CHECKS,
    *provider_checks.CHECKS,
)
IMPATIENT: Final = Patience(attempts=2, total_s=20.0)


@dataclass(frozen=True)
class Finding:
    """What a check came to."""

    name: str
    door: Door
    claim: str
    verdict: Verdict
    seen: str


@dataclass(frozen=True)
class Examination:
    """All findings, in the order of the checks; those of `elsewhere` no single look decides."""

    source: str
    synthetic: bool
    as_of: datetime
    accounts: int
    weight: int
    findings: tuple[Finding, ...]

    @property
    def differing(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.verdict == "differs")

    def describe(self) -> list[str]:
        """Lines for people, below the table."""
        counts = Counter(finding.verdict for finding in self.findings)
        lines = [
            f"{self.source}, {self.as_of:%Y-%m-%d %H:%M} UTC: of {counted(len(self.findings), 'claim')} "
            f"{counts['holds']} hold, {counts['differs']} differ, {counts['not_seen']} were not seen; "
            f"{counted(self.accounts, 'account')} read, weight {self.weight:,}"
        ]
        if self.synthetic:
            lines.append(
                "SYNTHETIC: the sandbox was built on these claims, so this says that the checks work and nothing about "
                "the exchange"
            )
        lines += [f"DIFFERS {finding.name}: {finding.seen}" for finding in self.differing]
        return lines


def claims_table(findings: tuple[Finding, ...]) -> Table:
    table = Table("claim", "what we build on", "verdict", "what was seen", box=None, pad_edge=False)
    for finding in findings:
        style = "bold" if finding.verdict == "differs" else ""
        table.add_row(finding.name, finding.claim, VERDICTS[finding.verdict], finding.seen, style=style)
    return table


def unexamined() -> tuple[Finding, ...]:
    """All claims, none looked at."""
    listed = [Finding(check.name, check.door, check.claim, "not_seen", "not looked at") for check in CHECKS]
    return (*listed, *_elsewhere())


async def examine(
    base_url: str,
    evm: EvmEndpoint | None,
    weight_per_minute: int | None,
    data_dir: Path | None,
    timeout_s: float = 10.0,
    on_progress: Callable[[int, int], None] = lambda done, of: None,
    patience: Patience = IMPATIENT,
    provider_keys: Mapping[str, str] | None = None,
) -> Examination:
    """Look at everything once; `on_progress` gets how many of all checks are done, `provider_keys` are of those streams
    of fills that are looked at too.

    Raises `SourceUnreachable` where the info endpoint does not answer at all.
    """
    budget = Budget.shared(weight_per_minute, base_url, data_dir)
    async with AsyncExitStack() as stack:
        info = await stack.enter_async_context(InfoClient(base_url, budget, timeout_s, patience=patience))
        await info.reported_time_s()
        reader, lost = await _evm(stack, evm, data_dir, timeout_s, patience)
        evidence = replace(await collect(info, reader, lost), provider_keys=provider_keys or {})
        findings = []
        for done, check in enumerate(CHECKS):
            on_progress(done, len(CHECKS))
            seen = await _run(check, evidence)
            findings.append(Finding(check.name, check.door, check.claim, seen.verdict, seen.words))
        return Examination(
            source=info.source,
            synthetic=any_synthetic([info.source]),
            as_of=datetime.fromtimestamp(info.now_s, UTC),
            accounts=len(evidence.accounts),
            weight=budget.spent,
            findings=(*findings, *_elsewhere()),
        )


async def _run(check: Check, evidence: Evidence) -> Seen:
    try:
        return await check.run(evidence)
    except LiqtruthError as error:
        return Seen("not_seen" if error.retryable else "differs", str(error))


async def _evm(
    stack: AsyncExitStack,
    evm: EvmEndpoint | None,
    data_dir: Path | None,
    timeout_s: float,
    patience: Patience,
) -> tuple[BatchReader | None, str]:
    if evm is None:
        return None, "no --evm-url"
    try:
        client = await stack.enter_async_context(evm.client(data_dir, timeout_s, patience))
    except LiqtruthError as error:
        return None, str(error)
    return BatchReader(client), ""


def _elsewhere() -> list[Finding]:
    return [Finding(one.name, "elsewhere", one.claim, "not_seen", one.remedy) for one in UNCHECKED]
