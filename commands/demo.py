"""`liqtruth demo`: the whole job on a synthetic exchange, from reading it to a calibrated map beside naive ones."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from liqtruth.commands.calibrate import fit_and_save
from liqtruth.commands.check import answer, watched
from liqtruth.commands.line.output import progress, say_lines
from liqtruth.commands.line.targets import Outputs, Target
from liqtruth.commands.line.terminal import say
from liqtruth.commands.line.values import parse_coin
from liqtruth.commands.sandbox import simulated

if TYPE_CHECKING:
    from liqtruth.compare.check import CheckPlan
    from liqtruth.storage.store import Store

STEP_DAYS: Final = 2
"""Between the days of the archive, and between the last of them and what is compared."""
VENUES: Final = ("hyperliquid", "binance")
SOLD_WITHIN: Final = 0.505
"""Of the mark: the prices of the vendor-like map."""
WHOLE: Final = 2.0
"""No coverage is enough: every account of the list is read."""


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

    Checks it as `liqtruth check` does an exchange: reads its accounts and series, fits leverage on other coins and
    earlier days, and writes how far a vendor-like map, naive ones and the calibrated ones are from the truth.
    """
    from liqtruth.storage.store import Settings, Store

    check_coin(coin)
    say(f"a synthetic exchange of {accounts:,} accounts and {days} days, which trade first")
    market = simulated(earlier_days(days), seed=seed, accounts=accounts, days=days)
    with Store.open(Settings(data_dir=fresh(directory / "data"))) as store:
        plan = read_wire(store, market, coin, directory)
        read_archive(store, market, fresh(directory / "archive"))
        vendor = write_vendor_map(store, coin, days, directory / "vendor.json")
        others = [name for name in market.spec.coins if name != coin]
        fit_unseen(store, others, [then.as_of for then in market.past], coin)
        compare(store, replace(plan, maps=[str(vendor)], venues=VENUES), coin, directory)


def check_coin(coin: str) -> None:
    """Raises `BadParameter` for a coin that the synthetic exchange has not; nothing of an earlier demo is lost."""
    from liqtruth.sandbox.market.market import MarketSpec

    if coin not in (coins := MarketSpec().coins):
        raise typer.BadParameter(f"--coin must be one of {', '.join(coins)}, got {coin!r}")


