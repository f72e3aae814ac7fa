"""A divergence as JSON: keys in the order of the dataclasses, each note beside its sentence."""

from collections.abc import Iterator
from datetime import datetime

import msgspec

from liqtruth.compare.divergence.divergence import Divergence
from liqtruth.heatmap.words.notes import Note, as_text, written


def to_json(divergence: Divergence) -> str:
    """Indented JSON, keys in the order of the dataclasses; times are ISO 8601, undefined figures null."""
    content = msgspec.to_builtins(divergence, enc_hook=as_text, builtin_types=(datetime,))
    content = {("caveat" if name == "caveats" else name): value for name, value in content.items()}
    content["caveat"] = divergence.caveat
    if notes := written(_notes(divergence)):
        content["notes"] = notes
    return msgspec.json.format(msgspec.json.encode(content), indent=2).decode()


def _notes(divergence: Divergence) -> Iterator[Note]:
    for summary in (divergence.truth, *(result.summary for result in divergence.models)):
        yield from (*summary.coverage.notes, *summary.assumptions)
    for baseline in divergence.baselines:
        yield from baseline.assumptions
    yield from (*divergence.caveats, *divergence.remarks)
    for market in divergence.markets:
        yield from market.lacking
    for result in divergence.models:
        yield from result.diagnosis
