"""A file of a map to `Heatmap`: the layout is recognised by its structure, never by the file's name.

`LAYOUTS` is the table of everything that is read as a document; what is none of them is read as a table.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from liqtruth.compare.errors import VendorMapRefused
from liqtruth.compare.imported import coinank, coinglass, tables, vendors
from liqtruth.compare.imported.documents import MOST_BYTES, Answer, check_name, decoded, opened
from liqtruth.compare.imported.maps_in_file import MapsInFile
from liqtruth.compare.imported.pictures.picture import is_picture, read_picture
from liqtruth.compare.imported.vendor_map import Given, PictureGiven, heatmap_of, series_of
from liqtruth.heatmap import files
from liqtruth.heatmap.grid import DEFAULT_WIDTH_BPS
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.notes import note
from liqtruth.heatmap.series import HeatmapSeries
from liqtruth.heatmap.text import moment_of
from liqtruth.heatmap.writing import facts_of
from liqtruth.storage.files.content import PARQUET, read_content
from liqtruth.storage.files.tabular import parse_columns, parse_rows

if TYPE_CHECKING:
    from liqtruth.estimator.model.leverage_model import LeverageModel

PART: Final = "#"
"""Between a file and the name of one of its maps."""
SUFFIXES: Final = (
    ".json",
    ".jsonl",
    ".ndjson",
    ".csv",
    ".tsv",
    ".txt",
    ".parquet",
    ".gz",
    ".zst",
    ".lz4",
    ".zip",
    ".png",
    ".jpg",
    ".jpeg",
    ".webp",
)
"""By which a word is taken for a file that need not be there; what is in the file follows from its content."""


@dataclass(frozen=True)
class Layout:
    """A document of a vendor: whether a body is one, and its maps."""

    vendor: str
    name: str
    recognise: Callable[[Any], bool]
    read: Callable[[Answer], MapsInFile]


LAYOUTS: Final = (
    Layout("coinglass", "heatmap", coinglass.is_heatmap, coinglass.read_heatmap),
    Layout("coinglass", "map by exchange", coinglass.is_by_exchange, coinglass.read_by_exchange),
    Layout("coinglass", "max pain", coinglass.is_max_pain, coinglass.read_max_pain),
    Layout("coinglass", "map", coinglass.is_map, coinglass.read_map),
    Layout("coinank", "heatmap", coinank.is_heatmap, coinank.read_heatmap),
    Layout("coinank", "map", coinank.is_by_price, coinank.read_by_price),
    Layout("datamaxi", "buckets", vendors.is_datamaxi, vendors.read_datamaxi),
    Layout("0xarchive", "levels", vendors.is_oxarchive, vendors.read_oxarchive),
    Layout("undertow", "clusters", vendors.is_undertow, vendors.read_undertow),
    Layout("kiyotaka", "flat list", vendors.is_kiyotaka, vendors.read_kiyotaka),
)


class Fetched(msgspec.Struct, frozen=True):
    """What stands beside an answer that this program fetched."""

    vendor: str
    coin: str
    venue: str
    fetched_at: datetime
    request: str = ""
    schema: str = "liqtruth.fetched_map/1"


class ReadMaps(Mapping[str, Heatmap]):
    """The maps of one file by name, each made when it is asked for."""

    def __init__(self, held: MapsInFile, given: Given, place: str, width_bps: float) -> None:
        self.held, self.given, self.place, self.width_bps = held, given, place, width_bps

    def __getitem__(self, name: str) -> Heatmap:
        if name not in self.held.makers:
            raise KeyError(name)
        return self.map(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.held.names)

    def __len__(self) -> int:
        return len(self.held.makers)

    def map(self, name: str | None = None) -> Heatmap:
        """The one of that name; by default what the file is about. Raises `VendorMapRefused`."""
        found = self.held.named(name, self.place, self.given.coin)
        return heatmap_of(found, self.given, self.width_bps)

    def series(self) -> HeatmapSeries:
        """All columns of a map over time. Raises `VendorMapRefused` where the file has none, or no prices beside it."""
        if self.held.over_time is None:
            raise VendorMapRefused(
                f"{self.place}: must be a map over time with its prices to be a series, got a {self.held.vendor} "
                f"{self.held.layout}"
            )
        found, columns = self.held.over_time()
        return series_of(found, columns, self.given, self.width_bps)


def read_map(
    path: str | Path,
    name: str | None = None,
    *,
    coin: str | None = None,
    venue: str | None = None,
    mark: float | None = None,
    as_of: datetime | str | None = None,
    columns: Mapping[str, str] | str | None = None,
    picture: PictureGiven | Mapping[str, Any] | None = None,
) -> Heatmap:
    """Read a map from a file: one that this program wrote, or a vendor's in any layout that is known.

    Parameters
    ----------
    path : str or Path
        JSON, CSV or Parquet, packed or not, or a screenshot. `FILE#NAME` names one of several maps in a file.
    name : str, optional
        Which map of the file; default: the one it is about, e.g. the last column of a heatmap.
    coin, venue : str, optional
        Where the file does not state them.
    mark : float, optional
        The price that splits longs and shorts, where the file does not state it.
    as_of : datetime or str, optional
        The map's moment, where the file does not state it; default: the file's own time.
    columns : mapping or str, optional
        Columns of a table that is not recognised, ours to theirs: `{"price": "px", "usd": "liq"}`.
    picture : mapping, optional
        Where things are in a screenshot, in pixels: prices by row, and if need be the palette, the column, and the ends
        of the colour bar: `{"prices": {92_000: 140, 78_000: 690}, "palette": "coinglass"}`.

    Returns
    -------
    Heatmap
        One that `write_map` wrote is equal in every bit; a vendor's has source `imported` (or `exact`) and `origin`.

    Raises
    ------
    LiqtruthError
        Naming the file and what is wrong with it.

    Examples
    --------
    >>> lt.write_map(truth, "btc.json")
    >>> lt.read_map("btc.json").label
    'hyperliquid exact'
    """
    file, part = parted(path)
    if files.is_own(file):
        return files.read_map(file)
    given = given_of(coin, venue, mark, as_of, columns, picture)
    return open_maps(file, given).map(name or part)


def read_maps(
    path: str | Path,
    *,
    coin: str | None = None,
    venue: str | None = None,
    mark: float | None = None,
    as_of: datetime | str | None = None,
    columns: Mapping[str, str] | str | None = None,
) -> Mapping[str, Heatmap]:
    """All maps of a vendor's file: per exchange, leverage, coin or moment.

    Parameters
    ----------
    path : str or Path
    coin, venue, mark, as_of, columns
        As in `read_map`.

    Returns
    -------
    mapping of str to Heatmap
        In the order of the file; each map is made when it is looked up.

    Raises
    ------
    LiqtruthError
        As `read_map`.

    Examples
    --------
    >>> import json, pathlib
    >>> document = {"prices": [95.0, 100.0, 105.0], "Binance": [1, 0, 2], "OKX": [3, 0, 0], "lastPrice": 100.0}
    >>> _ = pathlib.Path("map.json").write_text(json.dumps(document))
    >>> list(lt.read_maps("map.json", coin="BTC"))
    ['all', 'Binance', 'OKX']
    """
    file, _ = parted(path)
    return open_maps(file, given_of(coin, venue, mark, as_of, columns))


def read_series(path: str | Path, *, coin: str | None = None, venue: str | None = None) -> HeatmapSeries:
    """All columns of a vendor's heatmap: liquidations by price and time.

    Parameters
    ----------
    path : str or Path
    coin, venue : str, optional
        Where the file does not state them.

    Returns
    -------
    HeatmapSeries
        Sides follow each column's own closing price.

    Raises
    ------
    LiqtruthError
        Where the file has no columns over time, or no prices beside them.

    Examples
    --------
    >>> import json, pathlib
    >>> candles = [[at, "99", "101", "98", "100", "5"] for at in (1790000000, 1790000300)]
    >>> document = {"y_axis": [95, 105], "liquidation_leverage_data": [[0, 0, 7], [1, 1, 9]], "symbol": "BTC"}
    >>> _ = pathlib.Path("heat.json").write_text(json.dumps({**document, "price_candlesticks": candles}))
    >>> len(lt.read_series("heat.json").times)
    2
    """
    file, _ = parted(path)
    return open_maps(file, given_of(coin, venue)).series()


def given_of(
    coin: str | None = None,
    venue: str | None = None,
    mark: float | None = None,
    as_of: datetime | str | None = None,
    columns: Mapping[str, str] | str | None = None,
    picture: PictureGiven | Mapping[str, Any] | None = None,
) -> Given:
    """What a user states of a file."""
    mapping = parse_columns(columns) if isinstance(columns, str) or columns is None else dict(columns)
    if isinstance(picture, Mapping):
        if unknown := set(picture) - {one.name for one in fields(PictureGiven)}:
            raise VendorMapRefused(
                f"a picture has prices, palette, column and bar, got {sorted(unknown)[0]!r}"
            )
        lines = picture.get("prices", {})
        picture = PictureGiven(**{**picture, "prices": tuple(dict(lines).items())})
    moment = None if as_of is None else moment_of(as_of)
    return Given(coin, venue, mark, moment, mapping, picture=picture)


def parted(path: str | Path) -> tuple[Path, str | None]:
    """A file and the name of one of its maps, of `FILE#NAME`; a file of that very name goes first."""
    whole = Path(path)
    if PART not in whole.name or whole.is_file():
        return whole, None
    file, _, name = str(path).rpartition(PART)
    return Path(file), name or None


def names_file(word: str) -> bool:
    """Whether a word is meant as a file: there is one of that name, or it ends like one."""
    file, _ = parted(word)
    return file.is_file() or file.suffix.lower() in SUFFIXES


def open_maps(path: Path, given: Given, width_bps: float = DEFAULT_WIDTH_BPS) -> ReadMaps:
    """The maps of a vendor's file; raises `VendorMapRefused` or `TableRefused`."""
    if files.is_own(path):
        raise VendorMapRefused(
            f"{path}: must be a vendor's file, got a map of this program: it holds one map"
        )
    if is_picture(path):
        held = read_picture(path, given.picture)
    else:
        held = maps_of(read_content(path, MOST_BYTES), path, given.columns)
    return ReadMaps(held, _with_facts(path, given), str(path), width_bps)


