"""Every door of the program: what right inputs look like there, and the function that takes one.

`seeds` says what the right inputs are.
"""

import json
import math
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from zlib import crc32

from liqtruth.heatmap.errors import LiqtruthError
from liqtruth.storage.store import Settings, Store
from tests.fuzz.runner import Door
from tests.fuzz.seeds import seeds

SUFFIXES: Final = (".csv", ".json", ".jsonl", ".parquet", ".csv.gz", ".txt", "")
STORE_LASTS: Final = 150

SHARES: Final[Mapping[str, int]] = {
    "info answers": 120,
    "tape": 60,
    "liquidation streams": 50,
    "venue answers": 50,
    "address list": 40,
    "map file": 40,
    "vendor map": 40,
    "leverage model": 40,
    "leaderboard and vaults": 30,
    "records": 20,
    "feed events": 8,
    "node fills": 8,
    "account to positions": 15,
    "node state": 4,
    "positions table": 1,
    "feed table": 1,
    "market table": 1,
    "account answer": 1,
    "meta answer": 1,
    "spot answer": 1,
}
"""Doors, and how the inputs are shared between them: a door that does more for each gets fewer."""


def doors(folder: Path) -> dict[str, Door]:
    """All doors; `folder` takes the files and the data directories that they need."""
    made = [*_file_doors(folder), *_own_file_doors(folder), *_wire_doors()]
    assert {one.name for one in made} == set(SHARES)
    return {one.name: one for one in made}


# ----------------------------------------------------------------------------- files of other people