def earlier_days(days: int) -> list[int]:
    """Days of the history, in its second half, whose positions the archive has."""
    return list(range(days - STEP_DAYS, max(1, days // 2) - 1, -STEP_DAYS))[::-1]


def read_wire(store: "Store", market: Any, coin: str, directory: Path) -> "CheckPlan":
    """As `liqtruth check` does: every account as it stands at the last moment, and the other venue's series."""
    from liqtruth.compare.check import CheckPlan
    from liqtruth.compare.gather import gather
    from liqtruth.indexer.sweep.largest import Endpoint
    from liqtruth.sandbox.server import serving_in_thread
    from liqtruth.sandbox.truth import addresses

    listed = directory / "accounts.txt"
    listed.write_text("\n".join(addresses(market)) + "\n")
    plan = CheckPlan([coin], venues=["binance"], coverage=WHOLE, days=market.spec.days, addresses=[listed])
    with serving_in_thread(market, weight_per_minute=None) as server, watched() as watching:
        gathered = gather(store, plan, Endpoint(server.base_url, server.base_url, None), watching)
    say_lines(gathered.describe())
    return plan


def write_vendor_map(store: "Store", coin: str, days: int, path: Path) -> Path:
    """The map that a vendor would sell of the synthetic Binance: equal-weight tiers, in the layout of Coinglass."""
    import msgspec
    import numpy as np

    from liqtruth.compare.modelled import modelled_map

    drawn = modelled_map(store, coin, "binance", "tiers", f"{days}d")
    near = np.abs(drawn.grid.centers / drawn.mark_px - 1) < SOLD_WITHIN
    prices, amounts = drawn.grid.centers[near], (drawn.long_usd + drawn.short_usd)[near]
    close = repr(drawn.mark_px)
    data = {
        "y_axis": prices.tolist(),
        "liquidation_leverage_data": [[0, int(at), float(amounts[at])] for at in np.flatnonzero(amounts)],
        "price_candlesticks": [[int(drawn.as_of.timestamp()), close, close, close, close, "0"]],
        "update_time": int(drawn.as_of.timestamp() * 1000),
    }
    path.write_bytes(msgspec.json.encode({"code": "0", "msg": "synthetic", "data": data}))
    say(f"{path}: a map in a vendor's layout, of equal-weight leverage tiers on the synthetic Binance")
    return path


def read_archive(store: "Store", market: Any, directory: Path) -> None:
    """What archives have and the wire has not: positions of earlier days, Hyperliquid's own aggregates."""
    from liqtruth.estimator.feeds.imports import import_feed
    from liqtruth.indexer.files.imports import import_paths
    from liqtruth.sandbox.truth import write_archive

    archive = write_archive(market, directory)
    files = [(name, path) for name, paths in archive.aggregates.items() for path in paths]
    with progress("reading the archive", len(files) + 1) as advance:
        positions = [] if archive.positions is None else import_paths(store, [archive.positions], census=True)
        for done, (name, path) in enumerate(files, 1):
            advance(done)
            import_feed(store, path, "hyperliquid", name)
    read = "".join(f"{one.positions:,} earlier positions (moments: {one.readings}), " for one in positions)
    say(f"{directory}: {read}candles and open interest of {', '.join(archive.aggregates)}")


def fit_unseen(store: "Store", coins: Sequence[str], moments: Sequence[Any], compared: str) -> None:
    """Fit leverage on these coins and moments, none of which is `compared` below, if they are enough."""
    from liqtruth.compare.calibration.lake_samples import gather
    from liqtruth.compare.statistics.effective_sample_size import ENOUGH
    from liqtruth.estimator.model.leverage_model import DEFAULT, leverage_model_named
    from liqtruth.heatmap.errors import MissingData

    if not moments:
        return say("not calibrated: the history is too short for earlier days")
    step, prior = timedelta(days=STEP_DAYS), leverage_model_named(DEFAULT)
    try:
        with progress("samples", 1.0) as advance:
            gathered = gather(store, coins, prior, end=moments[-1], step=step, on_progress=advance)
        record = fit_and_save(store.settings.data_dir, gathered)[0].record
    except MissingData as error:
        return say(f"not calibrated: {error}")
    if not record.passes:
        say(
            f"not calibrated: {record.effective_positions:.0f} effective positions a side, {ENOUGH:.0f} are needed"
        )
        return
    say(
        f"calibrated on {', '.join(record.coins)} at {len(moments)} moments from {record.start:%Y-%m-%d} to "
        f"{record.end:%Y-%m-%d} ({len(record.pairs)} samples, {record.effective_positions:.0f} effective positions a "
        f"side); {compared} and the moment compared were not seen"
    )


def compare(store: "Store", plan: "CheckPlan", coin: str, directory: Path) -> None:
    """The exact map against the vendor's and against models of both venues: the answer, and the report."""
    from liqtruth.compare import check
    from liqtruth.heatmap.drawing.figure import write_html
    from liqtruth.indexer.maps.exact import exact_map

    with progress("comparing", 2) as advance:
        checked = check.check_coin(store, plan, coin)
        advance(1)
        write_html(exact_map(store.view(), coin), directory / "map.html")
    say(f"wrote {directory / 'map.html'}", err=True)
    divergence = checked.comparison.divergence
    answer([checked], Outputs((Target("html", str(directory / "report.html")),)))
    if any(model.summary.label == "binance calibrated" for model in divergence.models):
        say("binance calibrated has Hyperliquid's level, not Binance's own, which `liqtruth transfer` fits")
    say(f"{len(divergence.remarks)} remarks to read before believing it are in the report")


def fresh(directory: Path) -> Path:
    """An empty directory for what the demo writes."""
    import shutil

    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    return directory
