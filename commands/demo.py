"""`liqtruth demo`: the whole job on a synthetic exchange, from reading it to a calibrated map beside naive ones."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from liqtruth.commands.calibrate import fit_and_save
from liqtruth.commands.output import progress, say_lines
from liqtruth.commands.sandbox import simulated
from liqtruth.commands.terminal import print_view, say
from liqtruth.commands.values import parse_coin

if TYPE_CHECKING:
    from liqtruth.storage.store import Store

STEP_DAYS: Final = 2
"""Between the days of the archive, and between the last of them and what is compared."""
VENUES: Final = ("hyperliquid", "binance")
NAIVE: Final = ("tiers", "bell")


def demo(
    directory: Annotated[
        Path, typer.Option("--dir", help="Where the report and its data are written.")
    ] = Path("demo"),
    coin: Annotated[str, typer.Option(parser=parse_coin, metavar="COIN", help="Coin to compare.")] = "BTC",
    seed: Annotated[int, typer.Option(help="Seed of the synthetic market.")] = 7,
    accounts: Annotated[int, typer.Option(min=50, help="Accounts on the synthetic exchange.")] = 3000,
    days: Annotated[int, typer.Option(min=2, max=120, help="Days of synthetic history.")] = 30,
) -> None:
    """Run the whole job on a synthetic exchange.

    Sweeps it, fetches its series, fits leverage on other coins and earlier days, and writes how far naive maps and the
    calibrated ones are from the truth.
    """
    from liqtruth.storage.settings import Settings
    from liqtruth.storage.store import Store

    check_coin(coin)
    market = simulated(earlier_days(days), seed=seed, accounts=accounts, days=days)
    with Store.open(Settings(data_dir=fresh(directory / "data"))) as store:
        read_wire(store, market, coin)
        read_archive(store, market, fresh(directory / "archive"))
        others = [name for name in market.spec.coins if name != coin]
        fitted = fit_unseen(store, others, [then.as_of for then in market.past], coin)
        compare(store, coin, days, ("calibrated", *NAIVE) if fitted else NAIVE, directory)


def check_coin(coin: str) -> None:
    """Raises `BadParameter` for a coin that the synthetic exchange has not; nothing of an earlier demo is lost."""
    from liqtruth.sandbox.market.market import MarketSpec

    if coin not in (coins := MarketSpec().coins):
        raise typer.BadParameter(f"--coin must be one of {', '.join(coins)}, got {coin!r}")


def earlier_days(days: int) -> list[int]:
    """Days of the history, in its second half, whose positions the archive has."""
    return list(range(days - STEP_DAYS, max(1, days // 2) - 1, -STEP_DAYS))[::-1]


def read_wire(store: "Store", market: Any, coin: str) -> None:
    """Every account as it stands at the last moment, and the other venue's series."""
    from liqtruth.compare.divergence.session import read_exchange
    from liqtruth.sandbox.server import serving_in_thread
    from liqtruth.sandbox.truth import addresses

    listed = addresses(market)
    with (
        serving_in_thread(market, weight_per_minute=None) as server,
        progress("reading accounts", len(listed)) as advance,
    ):
        swept = read_exchange(
            store,
            coin,
            listed,
            server.base_url,
            server.binance_url,
            days=market.spec.days,
            on_progress=advance,
        )
    say_lines(swept.describe())


def read_archive(store: "Store", market: Any, directory: Path) -> None:
    """What archives have and the wire has not: positions of earlier days, Hyperliquid's own aggregates."""
    from liqtruth.estimator.feeds.imports import import_feed
    from liqtruth.indexer.files.imports import import_paths
    from liqtruth.sandbox.archive import write_archive

    archive = write_archive(market, directory)
    files = [(name, path) for name, paths in archive.aggregates.items() for path in paths]
    with progress("reading the archive", len(files) + 1) as advance:
        positions = [] if archive.positions is None else import_paths(store, [archive.positions], census=True)
        for done, (name, path) in enumerate(files, 1):
            advance(done)
            import_feed(store, path, "hyperliquid", name)
    read = "".join(f"{one.positions:,} earlier positions (moments: {one.readings}), " for one in positions)
    say(f"{directory}: {read}candles and open interest of {', '.join(archive.aggregates)}")


def fit_unseen(store: "Store", coins: Sequence[str], moments: Sequence[Any], compared: str) -> bool:
    """Fit leverage on these coins and moments, none of which is `compared` below; whether the fit passes its gate."""
    from liqtruth.compare.calibration.lake_samples import gather
    from liqtruth.compare.statistics.effective_sample_size import ENOUGH
    from liqtruth.estimator.model.leverage_model import leverage_model_named
    from liqtruth.heatmap.errors import MissingData

    if not moments:
        say("not calibrated: the history is too short for earlier days")
        return False
    step, prior = timedelta(days=STEP_DAYS), leverage_model_named()
    try:
        with progress("samples", 1.0) as advance:
            gathered = gather(store, coins, prior, end=moments[-1], step=step, on_progress=advance)
        record = fit_and_save(store.settings.data_dir, gathered)[0].record
    except MissingData as error:
        say(f"not calibrated: {error}")
        return False
    if not record.passes:
        say(
            f"not calibrated: {record.effective_positions:.0f} effective positions a side, {ENOUGH:.0f} are needed"
        )
        return False
    say(
        f"calibrated on {', '.join(record.coins)} at {len(moments)} moments from {record.start:%Y-%m-%d} to "
        f"{record.end:%Y-%m-%d} ({len(record.pairs)} samples, {record.effective_positions:.0f} effective positions a "
        f"side); {compared} and the moment compared were not seen"
    )
    return True


def compare(store: "Store", coin: str, days: int, models: Sequence[str], directory: Path) -> None:
    """The exact map against models of both venues; the answer on the screen, the rest in files."""
    from liqtruth.compare.divergence.report import write_report
    from liqtruth.compare.divergence.session import compare_stored
    from liqtruth.compare.divergence.terminal import answer_view
    from liqtruth.heatmap.drawing.figure import write_html

    named = [f"{venue}:{model}" for venue in VENUES for model in models]
    report, drawn = directory / "report.html", directory / "map.html"
    with progress("comparing", 3) as advance:
        result = compare_stored(store, coin, models=named, window=f"{days}d")
        advance(1)
        write_html(result.truth_map, drawn)
        advance(2)
        write_report(result.divergence, result.truth_map, result.model_maps, report)
    print_view(answer_view(result.divergence))
    if len(models) > len(NAIVE):
        say("binance calibrated has Hyperliquid's level, not Binance's own, which `liqtruth transfer` fits")
    say(f"{len(result.divergence.remarks)} remarks to read before believing it are in the report")
    say(f"wrote {drawn}", err=True)
    say(f"wrote {report}", err=True)


def fresh(directory: Path) -> Path:
    """An empty directory for what the demo writes."""
    import shutil

    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    return directory
