"""Errors of the ledger of forecasts.

LiqtruthError
└── MissingData                  exit 1
    ├── TooLate                  what came after the map's moment can be seen already
    └── ContentChanged           the file of a forecast is gone, or is no longer what was stored
"""

from liqtruth.heatmap.errors import MissingData


class TooLate(MissingData):
    """A forecast of what can be seen already."""


class ContentChanged(MissingData):
    """The file of a forecast is gone, or is no longer what its row says."""
