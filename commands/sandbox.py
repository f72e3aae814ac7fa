"""`liqtruth sandbox` and `liqtruth demo`: a synthetic exchange whose truth is known."""

from pathlib import Path
from typing import Annotated, Any

import typer

from liqtruth.commands.grammar import App
from liqtruth.commands.options import parse_coin
from liqtruth.commands.output import Outputs, Target, export_divergence, progress, say_lines
from liqtruth.commands.terminal import say

sandbox_app = App("A synthetic exchange whose truth is known.")


@sandbox_app.command("serve")
def sandbox_serve(
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 takes a free one.")
    ] = 8351,
    seed: Annotated[int, typer.Option(help="The same seed gives the same market.")] = 7,
    accounts: Annotated[int, typer.Option(min=10, help="Accounts on the Hyperliquid-like venue.")] = 3000,
    days: Annotated[int, typer.Option(min=2, max=120, help="Days of history.")] = 30,
    weight_per_minute: Annotated[
        int, typer.Option(min=0, help="Rate limit of the exchange; 0 lifts it.")
    ] = 1200,
    addresses: Annotated[
        Path | None, typer.Option(help="Write the accounts' addresses to this file.")
    ] = None,
    live_hours: Annotated[
        int,
        typer.Option(
            min=0, max=240, help="Hours that the market goes on for after its history; 0 stands still."
        ),
    ] = 0,
    live_speed: Annotated[
        float, typer.Option(min=0.1, help="Simulated seconds per second, with --live-hours.")
    ] = 60.0,
    venues: Annotated[
        str, typer.Option(help="Centralised venues beside it: binance,bybit,okx or some of them.")
    ] = "binance",
) -> None:
    """Serve a synthetic market on loopback in the wire formats of Hyperliquid, Binance, Bybit and OKX."""
    from liqtruth.sandbox import truth
    from liqtruth.sandbox.server import serve_forever

    listed = tuple(name.strip() for name in venues.split(",") if name.strip())
    market = simulated(seed=seed, accounts=accounts, days=days, live_hours=live_hours, venues=listed)
    if addresses is not None:
        addresses.write_text("\n".join(truth.addresses(market)) + "\n")
    speed = live_speed if live_hours else None
    serve_forever(market, "127.0.0.1", port, weight_per_minute or None, on_ready=announce, live_speed=speed)


def demo(
    directory: Annotated[
        Path, typer.Option("--dir", help="Where the report and its data are written.")
    ] = Path("demo"),
    coin: Annotated[str, typer.Option(parser=parse_coin, metavar="COIN", help="Coin to compare.")] = "BTC",
    seed: Annotated[int, typer.Option(help="Seed of the synthetic market.")] = 7,
    accounts: Annotated[int, typer.Option(min=50, help="Accounts on the synthetic exchange.")] = 3000,
    days: Annotated[int, typer.Option(min=2, max=120, help="Days of synthetic history.")] = 30,
) -> None:
    """The whole job on a synthetic exchange.

    Sweeps it, fetches and models its series, compares, and writes the report.
    """
    from liqtruth.compare.divergence.session import compare_exchange
    from liqtruth.heatmap.drawing.figure import write_html
    from liqtruth.sandbox.server import serving_in_thread
    from liqtruth.sandbox.truth import addresses as all_addresses
    from liqtruth.storage.settings import Settings
    from liqtruth.storage.store import Store

    market = simulated(seed=seed, accounts=accounts, days=days)
    listed = all_addresses(market)
    with (
        serving_in_thread(market, weight_per_minute=None) as server,
        Store.open(Settings(data_dir=fresh(directory / "data"))) as store,
        progress("reading accounts", len(listed)) as advance,
    ):
        result, swept = compare_exchange(
            store, coin, listed, server.base_url, server.binance_url, days=days, on_progress=advance
        )
    say_lines(swept.describe())
    write_html(result.truth_map, directory / "map.html")
    say(f"wrote {directory / 'map.html'}", err=True)
    export_divergence(result, Outputs((Target("html", str(directory / "report.html")),)), always_show=True)


def simulated(**spec: Any) -> Any:
    """Run the synthetic market under a progress bar."""
    from liqtruth.sandbox.market.market import MarketSpec, simulate

    with progress("simulating a market (synthetic)", 1.0) as advance:
        return simulate(MarketSpec(**spec), on_progress=advance)


def announce(server: Any) -> None:
    say(f"synthetic market as of {server.as_of:%Y-%m-%dT%H:%MZ}; Ctrl-C ends it")
    say(f"  Hyperliquid: {server.base_url}/info   try: liqtruth index watch --base-url {server.base_url}")
    for name, url in server.venue_urls.items():
        say(f"  {name + ':':<12} {url}   try: liqtruth feed fetch {name} BTC --base-url {url}")
    say(f"  liquidations of {', '.join(server.venue_urls)} on {server.stream_url}")


def fresh(directory: Path) -> Path:
    """An empty directory for the demo's own data."""
    import shutil

    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    return directory
