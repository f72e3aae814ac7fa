"""The doctor: on the sandbox every claim that it can show holds, and each deviation that is planted is found."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from liqtruth.heatmap.errors import SourceUnreachable
from liqtruth.indexer.doctor import account_checks, info_checks
from liqtruth.indexer.doctor.claims import UNCHECKED, Seen
from liqtruth.indexer.doctor.doctor import CHECKS, Examination, examine
from liqtruth.indexer.doctor.evidence import Account, Evidence, collect
from liqtruth.indexer.evm.sizing import EvmEndpoint
from liqtruth.indexer.info.budget import Budget, Patience
from liqtruth.indexer.info.client import InfoClient
from liqtruth.indexer.info.wire import DexAnswer
from liqtruth.sandbox.server import SandboxServer
from tests.conftest import Run

QUICK: Final = Patience(attempts=2, total_s=3.0, first_wait_s=0.01, pause_s=0.01)
STANDS_STILL: Final = {"clock", "evm-blocks"}
"""What differs on a sandbox whose market does not go on."""


@pytest.fixture(autouse=True)
def looks_are_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A market that stands still sends no trade and makes no block, however long one waits."""
    monkeypatch.setattr("liqtruth.indexer.doctor.socket_checks.PATIENCE_S", 0.5)
    monkeypatch.setattr("liqtruth.indexer.doctor.evm_checks.PAUSE_S", 0.1)


def examined(server: SandboxServer, evm: bool = True) -> Examination:
    endpoint = EvmEndpoint(f"{server.base_url}/evm", 0, patience=QUICK) if evm else None
    return asyncio.run(examine(server.base_url, endpoint, None, None, 5.0, patience=QUICK))


def by_name(examination: Examination) -> dict[str, str]:
    return {finding.name: finding.verdict for finding in examination.findings}


def test_what_the_sandbox_shows_holds_and_is_called_synthetic(served: SandboxServer) -> None:
    found = examined(served)
    assert found.synthetic
    verdicts = by_name(found)
    assert len(verdicts) == len(CHECKS) + len(UNCHECKED)
    assert {name for name, verdict in verdicts.items() if verdict == "differs"} <= STANDS_STILL
    assert sum(verdict == "holds" for verdict in verdicts.values()) >= 18
    assert all(verdicts[one.name] == "not_seen" for one in UNCHECKED)


@pytest.mark.parametrize(("knob", "found"), [("usd_scale", "evm-sizes"), ("lot_scale", "evm-positions")])
def test_another_unit_of_hyperevm_is_found(
    served: SandboxServer, monkeypatch: pytest.MonkeyPatch, knob: str, found: str
) -> None:
    monkeypatch.setattr(served.evm_node, knob, 100)
    assert by_name(examined(served))[found] == "differs"


def test_a_door_that_is_not_asked_is_not_seen_and_costs_nothing_else(served: SandboxServer) -> None:
    verdicts = by_name(examined(served, evm=False))
    assert {verdict for name, verdict in verdicts.items() if name.startswith("evm-")} == {"not_seen"}
    assert verdicts["price-cross"] == "holds"


# ------------------------------------------------------------------------------------------ planted deviations


@pytest.fixture(scope="module")
def evidence(served: SandboxServer) -> Evidence:
    async def read() -> Evidence:
        async with InfoClient(served.base_url, Budget(None), patience=QUICK) as info:
            return await collect(info, None, "")

    return asyncio.run(read())


def with_meta(evidence: Evidence, dex: str, **changed: Any) -> Evidence:
    answer = evidence.markets[dex]
    meta = msgspec.structs.replace(answer.meta, **changed)
    return replace(evidence, markets={**evidence.markets, dex: DexAnswer(b"", meta, answer.ctxs, 0.0)})


def with_accounts(evidence: Evidence, change: Callable[[Any], Any]) -> Evidence:
    """Every position of every account changed."""
    accounts: Sequence[Account] = [
        replace(
            account,
            states={
                dex: msgspec.structs.replace(
                    state,
                    asset_positions=[
                        msgspec.structs.replace(entry, position=change(entry.position))
                        for entry in state.asset_positions
                    ],
                )
                for dex, state in account.states.items()
            },
        )
        for account in evidence.accounts
    ]
    return replace(evidence, accounts=accounts)


def looked_at(name: str, evidence: Evidence) -> Seen:
    check = next(check for check in CHECKS if check.name == name)
    return asyncio.run(check.run(evidence))


def test_what_was_read_holds_as_it_is(evidence: Evidence) -> None:
    for name in (
        "collateral",
        "margin-tables",
        "no-outcomes",
        "position-mark",
        "account-value",
        "price-cross",
    ):
        assert looked_at(name, evidence).verdict == "holds", name


