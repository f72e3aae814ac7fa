"""`liqtruth calibrate transfer`: carry a fitted leverage model over to another venue by its liquidations."""

from datetime import timedelta
from typing import Annotated, Any

import typer

from liqtruth.commands.calibrate import calibrate_app
from liqtruth.commands.options import End, HtmlOut, JsonOut, Start, opened_store, parse_duration
from liqtruth.commands.output import progress, write_json
from liqtruth.commands.terminal import say


@calibrate_app.command("transfer")
def calibrate_transfer(
    venue: Annotated[str, typer.Argument(metavar="VENUE", help="Whose level to set, e.g. bybit.")],
    coins: Annotated[
        list[str], typer.Argument(metavar="COIN...", help="Coins whose liquidations are taken together.")
    ],
    model: Annotated[str, typer.Option(metavar="NAME", help="The fitted leverage model.")] = "calibrated",
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of the transferred model; default: MODEL-VENUE.")
    ] = None,
    start: Start = None,
    end: End = None,
    coverage: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE", help="Share of all liquidations that the feed tells, where you know it."
        ),
    ] = None,
    without_hyperliquid: Annotated[
        bool,
        typer.Option(
            "--without-hyperliquid",
            help="Go without Hyperliquid's own liquidations: the model's bias stays in, errors are wider.",
        ),
    ] = False,
    horizon: Annotated[
        timedelta,
        typer.Option(
            parser=parse_duration,
            metavar="TIME",
            help="Length of a step, at most 2h: what stood at its start is held against what it liquidated.",
        ),
    ] = "1h",  # type: ignore[assignment]
    seed: Annotated[int, typer.Option(min=0, help="Seed of the bootstrap of days.")] = 0,
    json: JsonOut = None,
    html: HtmlOut = None,
) -> None:
    """Carry a fitted leverage model over to VENUE, by the liquidations that the venue told.

    What the same model mispredicts on Hyperliquid is divided out. Liquidations tell of positions near the mark: shares
    of high leverages are corrected whole, of low ones hardly. The feed's coverage must be known: Bybit pushes every
    liquidation; of another venue give --coverage. `liqtruth map model --model vintages --weights NAME` draws with it.
    """
    from liqtruth.compare.transfer.job import Asked, transfer
    from liqtruth.compare.transfer.record import save

    asked = Asked(venue, coins, model, name, start, end, coverage, without_hyperliquid, horizon, seed)
    with opened_store() as store:
        with progress("transfer", 1.0) as advance:
            done = transfer(store, asked, on_progress=advance)
        path = save(store.settings.data_dir, done)
    if html is not None:
        from liqtruth.compare.transfer.shown import write_page

        write_page(done, html)
        say(f"wrote {html}", err=True)
    _tell(done.record, json)
    say(f"wrote {path}", err=True)


def _tell(record: Any, json: str | None) -> None:
    """The table and its lines, or JSON."""
    if json is not None:
        return write_json(record, json)
    from liqtruth.compare.transfer.shown import tell_transfer

    return tell_transfer(record)
