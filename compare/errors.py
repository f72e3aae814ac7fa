"""Errors of the comparison.

LiqtruthError
├── BadInput                     exit 2
│   ├── NothingToCompare         no model was given, or the tolerance is no distance
│   └── VendorMapRefused         a file or answer of a vendor that is no map, or contradicts itself
└── MissingData                  exit 1
    ├── TooLate                  what came after a forecast's moment can be seen already
    └── ContentChanged           the file of a forecast is gone, or is no longer what was stored
"""

from liqtruth.heatmap.errors import BadInput, MissingData


class NothingToCompare(BadInput):
    """The comparison that was asked for has no answer."""


class VendorMapRefused(BadInput):
    """A map of a vendor that cannot be read as one; names the file, what must hold and what came."""


class TooLate(MissingData):
    """A forecast of what can be seen already."""


class ContentChanged(MissingData):
    """The file of a forecast is gone, or no longer matches its row."""
