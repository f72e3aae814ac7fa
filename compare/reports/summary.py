"""What a run of `report` came to, as one object: figures and files of every coin, and which conditions failed."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from liqtruth.compare.reports.conditions import FIGURES, Condition, Value
from liqtruth.compare.reports.content import Content
from liqtruth.compare.reports.folder import SUFFIXES
from liqtruth.compare.reports.run import Made, Run

SCHEMA: Final = "liqtruth.report_run/1"


class FigureOf(msgspec.Struct, frozen=True):
    """A figure in `unit`; where it is not known, null and why."""

    value: float | None
    unit: str
    unknown: str | None = None


class MapFigures(msgspec.Struct, frozen=True):
    """A map that was compared, and its figures by name."""

    label: str
    figures: dict[str, FigureOf]


class CoinReport(msgspec.Struct, frozen=True):
    """The report of one coin: `truth` are the figures that no map changes, `lacking` maps that could not be made,
    `files` by their kind."""

    coin: str
    as_of: datetime
    synthetic: bool
    verdict: str
    truth: dict[str, FigureOf]
    maps: tuple[MapFigures, ...]
    lacking: tuple[str, ...]
    files: dict[str, str]


class FailedCondition(msgspec.Struct, frozen=True):
    """A `--fail-if` that holds; `label` is null where it is about the truth, `value` where it is not known."""

    condition: str
    coin: str
    label: str | None
    value: float | None
    unknown: str | None = None


class FailedCoin(msgspec.Struct, frozen=True):
    """A coin without a report."""

    coin: str
    reason: str


class RunSummary(msgspec.Struct, frozen=True):
    """`index` is the page of all reports in the folder, null where none was written."""

    schema: str
    index: str | None
    reports: tuple[CoinReport, ...]
    failed_coins: tuple[FailedCoin, ...]
    conditions: tuple[str, ...]
    failed_conditions: tuple[FailedCondition, ...]


def summary_of(run: Run, conditions: Sequence[Condition], index: Path | None, now: datetime) -> RunSummary:
    """Of a run and the conditions that it was to be held to."""
    return RunSummary(
        SCHEMA,
        None if index is None else str(index),
        tuple(_report(one, now) for one in run.made),
        tuple(FailedCoin(coin, str(why)) for coin, why in run.failed),
        tuple(one.text for one in conditions),
        tuple(
            FailedCondition(
                one.condition.text, one.coin, one.label or None, one.value.number, _unknown(one.value)
            )
            for one in run.held(conditions, now)
        ),
    )


def _report(made: Made, now: datetime) -> CoinReport:
    content = made.content
    return CoinReport(
        content.coin,
        content.as_of,
        content.synthetic,
        content.verdict,
        _figures(content, 0, now, of_truth=True),
        tuple(
            MapFigures(label, _figures(content, at, now, of_truth=False))
            for at, label in enumerate(content.labels)
        ),
        made.lacking,
        {suffix.removeprefix("."): str(made.place.file(suffix)) for suffix in SUFFIXES},
    )


def _figures(content: Content, at: int, now: datetime, *, of_truth: bool) -> dict[str, FigureOf]:
    chosen = {name: one for name, one in FIGURES.items() if one.of_truth == of_truth}
    values = {name: one.of(content, at, now) for name, one in chosen.items()}
    return {
        name: FigureOf(value.number, chosen[name].unit, _unknown(value)) for name, value in values.items()
    }


def _unknown(value: Value) -> str | None:
    return value.why if value.number is None else None
