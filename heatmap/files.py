"""Heatmaps to files and back, exactly: JSON, CSV and Parquet under one versioned schema.

A CSV has nothing but its columns: what else there is to say stands beside it, in `FILE.csv.meta.json`. CSVs of before
have it in a comment line of their own, and are still read.
"""

import io
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import polars as pl

from liqtruth.heatmap.bounds import MapBounds
from liqtruth.heatmap.clusters.distribution import MapProfile
from liqtruth.heatmap.clusters.facts import MapFacts
from liqtruth.heatmap.errors import LiqtruthError, MapFileError
from liqtruth.heatmap.grid import PriceGrid
from liqtruth.heatmap.heatmap import Coverage, Heatmap, Origin, Source, Training
from liqtruth.heatmap.levels import BELOW, BREAKDOWN, Sides
from liqtruth.heatmap.words.notes import SYNTHETIC, Notes, WrittenNote, reader, texts, written
from liqtruth.heatmap.writing import META, facts_of, write_atomically, write_with_facts

SCHEMA: Final = "liqtruth.heatmap/1"
NOT_DECODED: Final = (msgspec.MsgspecError, UnicodeError, RecursionError)
"""What decoders raise for bytes that are not what they should be, for every door: msgspec's own errors for wrong
types and broken JSON, `UnicodeDecodeError` for text that is not UTF-8, `RecursionError` for what is nested too deep."""
OWN_HEAD: Final = b'"schema":"liqtruth.heatmap/'
"""Near the beginning of every JSON map, but for white space."""
PARQUET_KEY: Final = "liqtruth"
"""Of the metadata of a Parquet file."""
COMMENT: Final = "# "
SIDE_COLUMNS: Final = ("long_usd", "short_usd")
MOST_BYTES: Final = 256 * 2**20
"""Of a map file; one of a million bins is a tenth of it."""
MOST_BINS_EACH_WAY: Final = 1_000_000
"""A hundredth of a basis point over a factor of two; finer grids are not drawn."""
MOST_BREAKDOWN: Final = 5_000_000
"""Rows by which a map is broken down."""


SAME_EDGE: Final = 1e-9
"""Relative, between an edge as a CSV has it and as its facts do."""
SIDES: Final = {name: pl.Float64() for name in SIDE_COLUMNS}
CSV_COLUMNS: Final = {"low_px": pl.Float64(), **SIDES}
UNREADABLE: Final = (*NOT_DECODED, ValueError, pl.exceptions.PolarsError, pl.exceptions.PanicException)
Cell = int | float | str | None
"""Of a breakdown."""


class MapFile(msgspec.Struct):
    """What a map file must hold, and of which types; `Heatmap` checks the rest."""

    schema: str
    coin: str
    venue: str
    source: Source
    model: str
    as_of: datetime
    grid: PriceGrid
    beyond_usd: Sides
    never_usd: Sides
    coverage: Coverage
    assumptions: Notes
    breakdown: dict[str, list[Cell]] | None
    long_usd: list[float]
    short_usd: list[float]
    quality: Notes = ()  # files of before have none of these
    bounds: MapBounds | None = None
    only: dict[str, tuple[str, ...]] = {}
    training: Training | None = None
    origin: Origin | None = None
    covers: tuple[float, float] | None = None


