"""Errors of the comparison.

LiqtruthError
└── BadInput                     exit 2
    ├── NothingToCompare         no model was given, or the tolerance is no distance
    └── DivergenceFileError      a file that is not a divergence, or one of another schema version
"""

from liqtruth.heatmap.errors import BadInput


class NothingToCompare(BadInput):
    """The comparison that was asked for has no answer."""


class DivergenceFileError(BadInput):
    """A file that is not a divergence, or one of another schema version."""
