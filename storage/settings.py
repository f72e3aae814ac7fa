"""Settings: read from the environment (`LIQTRUTH_*`, an empty variable is one that is not set); the command line
overrides single values."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote

from platformdirs import user_data_path

from liqtruth.heatmap.errors import BadInput
from liqtruth.storage.places.bucket import Bucket
from liqtruth.storage.places.places import Folder, Place

HYPERLIQUID_URL: Final = "https://api.hyperliquid.xyz"
PREFIX: Final = "LIQTRUTH_"
Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class Secret:
    """A text that no message and no log shows by itself."""

    _value: str

    def get_secret_value(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret('**********')"

    __str__ = __repr__


@dataclass(frozen=True, init=False)
class Settings:
    """All state lives under `data_dir`: `liqtruth.db` (unless `database_url` names another) and `lake/`.

    A lake that machines share lies at `lake_url`, `s3://bucket/prefix`, and its database at `database_url`; given as
    `data_dir` it leaves what is of this machine alone (budgets, locks, models) a folder in the user's data directory:
    of whichever machine the settings were sent to.

    Raises `BadInput` naming the variable whose value cannot be used.
    """

    data_dir: Path
    lake_url: str | None
    database_url: Secret | None
    hyperliquid_url: str
    weight_per_minute: int
    request_timeout_s: float
    coinglass_key: Secret | None
    coinank_key: Secret | None
    batch_key: Secret | None
    alchemy_key: Secret | None
    goldrush_key: Secret | None
    hydromancer_key: Secret | None

    def __init__(self, **given: Any) -> None:
        unknown = given.keys() - READ.keys()
        if unknown:
            raise TypeError(f"no setting {', '.join(sorted(unknown))}; there are {', '.join(READ)}")
        set_there = {name.upper(): text for name, text in os.environ.items() if text}
        values = {name: given.get(name, set_there.get(f"{PREFIX}{name.upper()}")) for name in READ}
        if "://" in (given_dir := str(values["data_dir"])):
            shared = Bucket.of(given_dir)
            values |= {"lake_url": shared.root, "data_dir": _own_folder(shared)}
        for name, (read, usual) in READ.items():
            value = values[name]
            known = usual() if value is None else read(f"{PREFIX}{name.upper()}", value)
            object.__setattr__(self, name, known)

    def __reduce__(self) -> tuple[Any, ...]:
        """Sent to another machine, with all values of this one but its own folder."""
        given = {name: getattr(self, name) for name in READ}
        if self.lake_url is not None and self.data_dir == _own_folder(Bucket.of(self.lake_url)):
            given["data_dir"] = self.lake_url
        return partial(Settings, **given), ()

    @property
    def resolved_database_url(self) -> str | Path:
        """The database to open, a file or a URL; that may hold a password, so it is never printed.

        Raises `BadInput` where a lake that machines share has none of its own.
        """
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        if self.lake_url is not None:
            raise BadInput(
                f"a lake at {self.place.root} needs the database that lists its files: "
                "give --database-url postgresql://user@host/name, or set LIQTRUTH_DATABASE_URL=postgresql://…"
            )
        return self.data_dir / "liqtruth.db"

    @property
    def lake_dir(self) -> Path:
        return self.data_dir / "lake"

    @property
    def place(self) -> Place:
        """Where the lake lies."""
        return Folder(self.lake_dir) if self.lake_url is None else Bucket.of(self.lake_url).below("lake")


def _own_folder(shared: Bucket) -> Path:
    return user_data_path("liqtruth", appauthor=False) / "shared" / quote(shared.root, safe="")


def _number(kind: type[Number], lowest: Number, highest: Number, name: str, value: Any) -> Number:
    """Its value holds no secret, so that a refusal may show it."""
    try:
        found = kind(value)
    except (ValueError, OverflowError):
        found = None
    if found is None or not lowest <= found <= highest:
        whole = "whole number" if kind is int else "number"
        raise BadInput(
            f"{name} {str(value)[:40]!r} cannot be used: it must be a {whole} of {lowest:,} to {highest:,}"
        )
    return found


def _path(_name: str, value: Any) -> Path:
    return Path(value)


def _bucket(_name: str, value: Any) -> str:
    return Bucket.of(value).root


def _host(name: str, value: Any) -> str:
    """It may hold a key, so that a refusal does not show it."""
    if not str(value).startswith(("http://", "https://")):
        raise BadInput(f"{name} must begin with http:// or https://")
    return str(value)


def _secret(_name: str, value: Any) -> Secret:
    return value if isinstance(value, Secret) else Secret(value)


READ: Final[dict[str, tuple[Callable[[str, Any], Any], Callable[[], Any]]]] = {
    "data_dir": (_path, lambda: user_data_path("liqtruth", appauthor=False)),
    "lake_url": (_bucket, lambda: None),
    "database_url": (_secret, lambda: None),
    "hyperliquid_url": (_host, lambda: HYPERLIQUID_URL),
    "weight_per_minute": (partial(_number, int, 1, 1_000_000), lambda: 960),
    "request_timeout_s": (partial(_number, float, 0.001, 3600.0), lambda: 10.0),
    "coinglass_key": (_secret, lambda: None),
    "coinank_key": (_secret, lambda: None),
    "batch_key": (_secret, lambda: None),
    "alchemy_key": (_secret, lambda: None),
    "goldrush_key": (_secret, lambda: None),
    "hydromancer_key": (_secret, lambda: None),
}
"""How each is read from the name of its variable and a value, and what it is where nothing is given."""
