"""What each info endpoint said when it was asked whether it answers for many accounts at once, and when that was."""

from datetime import datetime
from typing import Final

import msgspec

from liqtruth.heatmap.files import NOT_DECODED
from liqtruth.heatmap.writing import write_atomically
from liqtruth.indexer.info.batch_forms import PUBLIC
from liqtruth.storage.store import Store

FILE: Final = "batch.json"
LONGEST_FILE: Final = 2**20


class Answered(msgspec.Struct, frozen=True):
    """Whether an info endpoint answered a batch when it was asked, and what it said where it did not."""

    answered: bool
    at: datetime
    reason: str = ""

    def describe(self, host: str) -> str:
        """A line for people."""
        word = "answered" if self.answered else "did not answer"
        return f"{host} {word} {PUBLIC.method} on {self.at:%Y-%m-%d %H:%M} UTC"


def remembered(store: Store) -> dict[str, Answered]:
    """What each endpoint said last, by its address as it may be shown."""
    try:
        with (store.settings.data_dir / FILE).open("rb") as file:
            return msgspec.json.decode(file.read(LONGEST_FILE), type=dict[str, Answered])
    except (OSError, *NOT_DECODED):
        return {}


def remember(store: Store, host: str, answered: Answered) -> None:
    known = {**remembered(store), host: answered}
    write_atomically(store.settings.data_dir / FILE, msgspec.json.format(msgspec.json.encode(known)))
