"""`liqtruth map`: its commands in the order of the help."""

from liqtruth.commands.map.app import map_app

from liqtruth.commands.map import exact, over_time, model, vendors  # isort: skip

__all__ = ["exact", "map_app", "model", "over_time", "vendors"]