def maps_of(content: bytes, path: Path, columns: Mapping[str, str] = {}) -> MapsInFile:
    """The maps of what `read_content` gave; raises also where one has a name that cannot be shown."""
    found = _maps_of(content, path, columns)
    for name in found.names:
        check_name(name, str(path))
    return found


def _maps_of(content: bytes, path: Path, columns: Mapping[str, str]) -> MapsInFile:
    if not content.startswith(PARQUET) and content.lstrip()[:1] in (b"{", b"["):
        answer = _answer(content, path)
        layout = (
            None if answer is None else next((one for one in LAYOUTS if one.recognise(answer.body)), None)
        )
        if answer is not None and layout is not None:
            if columns:
                raise answer.refuse(
                    f"--columns must be left out: it is a {layout.vendor} {layout.name}, no table"
                )
            return layout.read(answer)
    table = parse_rows(content, path)
    found = tables.read_table(table.rows, columns, str(path), table.beside)
    if not table.remarks:
        return found
    repaired = tuple(note("text", text=remark) for remark in table.remarks)
    makers = {name: (lambda make=make: _noted(make(), repaired)) for name, make in found.makers.items()}
    return replace(found, makers=makers)


def _noted(found: Any, notes: Any) -> Any:
    return replace(found, notes=(*found.notes, *notes))


