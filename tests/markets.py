"""Synthetic markets as the tests get them: each specification is simulated once, whichever process asks first.

What was simulated is kept as a file for the other test processes, in the folder that `LIQTRUTH_TEST_MARKETS` names
(`tests.conftest` makes one per run). It is never found again by other code than it was made by: a run has its own.
"""

import hashlib
import os
import pickle
from pathlib import Path
from typing import Final

from liqtruth.sandbox.market.market import Market, MarketSpec, simulate
from liqtruth.storage.lock import waiting

FOLDER: Final = "LIQTRUTH_TEST_MARKETS"


def market_of(spec: MarketSpec) -> Market:
    """The market of `spec`, equal to what `simulate` gives; each call gives one that nobody else holds."""
    folder = os.environ.get(FOLDER)
    if folder is None:
        return simulate(spec)
    path = Path(folder) / f"{hashlib.sha256(repr(spec).encode()).hexdigest()}.pickle"
    with waiting(path.with_suffix(".lock")):
        if not path.exists():
            whole = simulate(spec)
            unready = path.with_suffix(".unready")
            unready.write_bytes(pickle.dumps(whole, pickle.HIGHEST_PROTOCOL))
            unready.replace(path)
            return whole
    loaded: Market = pickle.loads(path.read_bytes())
    return loaded
