"""A file of a map to `Heatmap`: the layout is recognised by its structure, never by the file's name.

`LAYOUTS` is the table of everything that is read as a document; what is none of them is read as a table.
"""

import csv
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from liqtruth.compare.errors import VendorMapRefused
from liqtruth.compare.imported import coinank, coinglass, measured, tables, vendors
from liqtruth.compare.imported.documents import MOST_BYTES, Answer, check_name, decoded, opened
from liqtruth.compare.imported.maps_in_file import MapsInFile
from liqtruth.compare.imported.pictures.picture import is_picture, read_picture
from liqtruth.compare.imported.vendor_map import Given, PictureGiven, heatmap_of, series_of
from liqtruth.heatmap import files
from liqtruth.heatmap.grid import DEFAULT_WIDTH_BPS
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.notes import note
from liqtruth.heatmap.series import HeatmapSeries
from liqtruth.heatmap.text import counted, expected_time, is_timely, moment_of
from liqtruth.heatmap.writing import facts_of
from liqtruth.storage.errors import TableRefused
from liqtruth.storage.files.content import PARQUET, read_content
from liqtruth.storage.files.tabular import TextTable, parse_columns, parse_rows

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
    Layout("0xarchive", "levels", measured.is_oxarchive, measured.read_oxarchive),
    Layout("ironflow", "ranges", measured.is_ironflow, measured.read_ironflow),
    Layout("liquidvision", "bins", measured.is_liquidvision, measured.read_liquidvision),
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
    given = given_of(coin, venue, mark, as_of, columns, picture)
    if files.is_own(file):
        check_picture([file], given.picture)
        return files.read_map(file)
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
    if moment is not None and not is_timely(moment):
        raise VendorMapRefused(f"the moment must be {expected_time()}, got {moment:%Y-%m-%d}: --as-of")
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
        check_picture([path], given.picture)
        held = maps_of(read_content(path, MOST_BYTES), path, given.columns)
    return ReadMaps(held, _with_facts(path, given), str(path), width_bps)


def check_picture(paths: Iterable[str | Path], picture: PictureGiven | None) -> None:
    """Raises `VendorMapRefused` where it is stated where things are in a picture, and no file is one; a file that is
    not there is left to whoever reads it."""
    named = [parted(path)[0] for path in paths]
    if picture is None or any(is_picture(file) or not file.is_file() for file in named):
        return
    got = ", ".join(map(str, named)) or "no file"
    raise VendorMapRefused(
        f"--price, --palette, --column and --bar must come with a picture (PNG, JPEG or WebP), got {got}"
    )


def picture_of(path: str | Path, picture: PictureGiven | None) -> PictureGiven | None:
    """What was stated of pictures, where this file is one."""
    return picture if picture is not None and is_picture(parted(path)[0]) else None


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
        if answer is not None:
            _check_one(answer)
    table = _table(content, path, columns)
    found = tables.read_table(table.rows, columns, str(path), table.beside)
    if not table.remarks:
        return found
    repaired = tuple(note("text", text=remark) for remark in table.remarks)
    makers = {name: (lambda make=make: _noted(make(), repaired)) for name, make in found.makers.items()}
    return replace(found, makers=makers)


def _check_one(answer: Answer) -> None:
    """Raises for a list of several documents, as a scraping service exports of several coins."""
    if isinstance(answer.body, list) and len(answer.body) > 1:
        layout = next((one for one in LAYOUTS if one.recognise(answer.body[0])), None)
        if layout is not None:
            raise answer.refuse(
                f"must hold one {layout.vendor} {layout.name}, got a list of {len(answer.body)}: make a file of each"
            )


def _table(content: bytes, path: Path, columns: Mapping[str, str]) -> TextTable:
    """The rows of a table; raises `VendorMapRefused` with what is read for a text that does not begin as one."""
    try:
        table = parse_rows(content, path)
    except TableRefused as error:
        if columns or _begins_like_a_table(content):
            raise
        raise _no_map(content, path) from error
    if table.rows.width == 1 and not columns:
        raise _no_map(content, path)
    return table


def _begins_like_a_table(content: bytes) -> bool:
    """Whether the first line has names of a map's columns or numbers, whatever separates them; JSON and Parquet, and
    what is no text, have refusals of their own."""
    first = _first_line(content)
    if content.startswith(PARQUET) or first[:1] in ("{", "[", "<", "") or not first.isprintable():
        return True
    rows = [next(csv.reader([first], delimiter=separator), []) for separator in ",;|\t"]
    return any(len(row) > 1 and tables.names_any(row) for row in rows)


def _first_line(content: bytes) -> str:
    return content[:65_536].lstrip().partition(b"\n")[0].decode(errors="replace").strip()


def _no_map(content: bytes, path: Path) -> VendorMapRefused:
    lines = content.count(b"\n") + (not content.endswith(b"\n"))
    return VendorMapRefused(
        f"{path}: must be a map: a vendor's JSON, a table of price and usd (CSV, JSON or Parquet; --columns names "
        f"others), or a picture with --price; got a text of {counted(lines, 'line')} that begins "
        f"{_first_line(content)[:40]!r}"
    )


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
