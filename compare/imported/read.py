"""A vendor's file to `Heatmap`, `HeatmapSeries` or a leverage model: document, table or picture."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from liqtruth.compare.errors import VendorMapRefused
from liqtruth.compare.imported.documents import MOST_BYTES, decoded, opened
from liqtruth.compare.imported.layouts import others
from liqtruth.compare.imported.maps_in_file import MapsInFile
from liqtruth.compare.imported.named_files import parted, with_facts
from liqtruth.compare.imported.pictures.decoding import is_picture
from liqtruth.compare.imported.pictures.picture import read_picture
from liqtruth.compare.imported.recognise import maps_of
from liqtruth.compare.imported.vendor_map import Given, PictureGiven, heatmap_of, series_of
from liqtruth.heatmap import files
from liqtruth.heatmap.grid import DEFAULT_WIDTH_BPS
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.series import HeatmapSeries
from liqtruth.heatmap.words.text import expected_time, is_timely, moment_of
from liqtruth.storage.files.content import read_content
from liqtruth.storage.files.tabular import parse_columns

if TYPE_CHECKING:
    from liqtruth.estimator.model.leverage_model import LeverageModel


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


def read_leverage_model(path: str | Path) -> "LeverageModel":
    """The leverages that a vendor states it assumes, as a model; raises `VendorMapRefused` where it states none."""
    content = read_content(Path(path), MOST_BYTES, most_members=1)
    return others.leverage_model_of(opened(decoded(content, path), path))


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
        held = maps_of(read_content(path, MOST_BYTES, most_members=1), path, given.columns)
    return ReadMaps(held, with_facts(path, given), str(path), width_bps)


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
