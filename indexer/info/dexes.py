"""Which dexes the exchange lists, and the markets of each."""

import difflib
from collections.abc import Sequence
from typing import Final, Literal

from liqtruth.heatmap.errors import BadInput, LiqtruthError
from liqtruth.indexer.info.client import InfoClient
from liqtruth.indexer.info.wire import DexAnswer

ALL: Final = "all"
MAIN: Final = ""


async def read_dexes(client: InfoClient, names: Sequence[str]) -> tuple[dict[str, DexAnswer], dict[str, str]]:
    """Markets of each dex, and why some could not be read; raises the error where none could, or the host is gone."""
    answers: dict[str, DexAnswer] = {}
    lost: dict[str, str] = {}
    for name in names:
        try:
            answers[name] = await client.meta_and_asset_ctxs(name)
        except LiqtruthError as error:
            lost[name] = str(error)
            if len(lost) == len(names) or (error.retryable and not answers and len(lost) > 1):
                raise
    return answers, lost


async def find_dexes(client: InfoClient, wanted: Sequence[str] | Literal["all"]) -> tuple[str, ...]:
    """The dexes to read, each once; asks the exchange (weight 20) unless only the main one is wanted.

    Raises `BadInput` for one that it does not list, and for none at all.
    """
    if isinstance(wanted, str) and wanted != ALL:
        wanted = [wanted]
    if not wanted:
        raise BadInput('no dex to read; "" is the main one')
    if list(wanted) == [MAIN]:
        return (MAIN,)
    listed = [MAIN if entry is None else entry.name for entry in await client.perp_dexs()]
    for name in () if wanted == ALL else wanted:
        if name not in listed:
            builders = [known for known in listed if known]
            near = difflib.get_close_matches(name, builders, n=3, cutoff=0.4) or builders
            raise BadInput(
                f"no dex {name!r} at {client.shown_url}; there are {', '.join(near) or 'none but the main one'}"
            )
    return tuple(dict.fromkeys(listed if wanted == ALL else wanted))