class Desk:
    """A file to write inputs to and a data directory, which is begun anew before what was taken slows the rest."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder / name.replace(" ", "-")
        self.folder.mkdir(parents=True)
        self._used, self._store = 0, None

    def file(self, content: bytes, suffixes: Sequence[str] = SUFFIXES) -> Path:
        path = self.folder / f"input{suffixes[crc32(content) % len(suffixes)]}"
        path.write_bytes(content)
        return path

    @property
    def store(self) -> Store:
        if self._store is None or self._used >= STORE_LASTS:
            if self._store is not None:
                self._store.close()
                shutil.rmtree(self.folder / "data")
            self._store, self._used = Store.open(Settings(data_dir=self.folder / "data")), 0
        self._used += 1
        return self._store


def _file_doors(folder: Path) -> Iterator[Door]:
    from liqtruth.estimator.feeds.imports import import_feed
    from liqtruth.indexer.discovery.address_lists import read_addresses
    from liqtruth.indexer.files.imports import import_paths
    from liqtruth.indexer.node.fills import read_liquidations
    from liqtruth.indexer.node.state import read_state

    known = seeds()

    def importing(name: str, suffixes: Sequence[str], **given: Any) -> Callable[[bytes], object]:
        desk = Desk(folder, name)
        return lambda content: _mapped(
            desk.store, import_paths(desk.store, [desk.file(content, suffixes)], **given)
        )

    def beside(name: str, option: str, whole: bytes, suffix: str) -> Callable[[bytes], object]:
        desk = Desk(folder, name)
        right = desk.folder / f"right{suffix}"
        right.write_bytes(whole)

        def enter(content: bytes) -> object:
            return import_paths(desk.store, [right], **{option: desk.file(content)})

        return enter

    def feeding(name: str) -> Callable[[bytes], object]:
        desk = Desk(folder, name)
        return lambda content: import_feed(desk.store, desk.file(content), "binance", "BTC")

    table, account = known["positions table"][0], known["account answer"][0]
    yield Door("positions table", known["positions table"], importing("positions table", SUFFIXES))
    yield Door("account answer", known["account answer"], importing("account answer", (".json", ".jsonl")))
    yield Door("market table", known["market table"], beside("market table", "market", table, ".csv"))
    yield Door("meta answer", known["meta answer"], beside("meta answer", "meta", account, ".json"))
    yield Door("spot answer", known["spot answer"], beside("spot answer", "spot", account, ".json"))
    yield Door("feed table", known["feed table"], feeding("feed table"))
    yield Door("feed events", known["feed events"], feeding("feed events"))
    for name, read, suffixes in (
        ("node state", read_state, (".rmp", ".rmp.gz")),
        ("node fills", lambda path: read_liquidations([path]), (".jsonl", ".gz")),
        ("address list", read_addresses, (".txt", ".csv")),
    ):
        desk = Desk(folder, name)
        enter = lambda content, desk=desk, read=read, ends=suffixes: read(desk.file(content, ends))  # noqa: E731
        yield Door(name, known[name], enter)


def _mapped(store: Store, summaries: Sequence[Any]) -> object:
    """What was taken is also drawn: no input may make a map that cannot be."""
    from liqtruth.indexer.maps.exact import exact_map

    for coin in {coin for one in summaries if one.kind != "markets" for coin in one.coins}:
        drawn = exact_map(store, coin)
        assert all(0 <= value < math.inf for value in drawn.total_usd)
    return summaries


def _own_file_doors(folder: Path) -> Iterator[Door]:
    from liqtruth.compare.calibration.record import load
    from liqtruth.compare.validation.final_window import FILE as WINDOWS
    from liqtruth.compare.validation.final_window import opened_windows
    from liqtruth.estimator.model.leverage_model import from_json
    from liqtruth.heatmap.files import read_map
    from liqtruth.indexer.positions.watch_state import read_state as read_watch

    known = seeds()
    maps, records = (Desk(folder, name) for name in ("map file", "records"))
    yield Door("map file", known["map file"], lambda content: read_map(maps.file(content)))
    vendors = Desk(folder, "vendor map")
    yield Door("vendor map", known["vendor map"], lambda content: _every_map(vendors.file(content)))
    yield Door("leverage model", known["leverage model"], lambda content: from_json(content, "input"))

    def record(content: bytes) -> object:
        data = records.store.settings.data_dir
        for name in ("watch.json", WINDOWS, "models/fits/prior.json"):
            (data / name).parent.mkdir(parents=True, exist_ok=True)
            (data / name).write_bytes(content)
        return _every(
            [lambda: read_watch(records.store), lambda: load(data, "prior"), lambda: opened_windows(data)]
        )

    yield Door("records", known["records"], record)


def _every_map(path: Path) -> object:
    """What a file of a vendor holds: its map, the first of its parts, and all of its columns where it has any."""
    from liqtruth.compare.imported.read import open_maps
    from liqtruth.compare.imported.vendor_map import Given

    maps = open_maps(path, Given(coin="BTC", mark_px=None))
    if maps.held.over_time is not None:
        maps.series()
    drawn = [_with_a_mark(path, name) for name in (maps.held.default, maps.held.names[0])]
    assert all(0 <= value < math.inf for one in drawn for value in one.total_usd)
    return drawn


def _with_a_mark(path: Path, name: str | None) -> Any:
    from liqtruth.compare.imported.read import open_maps
    from liqtruth.compare.imported.vendor_map import Given

    try:
        return open_maps(path, Given(coin="BTC")).map(name)
    except LiqtruthError:
        return open_maps(path, Given(coin="BTC", mark_px=60_000.0)).map(name)


# ------------------------------------------------------------------------------------------- answers


def _wire_doors() -> Iterator[Door]:
    from liqtruth.indexer.info import wire

    known = seeds()
    decoders = [getattr(wire, name) for name in dir(wire) if name.startswith("decode_")]

    def any_decoder(content: bytes) -> object:
        return _every([lambda one=one: one(content, "input") for one in decoders])

    yield Door("info answers", known["info answers"], any_decoder)
    yield Door("account to positions", known["account answer"], _positions_of)
    yield Door("tape", known["tape"], _tape_door())
    yield Door("liquidation streams", known["liquidation streams"], _streams_door())
    yield Door("venue answers", known["venue answers"], _venue_door)
    yield Door("leaderboard and vaults", known["leaderboard and vaults"], _listing_door)


def _every(attempts: Sequence[Callable[[], object]]) -> object:
    """What the attempts give, all of them made; the last refusal where each was refused."""
    taken, refusals = [], []
    for attempt in attempts:
        try:
            taken.append(attempt())
        except LiqtruthError as error:
            refusals.append(error)
    if not taken:
        raise refusals[-1]
    return taken


def _positions_of(content: bytes) -> object:
    from liqtruth.indexer.info.wire import decode_clearinghouse_state, decode_meta
    from liqtruth.indexer.margin.reconcile import reconcile
    from liqtruth.indexer.margin.tables import MarginTables
    from liqtruth.indexer.positions.accounts import AccountReading, positions_frame

    tables = {"": MarginTables.from_meta(decode_meta(seeds()["meta answer"][1], "seed"))}
    state = decode_clearinghouse_state(content, "input")
    read = AccountReading(address="0xa1", state=state, source="input", dex="")
    return reconcile(positions_frame([read]), tables)


def _tape_door() -> Callable[[bytes], object]:
    from liqtruth.indexer.watch.tape import Tape

    return Tape("http://127.0.0.1:1", ["BTC"], lambda trades: None, lambda gap: None)._take


def _streams_door() -> Callable[[bytes], object]:
    from liqtruth.estimator.feeds.liquidation_stream import Listener
    from liqtruth.estimator.feeds.liquidations import STREAMS
    from liqtruth.estimator.venues.spec import Contract

    markets = [Contract("BTC", "BTC/USDT:USDT", name, 1.0) for name in ("BTCUSDT", "BTC-USDT-SWAP")]
    listeners = [
        Listener(stream, markets, "all", lambda *_: 0, lambda *_, **__: None, lambda: 1_787_000_500_000)
        for stream in STREAMS.values()
    ]

    def enter(content: bytes) -> object:
        for one in listeners:
            one._take(content)
            one._buffer.clear()
        return None

    return enter


def _listing_door(content: bytes) -> object:
    from liqtruth.indexer.discovery import sources as discovery
    from liqtruth.indexer.info.wire import Decoder

    decoders = [one for one in vars(discovery).values() if isinstance(one, Decoder)]
    return _every([lambda one=one: one(content, "input") for one in decoders])


def _venue_door(content: bytes) -> object:
    """As an answer of each call of each venue; ccxt has decoded it by then."""
    from liqtruth.estimator.venues.parsing import FUNDING, OHLCV, OPEN_INTEREST, TIERS, called, table_of
    from liqtruth.estimator.venues.table import VENUES
    from liqtruth.estimator.venues.transport import Malformed

    try:
        answer = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise LiqtruthError("not JSON") from error
    calls = [
        call for venue in VENUES.values() for feed in venue.feeds.values() for call in feed.calls.values()
    ]
    readings: list[Callable[[], object]] = [lambda call=call: called(answer, call) for call in calls]
    rows = answer if isinstance(answer, list) else [answer]
    readings += [lambda one=one: table_of(rows, one) for one in (FUNDING, OHLCV, OPEN_INTEREST, TIERS)]

    def refusing(read: Callable[[], object]) -> object:
        try:
            return read()
        except Malformed as error:
            raise LiqtruthError(str(error)) from error

    return _every([lambda one=one: refusing(one) for one in readings])
