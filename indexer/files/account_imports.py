"""Answers of accounts from files to one reading: decoded in batches, packed once, each account as of its own time.

An account that cannot be read (a malformed state, coins of two dexes, a coin twice, a time that no clock shows, two
different answers of one moment) is left out, counted and named; the others are read. Only where none is left is the
file refused.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
import polars as pl

from liqtruth.heatmap.errors import LeftOut
from liqtruth.heatmap.words.notes import Note, note
from liqtruth.heatmap.words.text import AHEAD, EARLIEST
from liqtruth.indexer.discovery.address_lists import ADDRESS
from liqtruth.indexer.errors import ImportRefused, WireError
from liqtruth.indexer.files.answers.account_files import Moment, prefix_of, read_state
from liqtruth.indexer.files.answers.answers import Answer, Entry, Unread
from liqtruth.indexer.files.tables.contradictions import contradicting_accounts
from liqtruth.indexer.files.tables.table_readings import latest
from liqtruth.indexer.frames import ACCOUNTS, POSITIONS, empty
from liqtruth.indexer.info.wire import ClearinghouseState, SpotClearinghouseState, decode_spot_state
from liqtruth.indexer.positions.accounts import (
    MODE_OF_ABSTRACTION,
    AccountReading,
    accounts_frame,
    positions_frame,
)

BATCH: Final = 4096
"""Accounts that are decoded before they become columns: what bounds memory beside the columns themselves."""
NAMED: Final = 5
"""Files of a folder that are named as not read."""
MAIN: Final = ("", "main")
MOST_BAD: Final = 10_000
"""So many bad entries beside ten times as many good ones: more, and it is another kind of file."""
NO_MARKS: Final = pl.DataFrame(schema={"coin": pl.String(), "mark_px": pl.Float64()})
Key = tuple[str, str, int]


@dataclass(frozen=True)
class Asked:
    """What the command states about all answers of a file, and where to find what they lack."""

    path: Path
    source: str
    label: str | None
    """What to call an account that nothing names; without it such an account is not read."""
    dex: str
    spot: SpotClearinghouseState | None
    undated: Callable[[], Moment]
    collateral_token: Callable[[str, int], int]
    """Of a dex, at about a time (epoch ms)."""
    marks: Callable[[Sequence[str], datetime], pl.DataFrame] = lambda coins, at: NO_MARKS
    """What the market's marks of coins were about then: coin, mark_px."""
    as_of: datetime | None = None
    """The time that the command states; answers with a time of their own must agree."""
    keep: bool = False
    """Whether accounts that contradict themselves are read all the same."""


@dataclass
class AccountsRead:
    """The accounts of a file: `positions` are not reconciled; `left_out` counts what is missing."""

    positions: pl.DataFrame
    accounts: pl.DataFrame
    left_out: LeftOut
    notes: list[Note]


def read_accounts(entries: Iterable[Entry], asked: Asked) -> AccountsRead:
    """All accounts that can be read; raises `ImportRefused` or `WireError` where there is none."""
    gathering = _Gathering(asked)
    for entry in entries:
        gathering.take(entry)
    return gathering.done()