def _answer(content: bytes, path: Path) -> Answer | None:
    """The document; null for JSON lines, which are a table."""
    try:
        document = decoded(content, path)
    except VendorMapRefused:
        first = content.lstrip().partition(b"\n")
        if not first[2].strip() or not _is_line(first[0]):
            raise
        return None
    return opened(document, path)


def _is_line(line: bytes) -> bool:
    try:
        decoded(line, "line 1")
    except VendorMapRefused:
        return False
    return True


def read_leverage_model(path: str | Path) -> "LeverageModel":
    """The leverages that a vendor states it assumes, as a model; raises `VendorMapRefused` where it states none."""
    content = read_content(Path(path), MOST_BYTES)
    return vendors.leverage_model_of(opened(decoded(content, path), path))


def _with_facts(path: Path, given: Given) -> Given:
    """What the user states, else what was noted when the file was fetched; and the time of the file."""
    file_time = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    beside = facts_of(path)
    if not beside.is_file():
        return replace(given, file_time=file_time)
    try:
        known = msgspec.json.decode(read_content(beside, 2**20), type=Fetched)
    except files.NOT_DECODED:
        return replace(given, file_time=file_time)
    return replace(
        given,
        coin=given.coin or known.coin,
        venue=given.venue or known.venue,
        as_of=given.as_of or known.fetched_at,
        file_time=file_time,
    )


def facts_written(path: Path, known: Fetched) -> None:
    """Beside `path`, whole or not at all."""
    from liqtruth.heatmap.writing import write_atomically

    write_atomically(facts_of(path), msgspec.json.encode(known).decode() + os.linesep)
