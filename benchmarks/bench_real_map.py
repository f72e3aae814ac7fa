"""How far maps are from the one public map of a whole population: BTC on Hyperliquid, 2026-04-05 (recorded).

Wasserstein-1 in percent of price of the crowd, mean of both sides (long/short beside it), within 10, 25 and 50 %
of the mark, and the noise floor. Open interest is a stand-in, the positions are one moment's: it checks shipped models,
nothing is fitted on it and nothing is claimed from it alone. `--model` adds leverage models, by name or file.

    python benchmarks/bench_real_map.py [--model FILE]
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.telling import command_line
from liqtruth.compare.statistics.effective_sample_size import granularity, mean_floor_pct
from liqtruth.compare.statistics.scores import Scores, score
from liqtruth.estimator.feeds.imports import import_feed
from liqtruth.estimator.model.maps import model_map
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.indexer.files.imports import import_paths
from liqtruth.indexer.maps.exact import exact_map
from liqtruth.storage.store import Settings, Store

RECORDED: Final = (
    Path(__file__).parents[2] / "shared" / "recorded" / "hyperliquid" / "whole-state-BTC-2026-04-05"
)
RANGES_PCT: Final = (10.0, 25.0, 50.0)
BASELINES: Final = ("uniform", "moving-average", "tiers", "bell", "volume-profile")
SHIPPED: Final = ("prior", "population")
COIN: Final = "BTC"


def maps(store: Store, venue: str, named: list[str]) -> Iterator[tuple[str, Heatmap]]:
    for model in BASELINES:
        yield model, model_map(store, COIN, venue, model)
    for weights in (*SHIPPED, *named):
        yield Path(weights).stem, model_map(store, COIN, venue, "vintages", weights=weights)


def cell(found: Scores) -> str:
    mean, long, short = (one.wasserstein_pct for one in (found.mean, found.long, found.short))
    return f"{mean:.2f} ({long:.2f}/{short:.2f})"


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--recorded", type=Path, default=RECORDED)
    parser.add_argument("--venue", default="hyperliquid", help="whose maintenance tiers are taken")
    parser.add_argument("--model", action="append", default=[], help="a leverage model, by name or file")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Store.open(Settings(data_dir=Path(folder))) as store:
        import_paths(store, [asked.recorded / "positions_BTC.csv.gz"], market=[asked.recorded / "market.csv"])
        for name in ("candles_1h.csv.gz", "open_interest.csv"):
            import_feed(store, asked.recorded / name, asked.venue, COIN)
        crowd = exact_map(store, COIN, layer="crowd")
        sys.stdout.write(f"{'':<16}" + "".join(f"{f'within {at:g} %':>22}" for at in RANGES_PCT) + "\n")
        for label, drawn in maps(store, asked.venue, asked.model):
            found = [score(crowd, drawn, at) for at in RANGES_PCT]
            sys.stdout.write(f"{label:<16}" + "".join(f"{cell(one):>22}" for one in found) + "\n")
        floors = (mean_floor_pct(granularity(crowd, at)) for at in RANGES_PCT)
        sys.stdout.write(
            f"{'noise floor':<16}" + "".join(f"{at or float('nan'):>22.2f}" for at in floors) + "\n"
        )


if __name__ == "__main__":
    main()
