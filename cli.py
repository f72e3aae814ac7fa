"""The command line: parse, call one function of a package, render. Packages are imported inside the commands, so
that `liqtruth --help` loads none of them."""

import errno
import os
import sys
import warnings
from collections.abc import Sequence
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.exceptions import TyperException

import liqtruth.commands.transfer
import liqtruth.commands.validate
import liqtruth.commands.visits  # noqa: F401  adds `score visits` and `score leads`
from liqtruth.commands.calibrate import calibrate_app
from liqtruth.commands.feed import feed_app
from liqtruth.commands.index import index_app
from liqtruth.commands.map import map_app
from liqtruth.commands.options import (
    GLOBALS,
    At,
    Coin,
    HtmlOut,
    JsonOut,
    Window,
    opened_store,
    refuse_repeats,
)
from liqtruth.commands.output import export_divergence, progress, show, with_stdout_default
from liqtruth.commands.score import score_app
from liqtruth.commands.terminal import degrade_streams, mend_streams, say, say_error

UNUSABLE = (errno.ENAMETOOLONG, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EINVAL)
"""What the system says of a path that cannot be right."""

app = typer.Typer(
    name="liqtruth",
    help="How far is a modelled liquidation heatmap from the truth on chain?",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
sandbox_app = typer.Typer(no_args_is_help=True, help="A synthetic exchange whose truth is known.")
app.add_typer(index_app, name="index")
app.add_typer(map_app, name="map")
app.add_typer(feed_app, name="feed")
app.add_typer(calibrate_app, name="calibrate")
app.add_typer(score_app, name="score")
app.add_typer(sandbox_app, name="sandbox")


@app.callback(invoke_without_command=True)
def root(
    data_dir: Annotated[
        Path | None,
        typer.Option(
            envvar="LIQTRUTH_DATA_DIR", help="Where everything is stored; default: the user's data directory."
        ),
    ] = None,
    show_version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    GLOBALS.data_dir = data_dir
    if show_version:
        say(f"liqtruth {version('liqtruth')}")
        raise typer.Exit


# -------------------------------------------------------------------------------------------- compare


@app.command("compare")
def compare(
    coin: Coin,
    at: At = None,
    truth: Annotated[str, typer.Option(help="The map to measure against.")] = "exact",
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="VENUE:MODEL, may be repeated; default binance:tiers, binance:bell and, where a model was fitted, "
            "binance:calibrated and hyperliquid:calibrated."
        ),
    ] = None,
    window: Window = "30d",
    tolerance_pct: Annotated[
        float, typer.Option(help="Clusters match within this many percent of price.")
    ] = 1.0,
    json: JsonOut = None,
    html: HtmlOut = None,
) -> None:
    """Where the modelled heatmap and the truth diverge, beside a map that knows only the mark."""
    from liqtruth.compare.divergence.session import compare_stored

    with opened_store() as store:
        result = compare_stored(
            store, coin, at=at, truth=truth, models=model, window=window, tolerance_pct=tolerance_pct
        )
    export_divergence(result, json, html)


# -------------------------------------------------------------------------------------------- sandbox


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


@app.command("demo")
def demo(
    directory: Annotated[
        Path, typer.Option("--dir", help="Where the report and its data are written.")
    ] = Path("demo"),
    coin: Annotated[str, typer.Option(help="Coin to compare.")] = "BTC",
    seed: Annotated[int, typer.Option(help="Seed of the synthetic market.")] = 7,
    accounts: Annotated[int, typer.Option(min=50, help="Accounts on the synthetic exchange.")] = 3000,
    days: Annotated[int, typer.Option(min=2, max=120, help="Days of synthetic history.")] = 30,
) -> None:
    """The whole job on a synthetic exchange: sweep it, model it, compare, write the report."""
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
    show(swept, None)
    write_html(result.truth_map, directory / "map.html")
    say(f"wrote {directory / 'map.html'}", err=True)
    export_divergence(result, None, directory / "report.html", always_show=True)


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


def main() -> NoReturn:
    """Run the app; an error that a user can act on is one line on stderr and its exit code."""
    if not os.environ.get("PYTHONWARNINGS"):
        warnings.simplefilter(
            "ignore"
        )  # a library's word to programmers, with a line of source, is for no user
    refuse_repeats(app)
    mend_streams()
    degrade_streams()
    sys.exit(_exit_code(with_stdout_default(sys.argv[1:])))


def _exit_code(arguments: Sequence[str]) -> int:
    from liqtruth.heatmap.errors import LiqtruthError

    try:
        code = app(args=arguments, standalone_mode=False) or 0
        sys.stdout.flush()  # a full disk behind it shows here, not when the interpreter ends
        return code
    except (KeyboardInterrupt, typer.Abort):
        say("interrupted; what was stored stays", err=True)
        return 130
    except BrokenPipeError:  # whoever read the output has enough
        _give_stdout_up()
        return 1
    except TyperException as error:
        return _refused(error, arguments)
    except LiqtruthError as error:
        say_error(error)
        return error.exit_code
    except OSError as error:  # a path that no system call takes, a disk that fails
        _give_stdout_up()
        place = f"{error.filename}: " if error.filename else ""
        say_error(f"{place}{error.strerror or error}")
        return 2 if error.errno in UNUSABLE else 1


def _give_stdout_up() -> None:
    """Where it takes nothing any more, let the interpreter flush another one at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123


def _refused(error: Any, arguments: Sequence[str]) -> int:
    """A line that the parser does not take; a group without a command shows its help."""
    context, message = getattr(error, "ctx", None), error.format_message().rstrip(".")
    if message.startswith("Usage:"):
        typer.echo(message, err=True)
    else:
        given = _given(getattr(error, "param", None), arguments)
        named = "" if given is None or given in message else f", not {given!r}"
        help_of = "" if context is None else f"; see {context.command_path} --help"
        say_error(message + named + help_of)
    return int(error.exit_code)


def _given(parameter: Any, arguments: Sequence[str]) -> str | None:
    """The word that was given for an option, where it stands behind it."""
    names = getattr(parameter, "opts", None) or ()
    return next((value for name, value in pairwise(arguments) if name in names), None)


if __name__ == "__main__":
    main()
