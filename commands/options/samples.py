"""Options of fits: which moments of exact positions they are made from, and where the work is done."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from liqtruth.commands.line.grammar import Options
from liqtruth.commands.options.shared import End, Start, Step

if TYPE_CHECKING:
    from liqtruth.storage.store import Store


@dataclass(frozen=True)
class SampleOptions(Options):
    """Which moments of exact positions are read for a fit, and where the work is done."""

    heading: ClassVar[str] = "Samples"

    start: Start = None
    end: End = None
    step: Step = "6h"  # type: ignore[assignment]
    least_coverage: Annotated[
        float,
        typer.Option(min=0.01, max=1.0, help="Share of open interest that each side of a sample must cover."),
    ] = 0.6
    aggregates: Annotated[
        str,
        typer.Option(
            metavar="VENUE",
            help="Whose series are read; another venue stands in where Hyperliquid's were not stored.",
        ),
    ] = "hyperliquid"
    workers: Annotated[
        int, typer.Option("--workers", min=1, max=256, help="Processes of this machine that read samples.")
    ] = 1
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="Dask scheduler whose workers read samples, e.g. tcp://10.0.0.5:8786."
        ),
    ] = None

    @property
    def wanted(self) -> dict[str, Any]:
        """What a sample must have at least, and whose series are read."""
        from liqtruth.compare.calibration.samples import Limits

        return {"limits": Limits(least_coverage=self.least_coverage), "aggregates": self.aggregates}

    def span_of_files(self) -> Any:
        """The `Span` of moments in given files; raises `BadInput` for options that mean nothing there."""
        from liqtruth.compare.calibration.lake_samples import STEP
        from liqtruth.compare.truths.span import Span
        from liqtruth.heatmap.errors import BadInput

        if self.step != STEP or self.workers > 1 or self.cluster is not None:
            raise BadInput(
                "--truth takes each moment of its files, one after the other: leave out --step, --workers and --cluster"
            )
        return Span(self.start, self.end)

    def gathered(self, store: "Store", coins: list[str]) -> Any:
        """Every sample that the lake gives, under a progress bar."""
        from liqtruth.commands.line.output import progress
        from liqtruth.compare.calibration.lake_samples import gather
        from liqtruth.compare.workers import Workers
        from liqtruth.estimator.model.leverage_model import DEFAULT, leverage_model_named

        with progress("samples", 1.0) as advance:
            return gather(
                store,
                coins,
                leverage_model_named(DEFAULT),
                start=self.start,
                end=self.end,
                step=self.step,
                **self.wanted,
                workers=Workers(self.workers, self.cluster),
                on_progress=advance,
            )


Samples = Annotated[SampleOptions, SampleOptions.spread()]
