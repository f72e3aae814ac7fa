"""How far is a liquidation map from the truth? Hyperliquid read exactly, other venues modelled, both compared.

    import liqtruth as lt

    lake = lt.open()
    truth = lake.exact_map("BTC")
    model = lake.model_map("BTC", venue="binance", model="tiers")
    lt.compare(truth, model).frame()

Names are loaded when they are first used: `import liqtruth` itself loads nothing else.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from liqtruth.compare.comparison.comparison import Comparison, compare
    from liqtruth.compare.divergence.divergence import Divergence
    from liqtruth.compare.imported.read import read_map, read_maps, read_series
    from liqtruth.compare.lake import Lake, open
    from liqtruth.heatmap.errors import LiqtruthError
    from liqtruth.heatmap.files import write_map
    from liqtruth.heatmap.heatmap import Heatmap
    from liqtruth.heatmap.series import HeatmapSeries

    __version__: str

__all__ = [
    "Comparison",
    "Divergence",
    "Heatmap",
    "HeatmapSeries",
    "Lake",
    "LiqtruthError",
    "__version__",
    "compare",
    "open",
    "read_map",
    "read_maps",
    "read_series",
    "write_map",
]

_PLACES = {
    "Comparison": "compare.comparison.comparison",
    "Divergence": "compare.divergence.divergence",
    "Heatmap": "heatmap.heatmap",
    "HeatmapSeries": "heatmap.series",
    "Lake": "compare.lake",
    "LiqtruthError": "heatmap.errors",
    "open": "compare.lake",
    "read_map": "compare.imported.read",
    "read_maps": "compare.imported.read",
    "read_series": "compare.imported.read",
    "write_map": "heatmap.files",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("liqtruth")
    if name == "compare":  # the package, which can be called
        return import_module("liqtruth.compare")
    if name not in _PLACES:
        raise AttributeError(f"module 'liqtruth' has no attribute {name!r}")
    return getattr(import_module(f"liqtruth.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
