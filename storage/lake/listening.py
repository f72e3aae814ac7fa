"""Spans in which liquidations of a market were recorded, and how much of them the source shows by its own statement.

Outside such spans no liquidation is known; inside them silence means that the source showed none.
"""

from typing import Final

import polars as pl

LISTENING: Final = "listening"
"""Name of the series."""
SPANS: Final = {"ts": pl.Datetime("ms", "UTC"), "until": pl.Datetime("ms", "UTC"), "coverage": pl.String()}
SPAN_KEY: Final = ("ts",)
IN_PART: Final = "fills of "
"""How the coverage begins of what public fills showed, of which nobody knows the share."""