def about(heatmap: Heatmap) -> dict[str, Any]:
    """Everything but the bins, in JSON types; floats survive the round trip bit by bit."""
    coverage = heatmap.coverage
    notes = written((*coverage.notes, *heatmap.assumptions, *heatmap.quality))
    return {
        "schema": SCHEMA,
        "coin": heatmap.coin,
        "venue": heatmap.venue,
        "source": heatmap.source,
        "model": heatmap.model,
        "as_of": heatmap.as_of.isoformat(),
        "grid": heatmap.grid.to_dict(),
        "beyond_usd": list(heatmap.beyond_usd),
        "never_usd": list(heatmap.never_usd),
        "coverage": {
            **{
                name: list(value) if isinstance(value, tuple) else value
                for name in Coverage.__dataclass_fields__
                for value in [getattr(coverage, name)]
            },
            "notes": texts(coverage.notes),
        },
        "assumptions": texts(heatmap.assumptions),
        "quality": texts(heatmap.quality),
        **({"notes": notes} if notes else {}),
        "bounds": None if heatmap.bounds is None else asdict(heatmap.bounds),
        "breakdown": _breakdown_to_json(heatmap.breakdown),
        **({"only": {name: list(values) for name, values in heatmap.only.items()}} if heatmap.only else {}),
        **({"training": msgspec.to_builtins(heatmap.training)} if heatmap.training else {}),
        **({"origin": msgspec.to_builtins(heatmap.origin)} if heatmap.origin else {}),
        **({"covers": list(heatmap.covers)} if heatmap.covers else {}),
    }


def to_json(heatmap: Heatmap, profile: MapProfile | None = None, facts: MapFacts | None = None) -> str:
    """The map as JSON, with the edges of its bins and, where given, its `profile` and in that the `facts` of its
    clusters; the same map gives the same bytes."""
    bins = {
        "edges_px": heatmap.grid.edges.tolist(),
        "long_usd": heatmap.long_usd.tolist(),
        "short_usd": heatmap.short_usd.tolist(),
    }
    beside = {} if profile is None else {"profile": asdict(profile)}
    if profile is not None and facts is not None:
        beside["profile"]["facts"] = facts.plain(profile.clusters)
    return json.dumps({**about(heatmap), **bins, **beside}, ensure_ascii=False, allow_nan=False)


def from_json(text: str, place: str = "JSON") -> Heatmap:
    """Read `to_json` back; raises `MapFileError` naming the place and what is wrong."""
    return _assembled(_decoded(text, place), {}, place)


def to_csv(heatmap: Heatmap) -> str:
    """One row per bin, and nothing else: `about` has the rest."""
    return _bins(heatmap).write_csv()


def from_csv(text: str, place: str = "CSV", facts: str | None = None) -> Heatmap:
    """Read `to_csv` back with the `facts` that stand beside it, or a CSV of before; raises `MapFileError`."""
    if not text.endswith("\n"):
        raise MapFileError(f"{place}: not a heatmap: its last line is cut off")
    first, _, rest = text.partition("\n")
    if first.startswith(COMMENT):
        facts, text = first.removeprefix(COMMENT), rest
    if facts is None:
        raise MapFileError(f"{place}: not a heatmap: a CSV must have its facts beside it, in {place}{META}")
    head = _decoded(facts, place)
    try:
        table = pl.read_csv(io.BytesIO(text.encode()), columns=[*CSV_COLUMNS], schema_overrides=CSV_COLUMNS)
    except UNREADABLE as error:
        raise MapFileError(f"{place}: not a heatmap: {_first_line(error)}") from None
    read = _assembled(head, {name: table[name] for name in SIDE_COLUMNS}, place)
    if not np.allclose(table["low_px"].to_numpy(), read.grid.edges[:-1], rtol=SAME_EDGE):
        raise MapFileError(f"{place}: not a heatmap: its facts are those of another map, of other bins")
    return read


def write_csv(heatmap: Heatmap, path: Path) -> None:
    """The bins to `path`, everything else beside it."""
    write_with_facts(path, to_csv(heatmap), about(heatmap))


def write_parquet(heatmap: Heatmap, path: Path) -> None:
    """The bins, with everything else as metadata of the file."""
    buffer = io.BytesIO()
    _bins(heatmap).write_parquet(buffer, metadata={PARQUET_KEY: json.dumps(about(heatmap), allow_nan=False)})
    write_atomically(path, buffer.getvalue())


