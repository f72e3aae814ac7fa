"""Heatmaps to files and back, exactly: JSON, CSV and Parquet under one versioned schema."""

import io
import json
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import polars as pl

from heatmap.bounds import MapBounds
from heatmap.errors import LiqtruthError, MapFileError
from heatmap.grid import PriceGrid
from heatmap.heatmap import Coverage, Heatmap, Sides, Source, Training
from heatmap.levels import BREAKDOWN
from heatmap.writing import write_atomically as write_atomically

SCHEMA: Final = "liqtruth.heatmap/1"
COMMENT: Final = "# "
SIDE_COLUMNS: Final = ("long_usd", "short_usd")


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
    assumptions: tuple[str, ...]
    breakdown: dict[str, list[Any]] | None
    long_usd: list[float]
    short_usd: list[float]
    quality: tuple[str, ...] = ()  # files of before have none of these
    bounds: MapBounds | None = None
    only: dict[str, tuple[str, ...]] = {}
    training: Training | None = None


def about(heatmap: Heatmap) -> dict[str, Any]:
    """Everything but the bins, in JSON types; floats survive the round trip bit by bit."""
    coverage = heatmap.coverage
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
            name: list(value) if isinstance(value, tuple) else value
            for name in Coverage.__dataclass_fields__
            for value in [getattr(coverage, name)]
        },
        "assumptions": list(heatmap.assumptions),
        "quality": list(heatmap.quality),
        "bounds": None if heatmap.bounds is None else asdict(heatmap.bounds),
        "breakdown": _breakdown_to_json(heatmap.breakdown),
        **({"only": {name: list(values) for name, values in heatmap.only.items()}} if heatmap.only else {}),
        **({"training": msgspec.to_builtins(heatmap.training)} if heatmap.training else {}),
    }


def to_json(heatmap: Heatmap) -> str:
    """The map as JSON: the same map gives the same bytes."""
    bins = {"long_usd": heatmap.long_usd.tolist(), "short_usd": heatmap.short_usd.tolist()}
    return json.dumps({**about(heatmap), **bins}, ensure_ascii=False, allow_nan=False)


def from_json(text: str, place: str = "JSON") -> Heatmap:
    """Read `to_json` back; raises `MapFileError` naming the place and what is wrong."""
    try:
        content = json.loads(text)
    except ValueError as error:
        raise MapFileError(f"{place}: not JSON: {error}") from error
    return _assembled(content, place)


def to_csv(heatmap: Heatmap) -> str:
    """One row per bin under a comment line with everything else; opens in a spreadsheet."""
    return (
        COMMENT
        + json.dumps(about(heatmap), ensure_ascii=False, allow_nan=False)
        + "\n"
        + _bins(heatmap).write_csv()
    )


def from_csv(text: str, place: str = "CSV") -> Heatmap:
    if not text.endswith("\n"):
        raise MapFileError(f"{place}: not a heatmap: its last line is cut off")
    first, _, rest = text.partition("\n")
    if not first.startswith(COMMENT):
        raise MapFileError(f"{place}: not a heatmap: its first line is no `# {{...}}` header")
    return _from_table(first.removeprefix(COMMENT), io.BytesIO(rest.encode()), pl.read_csv, place)


def write_map(heatmap: Heatmap, path: Path) -> None:
    """Write by suffix (.json, .csv, .parquet), whole or not at all."""
    match path.suffix:
        case ".json":
            write_atomically(path, to_json(heatmap))
        case ".csv":
            write_atomically(path, to_csv(heatmap))
        case ".parquet":
            buffer = io.BytesIO()
            _bins(heatmap).write_parquet(
                buffer, metadata={"liqtruth": json.dumps(about(heatmap), allow_nan=False)}
            )
            write_atomically(path, buffer.getvalue())
        case other:
            raise MapFileError(f"{path}: cannot write {other!r}; use .json, .csv or .parquet")


def read_map(path: Path) -> Heatmap:
    """Read what `write_map` wrote; raises `MapFileError` naming the file and what is wrong."""
    try:
        match path.suffix:
            case ".json":
                return from_json(path.read_text(), str(path))
            case ".csv":
                return from_csv(path.read_text(), str(path))
            case ".parquet":
                header = pl.read_parquet_metadata(path).get("liqtruth", "")
                return _from_table(header, path, pl.read_parquet, str(path))
    except FileNotFoundError as error:
        raise MapFileError(f"{path}: no such file") from error
    except (OSError, UnicodeDecodeError, pl.exceptions.PolarsError) as error:
        raise MapFileError(f"{path}: cannot be read as a heatmap: {str(error).splitlines()[0]}") from error
    raise MapFileError(f"{path}: cannot read {path.suffix!r}; use .json, .csv or .parquet")


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


def _from_table(header: str, source: Any, read: Any, place: str) -> Heatmap:
    try:
        content = json.loads(header)
        table = read(source)
    except (ValueError, pl.exceptions.PolarsError) as error:
        raise MapFileError(f"{place}: not a heatmap: {str(error).splitlines()[0]}") from error
    columns = {name: table[name].to_list() for name in SIDE_COLUMNS if name in table.columns}
    return _assembled({**content, **columns} if isinstance(content, dict) else content, place)


def _assembled(content: Any, place: str) -> Heatmap:
    if not isinstance(content, dict):
        raise MapFileError(f"{place}: not a heatmap, but a JSON {type(content).__name__}")
    if content.get("schema") != SCHEMA:
        raise MapFileError(f"{place}: schema {content.get('schema')!r}; this liqtruth reads {SCHEMA!r}")
    try:
        read = msgspec.convert(content, MapFile)
        fields = {name: getattr(read, name) for name in MapFile.__struct_fields__ if name != "schema"}
        return Heatmap(**{**fields, "breakdown": _breakdown_from_json(read.breakdown)})
    except (TypeError, ValueError, LiqtruthError, pl.exceptions.PolarsError) as error:
        raise MapFileError(f"{place}: not a heatmap: {str(error).splitlines()[0]}") from error


def _breakdown_to_json(breakdown: pl.DataFrame | None) -> dict[str, list[Any]] | None:
    return None if breakdown is None else breakdown.to_dict(as_series=False)


def _breakdown_from_json(columns: dict[str, list[Any]] | None) -> pl.DataFrame | None:
    if columns is None:
        return None
    missing = [name for name in BREAKDOWN if name not in columns]
    if missing:
        raise MapFileError(f"the breakdown has no column {missing[0]!r}")
    schema = {name: BREAKDOWN.get(name, pl.String()) for name in columns}
    return pl.DataFrame(columns, schema=schema)
