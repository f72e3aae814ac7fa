"""Other people's tables: read CSV, JSON lines, JSON or Parquet (also `.gz`), recognise the layout, map the columns.

A `Layout` says which of their columns is which of ours. Both file doors (positions, feeds) describe the layouts they
know; `--columns ours=theirs,...` overrides or replaces them.
"""

import gzip
import io
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from storage.errors import TableRefused

UTC_MS = pl.Datetime("ms", "UTC")
EARLIEST_YEAR, LATEST_YEAR = 2005, 2100
EPOCH_SCALES = ((1e11, 1000.0), (1e14, 1.0), (1e17, 1e-3))
"""Largest number of a column below each bound, and what makes milliseconds of it: seconds, ms, us; else ns."""


@dataclass(frozen=True)
class Layout:
    """A known table: `columns` maps our name to theirs; it is recognised when all `required` of theirs are there."""

    name: str
    kind: str
    columns: Mapping[str, str]
    optional: Mapping[str, str] = field(default_factory=dict)

    def matches(self, header: Sequence[str]) -> bool:
        return set(self.columns.values()) <= set(header)

    def mapping(self, header: Sequence[str]) -> dict[str, str]:
        """Ours -> theirs for the columns that this table has."""
        extra = {ours: theirs for ours, theirs in self.optional.items() if theirs in header}
        return {**self.columns, **extra}


def parse_columns(text: str | None) -> dict[str, str]:
    """`ours=theirs,...` as given to `--columns`; raises `TableRefused` quoting a pair without `=`."""
    pairs = [pair.strip() for pair in (text or "").split(",") if pair.strip()]
    for pair in pairs:
        if pair.count("=") != 1 or pair.startswith("=") or pair.endswith("="):
            raise TableRefused(f"--columns: {pair!r} is not of the form ours=theirs")
    return {ours.strip(): theirs.strip() for ours, theirs in (pair.split("=") for pair in pairs)}


def read_table(path: Path) -> pl.DataFrame:
    """All columns as the file has them (CSV cells as text); raises `TableRefused` naming the file and the fault."""
    try:
        raw = path.read_bytes()
        content = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
        return _parse(content, _suffix(path))
    except FileNotFoundError as error:
        raise TableRefused(f"{path}: no such file") from error
    except IsADirectoryError as error:
        raise TableRefused(f"{path}: is a directory; name the files in it") from error
    except OSError as error:
        raise TableRefused(f"{path}: cannot be read: {error.strerror or error}") from error
    except zlib.error as error:
        raise TableRefused(f"{path}: cannot be read: its compression is broken ({error})") from error
    except (pl.exceptions.PolarsError, EOFError, ValueError) as error:
        line = str(error).splitlines()[0][:200]
        raise TableRefused(f"{path}: not a readable table: {line}") from error


def _suffix(path: Path) -> str:
    return path.with_suffix("").suffix.lower() if path.suffix == ".gz" else path.suffix.lower()


def _parse(content: bytes, suffix: str) -> pl.DataFrame:
    if not content.strip():
        raise ValueError("the file is empty")
    if content[:4] == b"PAR1":
        return pl.read_parquet(io.BytesIO(content))
    if suffix in (".jsonl", ".ndjson") or content[:1] == b"{":
        return pl.read_ndjson(io.BytesIO(content), infer_schema_length=None)
    if content[:1] == b"[":
        return pl.read_json(io.BytesIO(content), infer_schema_length=None)
    return pl.read_csv(io.BytesIO(content), infer_schema=False)


def recognise(header: Sequence[str], layouts: Sequence[Layout]) -> Layout | None:
    """The known layout with the most columns among those that this header satisfies."""
    fitting = [layout for layout in layouts if layout.matches(header)]
    return max(fitting, key=lambda layout: len(layout.columns), default=None)


def select_columns(table: pl.DataFrame, mapping: Mapping[str, str], place: Path) -> pl.DataFrame:
    """The mapped columns under our names; raises `TableRefused` for one that the file lacks."""
    for ours, theirs in mapping.items():
        if theirs not in table.columns:
            raise TableRefused(
                f"{place}: no column {theirs!r} (for {ours}); the file has {', '.join(table.columns)}"
            )
    return table.select(pl.col(theirs).alias(ours) for ours, theirs in mapping.items())


def to_float(
    table: pl.DataFrame, names: Sequence[str], place: Path, theirs: Mapping[str, str] | None = None
) -> pl.DataFrame:
    """Cast to Float64, empty cells to null; raises `TableRefused` with column, row (1 = first data row) and value.

    `theirs` maps our names to the file's own, to speak of a column by.
    """
    for name in names:
        column = table[name]
        if column.dtype == pl.String:
            stripped = column.str.strip_chars()
            column = stripped.set(stripped == "", None)
        cast = column.cast(pl.Float64, strict=False)
        wrong = column.is_not_null() & (cast.is_null() | ~cast.is_finite())
        _refuse(place, (theirs or {}).get(name, name), column, wrong, "a number")
        table = table.with_columns(cast.alias(name))
    return table


def to_time(
    table: pl.DataFrame, name: str, place: Path, theirs: Mapping[str, str] | None = None
) -> pl.DataFrame:
    """Cast to UTC milliseconds from ISO text or epoch s, ms, us or ns; raises `TableRefused`, also for other ages."""
    column = table[name]
    number = column.cast(pl.Float64, strict=False) if not column.dtype.is_temporal() else None
    if number is not None and number.null_count() == column.null_count():
        times = _from_epoch(number)
    elif column.dtype == pl.String:
        times = _parse_times(column)
    elif isinstance(column.dtype, pl.Datetime) and column.dtype.time_zone:
        times = column.dt.convert_time_zone("UTC").cast(UTC_MS)
    else:
        times = column.cast(pl.Datetime("ms"), strict=False).dt.replace_time_zone("UTC")
    wrong = times.is_null() | ~times.dt.year().is_between(EARLIEST_YEAR, LATEST_YEAR).fill_null(False)
    wanted = f"a time (ISO 8601 or epoch) of {EARLIEST_YEAR} to {LATEST_YEAR}"
    _refuse(place, (theirs or {}).get(name, name), column, wrong, wanted)
    return table.with_columns(times.alias(name))


def _from_epoch(number: pl.Series) -> pl.Series:
    """Times of a column of numbers, whose largest tells the unit; null where it is none that a clock could show."""
    finite = number.set(~number.is_finite().fill_null(False), None)
    largest = finite.abs().max()
    steps = (largest or 0.0) if isinstance(largest, float) else 0.0
    scale = next((scale for bound, scale in EPOCH_SCALES if steps < bound), 1e-6)
    milliseconds = (finite * scale).round()
    return milliseconds.set(milliseconds.abs() > 1e14, None).cast(pl.Int64).cast(UTC_MS)


def _parse_times(column: pl.Series) -> pl.Series:
    """ISO 8601 with a zone, or without one (UTC); null where it is neither."""
    times = column.str.to_datetime("%+", time_unit="ms", time_zone="UTC", strict=False)
    for naive in ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%MZ", "%Y-%m-%dT%H:%M"):
        if not times.null_count():
            break
        guess = column.str.to_datetime(naive, time_unit="ms", strict=False).dt.replace_time_zone("UTC")
        times = times.fill_null(guess)
    return times


def _refuse(place: Path, name: str, column: pl.Series, wrong: pl.Series, wanted: str) -> None:
    row = wrong.arg_true().first()
    if isinstance(row, int):
        raise TableRefused(f"{place}: row {row + 1}, column {name!r}: {column[row]!r} is not {wanted}")