def _from_parquet(path: Path) -> Heatmap:
    """The bins that the header speaks of, and no more: a few bytes of Parquet can stand for billions of rows."""
    head = _decoded(pl.read_parquet_metadata(path).get(PARQUET_KEY, ""), str(path))
    bins, schema = _bins_of(head), pl.read_parquet_schema(path)
    if any(schema.get(name) != pl.Float64 for name in SIDE_COLUMNS):
        raise MapFileError(f"{path}: not a heatmap: {' and '.join(SIDE_COLUMNS)} must be columns of numbers")
    if bins > 2 * MOST_BINS_EACH_WAY or _height(path) != bins:
        raise MapFileError(f"{path}: not a heatmap: it must have a row for each of its {bins} bins")
    table = pl.read_parquet(path, columns=list(SIDE_COLUMNS))
    return _assembled(head, {name: table[name] for name in SIDE_COLUMNS}, str(path))


def _height(path: Path) -> int:
    return int(pl.scan_parquet(path).select(pl.len()).collect().item())


def _bins_of(head: Mapping[str, Any]) -> int:
    grid = head.get("grid")
    each_way = grid.get("bins_each_way") if isinstance(grid, dict) else None
    return 2 * each_way if isinstance(each_way, int) else 0


def write_map(heatmap: Heatmap, path: str | Path) -> None:
    """Write a map by the suffix of its file, whole or not at all.

    Parameters
    ----------
    heatmap : Heatmap
    path : str or Path
        Ends in `.json`, `.csv` or `.parquet`.

    Raises
    ------
    MapFileError
        For another suffix.

    Examples
    --------
    >>> lt.write_map(truth, "btc.parquet")
    """
    path = Path(path)
    match path.suffix:
        case ".json":
            write_atomically(path, to_json(heatmap))
        case ".csv":
            write_csv(heatmap, path)
        case ".parquet":
            write_parquet(heatmap, path)
        case other:
            raise MapFileError(f"{path}: cannot write {other!r}; use .json, .csv or .parquet")


def read_map(path: str | Path) -> Heatmap:
    """What `write_map` or `liqtruth map` wrote, equal in every bit; raises `MapFileError` naming the file and what is
    wrong with it."""
    path = Path(path)
    try:
        _check_size(path)
        match path.suffix:
            case ".json":
                return from_json(path.read_text(), str(path))
            case ".csv":
                return from_csv(path.read_text(), str(path), _facts_beside(path))
            case ".parquet":
                return _from_parquet(path)
    except FileNotFoundError as error:
        raise MapFileError(f"{path}: no such file") from error
    except (OSError, *UNREADABLE) as error:
        raise MapFileError(f"{path}: cannot be read as a heatmap: {_first_line(error)}") from None
    raise MapFileError(f"{path}: cannot read {path.suffix!r}; use .json, .csv or .parquet")


def is_own(path: Path) -> bool:
    """Whether a file is one of `write_map`, by its content; false for one that cannot be read."""
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            head = file.read(256)
        if head.startswith(b"PAR1"):
            return PARQUET_KEY in pl.read_parquet_metadata(path)
    except (OSError, *UNREADABLE):
        return False
    if path.suffix == ".csv":
        return head.startswith(b"# {") or (
            facts_of(path).is_file() and head.startswith(b"low_px,high_px,long_usd")
        )
    return OWN_HEAD in head.replace(b" ", b"").replace(b"\n", b"")


def _check_size(path: Path) -> None:
    if path.is_file() and path.stat().st_size > MOST_BYTES:
        raise MapFileError(f"{path}: a map file must be at most {MOST_BYTES >> 20} MB")


def _facts_beside(path: Path) -> str | None:
    beside = facts_of(path)
    _check_size(beside)
    return beside.read_text() if beside.is_file() else None


def same(a: Heatmap, b: Heatmap) -> bool:
    """Whether two maps are equal in every bit."""
    return to_json(a) == to_json(b)


