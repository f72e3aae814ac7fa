"""The ledger: forecasts that are kept before their time, each a content file and a row that names it by its hash.

The content is canonical JSON (keys sorted, no spaces, floats by their shortest digits), its name the SHA-256 of those
bytes; it is written whole before its row. The row is the truth: a file without a row is no forecast, and a file that
does not hash to its row is not scored. Rows are only added; the database refuses all else.
"""

import gzip
import json
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from liqtruth.compare.errors import ContentChanged
from liqtruth.heatmap.errors import MapFileError
from liqtruth.heatmap.files import from_json, to_json
from liqtruth.heatmap.heatmap import Heatmap
from liqtruth.heatmap.writing import write_atomically
from liqtruth.storage.database.asking import columns
from liqtruth.storage.database.records import Forecast
from liqtruth.storage.store import Store

SCHEMA: Final = "liqtruth.forecast/1"
FOLDER: Final = "forecasts"
ABOUT: Final = (
    "venue",
    "coin",
    "model",
    "weights",
    "model_hash",
    "as_of",
    "made_at",
    "horizon_s",
    "replayed",
    "synthetic",
)
"""What stands in the row as well as in the content."""


@dataclass(frozen=True, eq=False)
class Content:
    """The maps of a forecast: the model's, and that of `tiers` at the same moment, null where it could not be drawn."""

    map: Heatmap
    tiers: Heatmap | None


def content_bytes(about: dict[str, Any], content: Content) -> bytes:
    """The same forecast gives the same bytes; `about` has the keys `ABOUT`."""
    facts = {name: _plain(about[name]) for name in ABOUT}
    maps = {
        "map": json.loads(to_json(content.map)),
        "tiers": None if content.tiers is None else json.loads(to_json(content.tiers)),
    }
    whole = {"schema": SCHEMA, **facts, **maps}
    return json.dumps(
        whole, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def file_of(store: Store, hash_: str) -> Path:
    return store.settings.data_dir / FOLDER / f"{hash_}.json.gz"


def add_forecast(store: Store, about: dict[str, Any], content: Content) -> tuple[Forecast, bool]:
    """Store a forecast; of the same model, moment and horizon only the first is kept, which is then given back.

    Returns the row that is stored, and whether it is new.
    """
    from liqtruth.storage.database.tables import insert_new

    raw = content_bytes(about, content)
    row = Forecast(hash=sha256(raw).hexdigest(), **about)
    path = file_of(store, row.hash)
    write_atomically(path, gzip.compress(raw, mtime=0))
    new = store.database.transact(lambda session: insert_new(session, [row])) == 1
    kept = row if new else _kept(store, row)
    if kept.hash != row.hash:
        with suppress(OSError):
            path.unlink(missing_ok=True)
    return kept, new


def read_content(store: Store, row: Forecast) -> Content:
    """The content of a row, checked against it; raises `ContentChanged` naming the file and what is wrong."""
    path = file_of(store, row.hash)
    try:
        raw = gzip.decompress(path.read_bytes())
    except FileNotFoundError as error:
        raise ContentChanged(f"{path} is gone: the forecast cannot be scored") from error
    except (OSError, EOFError, zlib.error) as error:
        raise ContentChanged(f"{path} cannot be read ({error}): the forecast is not scored") from error
    if sha256(raw).hexdigest() != row.hash:
        raise ContentChanged(f"{path} does not have the hash of its name: it was changed, and is not scored")
    return _content(raw, row, path)


def open_forecasts(store: Store) -> Sequence[Forecast]:
    """Those without a score, oldest first."""
    sql = (
        f"SELECT {columns(Forecast)} FROM forecast "
        "WHERE hash NOT IN (SELECT forecast_hash FROM forecastscore) ORDER BY as_of, hash"
    )
    with store.database.asking() as asked:
        return asked.rows(Forecast, sql)


def _kept(store: Store, row: Forecast) -> Forecast:
    key = ("venue", "coin", "model", "model_hash", "as_of", "horizon_s", "replayed")
    same = " AND ".join(f"{name} = :{name}" for name in key)
    with store.database.asking() as asked:
        sql = f"SELECT {columns(Forecast)} FROM forecast WHERE {same}"
        [kept] = asked.rows(Forecast, sql, **{name: getattr(row, name) for name in key})
    return kept


def _content(raw: bytes, row: Forecast, path: Path) -> Content:
    whole = json.loads(raw)
    different = [name for name in ABOUT if whole[name] != _plain(getattr(row, name))]
    if different:
        raise ContentChanged(f"the ledger's row of {path.name} has another {different[0]} than its content")
    try:
        maps = [
            None if whole[name] is None else from_json(json.dumps(whole[name]), f"{path}: {name}")
            for name in ("map", "tiers")
        ]
    except MapFileError as error:
        raise ContentChanged(f"{error}: the forecast is not scored") from error
    assert maps[0] is not None
    return Content(maps[0], maps[1])


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value
