"""`liqtruth transfer`: calibrate a fitted leverage model to another venue by its liquidations."""

from datetime import timedelta
from typing import Annotated

import typer

from liqtruth.commands.line.output import progress, tell
from liqtruth.commands.line.targets import PageOut
from liqtruth.commands.line.terminal import say
from liqtruth.commands.line.values import parse_share
from liqtruth.commands.options.shared import Coins, End, Seed, Start, existing_store, length_option


def transfer(
    venue: Annotated[str, typer.Argument(metavar="VENUE", help="Venue to calibrate to, e.g. bybit.")],
    coins: Coins,
    out: PageOut,
    model: Annotated[str, typer.Option(metavar="NAME", help="The fitted leverage model.")] = "calibrated",
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of the transferred model; default: MODEL-VENUE.")
    ] = None,
    start: Start = None,
    end: End = None,
    coverage: Annotated[
        float | None,
        typer.Option(
            parser=parse_share,
            metavar="SHARE",
            help="Share of all liquidations that the feed reports, where you know it.",
        ),
    ] = None,
    without_hyperliquid: Annotated[
        bool,
        typer.Option(
            "--without-hyperliquid",
            help="Do without Hyperliquid's own liquidations: the model's bias stays in, errors are wider.",
        ),
    ] = False,
    horizon: Annotated[
        timedelta,
        length_option(
            "--horizon",
            help="Length of a step, at most 2h: positions at its start are compared with what was liquidated in it.",
        ),
    ] = "1h",  # type: ignore[assignment]
    seed: Seed = 0,
) -> None:
    """Calibrate a fitted leverage model to another venue by its liquidations.

    Reported liquidations of the venue are compared with what the model predicts, and what the same model mispredicts
    on Hyperliquid is divided out. Liquidations happen near the mark; how far they speak for positions of each leverage
    was learned on synthetic venues: more of them than predicted raise shares of 40x and above, fewer lower all, low
    ones least. Bounds are withheld where the ratio is beyond what was learned from. The feed's coverage must be known:
    Bybit pushes every liquidation; for another venue give --coverage. `liqtruth map model --model vintages --weights
    NAME` draws with it.
    """
    from liqtruth.compare.transfer.job import Asked
    from liqtruth.compare.transfer.job import transfer as carried_over
    from liqtruth.compare.transfer.record import save
    from liqtruth.compare.transfer.shown import tell_transfer, write_page

    asked = Asked(venue, coins, model, name, start, end, coverage, without_hyperliquid, horizon, seed)
    with existing_store() as store:
        with progress("transfer", 1.0) as advance:
            done = carried_over(store, asked, on_progress=advance)
        path = save(store.settings.data_dir, done)
    record = done.record
    tell(record, out, lambda: tell_transfer(record), lambda _, path: write_page(done, path))
    say(f"wrote {path}", err=True)