def _bins(heatmap: Heatmap) -> pl.DataFrame:
    edges = heatmap.grid.edges
    return pl.DataFrame(
        {
            "low_px": edges[:-1],
            "high_px": edges[1:],
            "long_usd": heatmap.long_usd,
            "short_usd": heatmap.short_usd,
        }
    )


def _decoded(text: str, place: str) -> dict[str, Any]:
    """The fields of a map, of this schema."""
    try:
        content = msgspec.json.decode(text)
    except NOT_DECODED as error:
        raise MapFileError(f"{place}: not a heatmap: not JSON: {_first_line(error)}") from None
    if not isinstance(content, dict):
        raise MapFileError(f"{place}: not a heatmap, but a JSON {type(content).__name__}")
    if content.get("schema") != SCHEMA:
        raise MapFileError(f"{place}: schema {content.get('schema')!r}; this liqtruth reads {SCHEMA!r}")
    return content


def _assembled(content: Mapping[str, Any], bins: Mapping[str, pl.Series], place: str) -> Heatmap:
    """The map that the fields make; `bins` where they do not hold the columns of the grid themselves."""
    try:
        beside = msgspec.convert(content.get("notes", []), list[WrittenNote])
        read = msgspec.convert({**content, **{name: [] for name in bins}}, MapFile, dec_hook=reader(beside))
        if read.grid.bins_each_way > MOST_BINS_EACH_WAY:
            raise MapFileError(
                f"a grid must have at most {MOST_BINS_EACH_WAY} bins each way, got {read.grid.bins_each_way}"
            )
        fields = {name: getattr(read, name) for name in MapFile.__struct_fields__ if name != "schema"}
        fields |= {name: column.to_numpy() for name, column in bins.items()}
        drawn = Heatmap(**{**fields, "breakdown": _breakdown_from_json(read.breakdown, read.grid.bins)})
        return drawn if "synthetic" in content["coverage"] else _of_before(drawn)
    except (TypeError, ArithmeticError, LiqtruthError, *UNREADABLE) as error:
        raise MapFileError(f"{place}: not a heatmap: {_first_line(error)}") from None


def _of_before(drawn: Heatmap) -> Heatmap:
    """A map of a file that states only in words whether it came from the sandbox."""
    stated = (drawn.venue, *texts((*drawn.coverage.notes, *drawn.assumptions)))
    synthetic = any(SYNTHETIC in words.casefold() for words in stated)
    return replace(drawn, coverage=replace(drawn.coverage, synthetic=synthetic))


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _breakdown_to_json(breakdown: pl.DataFrame | None) -> dict[str, list[Any]] | None:
    return None if breakdown is None else breakdown.to_dict(as_series=False)


def _is_amount(name: str) -> pl.Expr:
    """Null where nothing is stated: a model knows no largest position."""
    return pl.col(name).is_finite() & (pl.col(name) >= 0)


def _breakdown_from_json(columns: dict[str, list[Cell]] | None, bins: int) -> pl.DataFrame | None:
    if columns is None:
        return None
    missing = [name for name in BREAKDOWN if name not in columns]
    if missing:
        raise MapFileError(f"the breakdown has no column {missing[0]!r}")
    if max(len(column) for column in columns.values()) > MOST_BREAKDOWN:
        raise MapFileError(f"a breakdown must have at most {MOST_BREAKDOWN} rows")
    schema = {name: BREAKDOWN.get(name, pl.String()) for name in columns}
    breakdown = pl.DataFrame(columns, schema=schema)
    sound = _is_amount("notional_usd").fill_null(False) & _is_amount("largest_usd").fill_null(True)
    placed = pl.col("bin").is_between(BELOW, bins).fill_null(True) & pl.col("side").is_not_null()
    if not breakdown.select((sound & placed).all()).item():
        raise MapFileError(
            "the breakdown must have bins of the grid, and amounts that are numbers of at least zero"
        )
    return breakdown
