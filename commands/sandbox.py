"""`liqtruth sandbox`: a synthetic exchange whose truth is known."""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from liqtruth.commands.line.grammar import App, Options
from liqtruth.commands.line.output import progress
from liqtruth.commands.line.terminal import say
from liqtruth.commands.line.values import split_names

HOST: Final = "127.0.0.1"
DEFAULT_VENUES: Final = "binance,bybit,okx"
"""As many as `check` asks for."""
STEP_S: Final = 3.0
"""Between lines of progress where no bar can be drawn."""

sandbox_app = App("Serve a synthetic exchange whose truth is known.")


@dataclass(frozen=True)
class MarketOptions(Options):
    """Which market is simulated."""

    seed: Annotated[int, typer.Option(help="The same seed gives the same market.")] = 7
    accounts: Annotated[int, typer.Option(min=10, help="Accounts on the Hyperliquid-like venue.")] = 3000
    days: Annotated[int, typer.Option(min=2, max=120, help="Days of history.")] = 30
    live_hours: Annotated[
        int,
        typer.Option(
            min=0, max=240, help="Hours that the market goes on for after its history; 0 stands still."
        ),
    ] = 0
    live_speed: Annotated[
        float, typer.Option(min=0.1, help="Simulated seconds per second, with --live-hours.")
    ] = 60.0
    venues: Annotated[
        str, typer.Option(help="Centralised venues beside it: binance,bybit,okx or some of them.")
    ] = DEFAULT_VENUES
    population: Annotated[
        str,
        typer.Option(
            help="Who trades: default, or what leverage goes by: absolute, of-maximum, of-volatility, mixed."
        ),
    ] = "default"

    @property
    def speed(self) -> float | None:
        """Simulated seconds per second; null for a market that stands still."""
        return self.live_speed if self.live_hours else None

    def simulated(self) -> Any:
        return simulated(
            begins=f"a synthetic exchange of {self.accounts:,} accounts and {self.days} days, which trade before it is "
            "served",
            seed=self.seed,
            accounts=self.accounts,
            days=self.days,
            live_hours=self.live_hours,
            venues=tuple(split_names(self.venues)),
            population=self.population,
        )


@sandbox_app.command("serve")
def sandbox_serve(
    market: Annotated[MarketOptions, MarketOptions.spread()],
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 takes a free one.")
    ] = 8351,
    weight_per_minute: Annotated[
        int, typer.Option(min=0, help="Rate limit of the exchange; 0 lifts it.")
    ] = 1200,
    addresses: Annotated[
        Path | None, typer.Option(help="Write the accounts' addresses to this file.")
    ] = None,
    batch: Annotated[
        str,
        typer.Option(
            help="Answer for many accounts at once: public (the info endpoint), provider (at /hypercore), or both."
        ),
    ] = "",
    newest: Annotated[
        bool,
        typer.Option(
            "--newest",
            help="Show what the protocol has of late: outcome markets, USDH, unlisted margin tables.",
        ),
    ] = False,
) -> None:
    """Serve a synthetic market on loopback in the wire formats of Hyperliquid, Binance, Bybit and OKX."""
    from liqtruth.sandbox import truth
    from liqtruth.sandbox.http.connections import check_free
    from liqtruth.sandbox.hyperliquid.batches import Batches
    from liqtruth.sandbox.hyperliquid.protocol import ProtocolParts
    from liqtruth.sandbox.server import serve_forever

    batches = Batches.named(batch)
    check_free(HOST, port)
    made = market.simulated()
    if addresses is not None:
        addresses.write_text("\n".join(truth.addresses(made)) + "\n")
    serve_forever(
        made,
        HOST,
        port,
        weight_per_minute or None,
        on_ready=announce,
        live_speed=market.speed,
        batches=batches,
        protocol=ProtocolParts.newest() if newest else None,
    )


def simulated(past_days: Sequence[int] = (), begins: str = "", **spec: Any) -> Any:
    """Run the synthetic market under a progress bar, or with a line now and then where none can be drawn; `past_days`
    are kept beside its last moment, `begins` is printed once the spec is accepted."""
    from liqtruth.sandbox.market.market import MarketSpec, simulate

    asked = MarketSpec(**spec)
    if begins:
        say(begins, err=True)
    with progress("simulating a market (synthetic)", 1.0) as advance:
        return simulate(asked, in_lines(advance, "simulated"), past_days)


def in_lines(advance: Callable[[float], None], what: str) -> Callable[[float], None]:
    """`advance`, which also prints every `STEP_S` how far it is where stderr is no terminal."""
    shown_s = time.monotonic()

    def advanced(done: float) -> None:
        nonlocal shown_s
        advance(done)
        if time.monotonic() - shown_s >= STEP_S and not sys.stderr.isatty():
            shown_s = time.monotonic()
            say(f"{what} {done:.0%}", err=True)

    return advanced


def announce(server: Any) -> None:
    say(f"synthetic market as of {server.as_of:%Y-%m-%dT%H:%MZ}; Ctrl-C ends it")
    say(f"  Hyperliquid: {server.base_url}/info   try: liqtruth index watch --base-url {server.base_url}")
    say(f"  HyperEVM:    {server.evm_url}    try: liqtruth index size --base-url {server.base_url}")
    if server.batches.provider:
        say(f"  batches:     {server.batch_url}   try: liqtruth index sweep --batch-url {server.batch_url}")
    say(
        f"  providers:   {server.provider_url('goldrush')}   try: LIQTRUTH_GOLDRUSH_KEY=any liqtruth index liquidations"
        f" --provider goldrush --provider-url {server.provider_url('goldrush')} --base-url {server.base_url}"
    )
    others = set(server.venue_urls) != set(DEFAULT_VENUES.split(","))
    venues = f" --venue {','.join(server.venue_urls) or 'none'}" if others else ""
    say(f"  all of it:   try: liqtruth check BTC --base-url {server.base_url}{venues}")
    for name, url in server.venue_urls.items():
        say(f"  {name + ':':<12} {url}   try: liqtruth feed fetch {name} BTC --base-url {url}")
    say(f"  liquidations of {', '.join(server.venue_urls)} on {server.stream_url}")
    sys.stdout.flush()  # whoever reads it through a pipe waits for it
