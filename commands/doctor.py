"""`liqtruth doctor`: whether the exchange is what the program takes it for."""

import asyncio
from typing import Annotated

import typer

from liqtruth.commands.line.output import progress, say_lines, tell
from liqtruth.commands.line.targets import JsonOut
from liqtruth.commands.line.terminal import print_view, say
from liqtruth.commands.options.reading import Evm, Exchange
from liqtruth.commands.options.shared import settings

TABLE_WIDTH = 160


def doctor(
    out: JsonOut,
    exchange: Exchange,
    evm: Evm,
    live: Annotated[
        bool, typer.Option("--live", help="Ask the exchange; without it the claims are only listed.")
    ] = False,
) -> None:
    """Look at every claim about the exchange that the program builds on and nobody has verified.

    Three doors are asked once each: the info endpoint (about 700 of weight), the websocket and HyperEVM; and providers
    whose key is set. A claim that differs is named with what was seen, and the exit code is 1.
    """
    from liqtruth.indexer.doctor.doctor import claims_table, examine, unexamined
    from liqtruth.indexer.node.fill_streams import keys_set

    if not live:
        claims = unexamined()

        def listed() -> None:
            print_view(claims_table(claims), TABLE_WIDTH)
            say("not looked at: `liqtruth doctor --live` asks the exchange")

        return tell(claims, out, listed)

    known = settings()
    with progress("looking", 1.0) as advance:
        found = asyncio.run(
            examine(
                exchange.url,
                evm.endpoint(exchange, beside=True),
                exchange.budget,
                known.data_dir,
                known.request_timeout_s,
                lambda done, of: advance(done / of),
                provider_keys=keys_set(known),
            )
        )

    def shown() -> None:
        print_view(claims_table(found.findings), TABLE_WIDTH)
        say_lines(found.describe())

    tell(found, out, shown)
    if found.differing:
        raise typer.Exit(1)
    return None
