"""Two recordings of `outputs.py`, file by file: JSON and tables by their values, text by its lines.

Numbers are equal within `RELATIVE`; what is of a run and not of the data is passed over.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import polars as pl
from telling import say

RELATIVE: Final = 1e-12
SHOWN: Final = 6
"""Differences that are printed of a file; all are counted."""
OF_THE_RUN: Final = (
    (r"http://127\.0\.0\.1:\d+", "URL"),
    (r"\b[a-z]+-[0-9a-f]{16}-\d{8}T\d{9}", "READING"),
    (r"\b[0-9a-f]{64}\b", "FORECAST"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.(?!\d{3}000)\d{6}Z", "CLOCK"),
    (r"\(\d+ (second|minute|hour|day)s? ago\)|set-aside/\d{4}-\d\d-\d\d", "NOW"),
    (r"(?<=\d\d:\d\d)  \d+\.\d (hours|days)|(since|on) \d{4}-\d\d-\d\d \d\d:\d\d UTC", "NOW"),
    (r"(?<=@\d{8}T\d{6}\.\d{3}Z)-[0-9a-f]{8}", "READING"),
    (r"(made( at)?|opened at|to now) \(?\d{4}-\d\d-\d\d(T\d\d:\d\dZ)?( by liqtruth [\d.]+)?", "NOW"),
)
"""What text says of the run and not of the data: the served port, ids and hashes made with the clock, moments to the
microsecond (data have milliseconds at most), ages, the date of a model and the version that made it, what a reading's
id has of where its file lies."""
KEYS_OF_THE_RUN: Final = (
    r"^index (sweep|find|size|coin) .*\.seconds$",
    r"^index compact .*\.bytes_(before|after)$",
    r"^(check|report) .*\.(age_s|age_h\.value)$",
    r"^feed status .*\.age_s$",
    r"\.(made_at|opened_at)$",
)
"""Where such a value is one of its own: command and path of the value."""
ABSENT: Final = "(absent)"


@dataclass
class Found:
    """Differences, how many of them are numbers, and numbers that differ in their last digits only."""

    lines: list[str] = field(default_factory=list)
    numbers: int = 0
    rounded: int = 0


def compare(old: Path, new: Path, renames: Mapping[str, str]) -> bool:
    """Whether both recordings say the same; every file that differs is named on stdout."""
    names = sorted({path.relative_to(one) for one in (old, new) for path in one.rglob("*") if path.is_file()})
    total, files = Found(), 0
    for name in names:
        before, found = len(total.lines), total
        if (old / name).exists() and (new / name).exists():
            command_file = (old / name).parent / "command.txt"
            command = command_file.read_text().strip() if command_file.exists() else "stored"
            differ(renamed(read(old / name), renames), read(new / name), "", command, found)
        else:
            found.lines.append(f"only in {old if (old / name).exists() else new}")
        if lines := total.lines[before:]:
            files += 1
            more = [f"... and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
            say("\n  ".join([str(name), *lines[:SHOWN], *more]))
    say(
        f"{len(names)} files: {files} differ in {len(total.lines)} places, {total.numbers} of them numbers beyond "
        f"{RELATIVE:g}; {total.rounded} numbers differ within it"
    )
    return bool(names) and not total.lines


def read(path: Path) -> Any:
    """JSON as it is; a table as its header, types and columns; text by lines."""
    if path.suffix == ".json":
        return json.loads(path.read_text())
    if path.suffix == ".parquet":
        return table(pl.read_parquet(path), pl.read_parquet_metadata(path).get("liqtruth", ""))
    if path.suffix == ".csv" or path.with_name("command.txt").read_text().strip().endswith("--csv"):
        text = path.read_text()
        header, _, rest = text.partition("\n") if text.startswith("#") else ("", "", text)
        frame = pl.read_csv(rest.encode(), infer_schema_length=None) if rest.strip() else pl.DataFrame()
        return table(frame, header.removeprefix("#"))
    return path.read_text().splitlines()


def table(frame: pl.DataFrame, header: str) -> Any:
    return {
        "header": json.loads(header) if is_json(header) else header,
        "types": {name: str(kind) for name, kind in frame.schema.items()},
        "values": {name: frame[name].to_list() for name in frame.columns},
    }


def is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def renamed(value: Any, renames: Mapping[str, str]) -> Any:
    """Keys and columns of the old recording under their new names."""
    if isinstance(value, dict):
        return {renames.get(key, key): renamed(one, renames) for key, one in value.items()}
    return [renamed(one, renames) for one in value] if isinstance(value, list) else value


def differ(old: Any, new: Any, path: str, command: str, found: Found) -> None:
    """Add what differs at `path` and below it, the order of columns included."""
    if isinstance(old, dict) and isinstance(new, dict):
        if old.keys() != new.keys():
            old, new = ({of_the_data(key): value for key, value in one.items()} for one in (old, new))
        if path == ".types" and list(old) != list(new) and set(old) == set(new):
            found.lines.append(f"{path}: the columns {', '.join(old)} are now {', '.join(new)}")
        for key in dict.fromkeys([*old, *new]):
            differ(old.get(key, ABSENT), new.get(key, ABSENT), f"{path}.{key}", command, found)
    elif isinstance(old, list) and isinstance(new, list):
        if len(old) != len(new):
            found.lines.append(f"{path}: {len(old)} are now {len(new)}")
        for place, (one, other) in enumerate(zip(old, new, strict=False)):
            differ(one, other, f"{path}[{place}]", command, found)
    elif not any(re.search(key, f"{command} {path}") for key in KEYS_OF_THE_RUN):
        leaf(old, new, path, found)


def leaf(old: Any, new: Any, path: str, found: Found) -> None:
    if all(isinstance(one, int | float) and not isinstance(one, bool) for one in (old, new)):
        if old == new or (math.isnan(old) and math.isnan(new)):
            return
        if math.isclose(old, new, rel_tol=RELATIVE, abs_tol=0.0):
            found.rounded += 1
            return
        found.numbers += 1
    elif type(old) is type(new) and of_the_data(old) == of_the_data(new):
        return
    found.lines.append(f"{path}: {str(old)[:160]!r} is now {str(new)[:160]!r}")


def of_the_data(value: Any) -> Any:
    if isinstance(value, str):
        for pattern, word in OF_THE_RUN:
            value = re.sub(pattern, word, value)
    return value