def test_another_collateral_an_outcome_market_and_another_table_are_found(evidence: Evidence) -> None:
    assert looked_at("collateral", with_meta(evidence, "xyz", collateral_token=360)).verdict == "differs"
    listed = evidence.markets[""].meta.universe
    outcome = [*listed, msgspec.structs.replace(listed[0], name="#12")]
    assert looked_at("no-outcomes", with_meta(evidence, "", universe=outcome)).verdict == "differs"
    assert looked_at("margin-tables", with_meta(evidence, "", margin_tables=[])).verdict == "differs"


@pytest.mark.parametrize(
    ("name", "field", "factor"),
    [("position-mark", "position_value", 1.02), ("account-value", "position_value", 1.02)],
)
def test_values_that_are_not_at_the_mark_are_found(
    evidence: Evidence, name: str, field: str, factor: float
) -> None:
    planted = with_accounts(
        evidence,
        lambda position: msgspec.structs.replace(position, **{field: factor * getattr(position, field)}),
    )
    assert looked_at(name, planted).verdict == "differs"


def test_other_liquidation_prices_are_found(evidence: Evidence) -> None:
    planted = with_accounts(
        evidence,
        lambda position: msgspec.structs.replace(
            position, liquidation_px=position.liquidation_px and 1.01 * position.liquidation_px
        ),
    )
    assert looked_at("price-cross", planted).verdict == "differs"


def test_a_short_without_a_price_is_found(evidence: Evidence) -> None:
    planted = with_accounts(evidence, lambda position: msgspec.structs.replace(position, liquidation_px=None))
    assert looked_at("null-price", planted).verdict == "differs"


class Answering(InfoClient):
    """Answers that an exchange might give instead."""

    def __init__(self, answers: dict[str, Any]) -> None:
        super().__init__("http://127.0.0.1:9", Budget(None))
        self.answers = answers

    async def post(self, request_type: str, **fields: Any) -> bytes:
        if request_type not in self.answers:
            raise SourceUnreachable("gone")
        return json.dumps(self.answers[request_type]).encode()


@pytest.mark.parametrize(
    ("name", "answers", "verdict"),
    [
        ("all-perp-metas", {"allPerpMetas": [[{"universe": []}, []]] * 2}, "differs"),
        ("all-perp-metas", {"allPerpMetas": [{"universe": []}]}, "differs"),
        ("liquidatable", {"liquidatable": [{"user": "0x", "positionIndex": "cross"}]}, "holds"),
        ("liquidatable", {"liquidatable": [{"account": "0x"}]}, "differs"),
        ("batches", {"batchClearinghouseStates": [{}, {}]}, "differs"),
        ("liquidation-fills", {"userFills": [{"dir": "?", "liquidation": {"markPx": "1"}}]}, "differs"),
        ("liquidation-fills", {"userFills": [{"dir": "Open Long"}]}, "not_seen"),
    ],
)
def test_answers_of_another_shape_are_found(
    evidence: Evidence, name: str, answers: dict[str, Any], verdict: str
) -> None:
    assert looked_at(name, replace(evidence, info=Answering(answers))).verdict == verdict


# ------------------------------------------------------------------------------------------ the command


def test_without_live_the_claims_are_listed_and_nobody_is_asked(run: Run, tmp_path: Path) -> None:
    claims = json.loads(run("doctor", "--json", "--base-url", "http://127.0.0.1:9").stdout)
    assert {claim["name"] for claim in claims} == {check.name for check in CHECKS} | {
        one.name for one in UNCHECKED
    }
    assert {claim["verdict"] for claim in claims} == {"not_seen"}


def test_live_names_what_differs_and_ends_with_1(run: Run, served: SandboxServer) -> None:
    shown = run(
        "doctor", "--live", "--json", "--weight-per-minute", "0", "--base-url", served.base_url, code=1
    )
    found = json.loads(shown.stdout)
    assert found["synthetic"]
    differing = {finding["name"] for finding in found["findings"] if finding["verdict"] == "differs"}
    assert differing
    assert differing <= STANDS_STILL


def test_a_host_that_is_away_is_one_line(run: Run) -> None:
    assert "127.0.0.1:9" in run("doctor", "--live", "--base-url", "http://127.0.0.1:9", code=3).stderr


def test_every_claim_has_a_name_of_its_own() -> None:
    names = [check.name for check in CHECKS] + [one.name for one in UNCHECKED]
    assert len(names) == len(set(names))
    assert {*info_checks.CHECKS, *account_checks.CHECKS} <= set(CHECKS)