class _Gathering:
    """Answers become columns a batch at a time."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.left_out = LeftOut()
        self.repeated = 0
        self.closed = 0
        self.others: list[str] = []
        self.notes: dict[Note, None] = {}
        self._batch: list[AccountReading] = []
        self._frames: list[tuple[pl.DataFrame, pl.DataFrame]] = []
        self._seen: dict[Key, int] = {}
        self._disputed: dict[Key, None] = {}
        self._only: tuple[str, Exception] | None = None

    def take(self, entry: Entry) -> None:
        if isinstance(entry, Unread):
            if entry.is_other:
                return self.others.append(entry.where)
            return self._leave_out(entry.where, ImportRefused(entry.problem))
        try:
            reading = self._reading(entry)
        except (ImportRefused, WireError) as error:
            return self._leave_out(entry.where, error)
        self.left_out.note_all(
            "positions", (f"{entry.where}: {problem}" for problem in reading.state.left_out)
        )
        self.closed += reading.state.closed
        key = (reading.address, reading.dex, reading.state.time)
        reported = hash(msgspec.json.encode(reading.state))
        if key in self._seen:
            return self._again(key, self._seen[key] == reported)
        self._seen[key] = reported
        self._batch.append(reading)
        if len(self._batch) == BATCH:
            self._flush()

    def _again(self, key: Key, same: bool) -> None:
        if same:
            self.repeated += 1
        else:
            self._disputed[key] = None

    def _leave_out(self, where: str, error: Exception) -> None:
        self._only = where, error
        if self.left_out.total > MOST_BAD + 10 * len(self._seen):
            self._refuse()
        problem = error.problem if isinstance(error, WireError) else str(error)
        self.left_out.note("accounts", f"{where}: {problem}")

    def _reading(self, answer: Answer) -> AccountReading:
        asked = self.asked
        address = answer.address or asked.label
        if address is None:
            raise ImportRefused("it does not name its account; --address does")
        if address != asked.label and not ADDRESS.fullmatch(address):
            raise ImportRefused(f"{address[:60]!r} is no address (0x and 40 hexadecimal digits)")
        state, how = read_state(answer.state, answer.where, lambda: _wrapped(answer) or asked.undated())
        if how is not None:
            self.notes[how] = None
        self._check_as_of(state)
        dex = dex_of(state, answer.dex, asked.dex)
        return AccountReading(
            address=address.lower(),
            state=state,
            source=asked.source,
            dex=dex,
            spot=asked.spot or self._spot(answer),
            mode=MODE_OF_ABSTRACTION.get(answer.mode or ""),
            as_of=None,
            collateral_token=asked.collateral_token(dex, state.time),
        )

    def _check_as_of(self, state: ClearinghouseState) -> None:
        """Raise `ImportRefused` where the command states another time than the answer itself."""
        asked = self.asked.as_of
        reported = datetime.fromtimestamp(state.time / 1000, UTC)
        if asked is not None and abs(reported - asked) > AHEAD:
            raise ImportRefused(
                f"its own time is {reported:%Y-%m-%dT%H:%MZ}, --as-of is {asked:%Y-%m-%dT%H:%MZ}; leave --as-of out"
            )

    def _spot(self, answer: Answer) -> SpotClearinghouseState | None:
        if answer.spot is None:
            return None
        try:
            return decode_spot_state(bytes(answer.spot), answer.where)
        except WireError as error:
            self.left_out.note("spot states", f"{answer.where}: {error.problem}")
            return None

    def _flush(self) -> None:
        if self._batch:
            self._frames.append((positions_frame(self._batch), accounts_frame(self._batch)))
            self._batch = []

    def done(self) -> AccountsRead:
        self._flush()
        positions = pl.concat([empty(POSITIONS), *(one for one, _ in self._frames)])
        accounts = pl.concat([empty(ACCOUNTS), *(one for _, one in self._frames)])
        for address, dex, _ in self._disputed:
            self.left_out.note(
                "accounts answered twice for one moment", f"{address} on {dex or 'the main dex'}"
            )
        if self._disputed:
            keys = _frame_of(list(self._disputed))
            positions, accounts = (_without(frame, keys) for frame in (positions, accounts))
        positions, accounts = self._without_contradictions(positions, accounts)
        if accounts.is_empty():
            self._refuse()
        return AccountsRead(positions, accounts, self.left_out, self._notes())

    def _without_contradictions(
        self, positions: pl.DataFrame, accounts: pl.DataFrame
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        if positions.is_empty():
            return positions, accounts
        asked = self.asked
        marks = asked.marks(sorted(positions["coin"].unique()), latest(positions))
        wrong, lines = contradicting_accounts(positions, str(asked.path), marks, asked.keep)
        if wrong.is_empty():
            self.notes.update((note("contradiction_kept", where=line), None) for line in lines)
            return positions, accounts
        self.left_out.note_all("accounts that contradict themselves", lines)
        return _without(positions, wrong), _without(accounts, wrong)

    def _notes(self) -> list[Note]:
        notes = list(self.notes)
        if self.repeated:
            notes.append(note("answers_repeated", count=self.repeated))
        if self.closed:
            notes.append(note("closed_positions", count=self.closed))
        if self.others:
            named = [*self.others[:NAMED], *(["..."] if len(self.others) > NAMED else [])]
            notes.append(note("files_not_read", count=len(self.others), names=named))
        return notes

    def _refuse(self) -> None:
        path, count = self.asked.path, self.left_out.total
        if count == 1 and self._only is not None:
            where, error = self._only
            if isinstance(error, WireError):
                raise error
            raise ImportRefused(f"{path}: " + f"{where}: {error}".removeprefix(f"{path}: "))
        if not count:
            raise ImportRefused(
                f"{path}: no account's state in it; record clearinghouseState, allDexsClearinghouseState or webData2"
            )
        raise ImportRefused(
            f"{path}: none of its {count:,} accounts can be read: {next(iter(self.left_out.first.values()))}"
        )


def dex_of(state: ClearinghouseState, stated: str | None, asked: str) -> str:
    """The dex of the state's coins, by their prefix; what its wrapping or the command states where it has none.

    Raises `ImportRefused` for coins of two dexes, and for a dex that is not the one stated.
    """
    coins = [entry.position.coin for entry in state.asset_positions]
    reported = None if stated is None else "" if stated in MAIN else stated
    wanted = reported if reported is not None else ("" if asked in MAIN else asked)
    found = {prefix_of(coin) for coin in coins}
    if len(found) > 1:
        names = ", ".join(sorted(name or "the main dex" for name in found))
        raise ImportRefused(f"it holds coins of several dexes ({names}); an answer is of one")
    if not found:
        return wanted
    dex = found.pop()
    for other, who in ((reported, "its dex field"), (asked if asked not in MAIN else None, "--dex")):
        if other is not None and other != dex:
            raise ImportRefused(
                f"{who} is {other or 'the main dex'}, its coin {coins[0]!r} is of {dex or 'the main dex'}"
            )
    return dex


def _wrapped(answer: Answer) -> Moment | None:
    """The moment that the wrapping of an answer without a time states."""
    text = answer.stated_at
    try:
        if isinstance(text, str) and not text.isdigit():
            moment = datetime.fromisoformat(text)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)), None
        seconds = 0.0 if text is None else float(text)
        while seconds > 1e11:
            seconds /= 1000
        moment = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return (moment, None) if moment >= EARLIEST else None


def _frame_of(keys: Sequence[Key]) -> pl.DataFrame:
    columns: Mapping[str, pl.DataType] = {name: POSITIONS[name] for name in ("address", "dex")}
    reported = pl.DataFrame(list(keys), schema={**columns, "ms": pl.Int64()}, orient="row")
    return reported.with_columns(as_of=pl.col("ms").cast(POSITIONS["as_of"])).drop("ms")


def _without(frame: pl.DataFrame, keys: pl.DataFrame) -> pl.DataFrame:
    return frame.join(keys, on=["address", "dex", "as_of"], how="anti", maintain_order="left")
