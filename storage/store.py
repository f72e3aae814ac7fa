"""Settings, and one handle on everything stored: database and lake, and what one command sees of them.

Settings are read from the environment (`LIQTRUTH_*`); the command line overrides single values.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar
from urllib.parse import quote

from platformdirs import user_data_path
from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import URL

from liqtruth.heatmap.errors import BadInput, LiqtruthError
from liqtruth.storage.database.connection import Database, parsed_url
from liqtruth.storage.lake.bucket import Bucket
from liqtruth.storage.lake.identity import check_identity, refuse_missing
from liqtruth.storage.lake.lake import Lake
from liqtruth.storage.lake.places import Folder, Place
from liqtruth.storage.lake.read_once import ReadOnce

HYPERLIQUID_URL = "https://api.hyperliquid.xyz"
PREFIX = "LIQTRUTH_"
SHOWN = ("weight_per_minute", "request_timeout_s")
"""Whose values hold no secret."""
Asked = ParamSpec("Asked")
Found = TypeVar("Found")


class Settings(BaseSettings):
    """All state lives under `data_dir`: `liqtruth.db` (unless `database_url` names another) and `lake/`.

    A lake that machines share lies at `lake_url`, `s3://bucket/prefix`, and its database at `database_url`; given as
    `data_dir` it leaves what is of this machine alone (budgets, locks, models) a folder in the user's data directory.

    An empty variable is one that is not set. Raises `BadInput` naming the variable whose value cannot be used.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
    )

    data_dir: Path = Field(default_factory=lambda: user_data_path("liqtruth", appauthor=False))
    lake_url: str | None = None
    database_url: SecretStr | None = None
    hyperliquid_url: str = HYPERLIQUID_URL
    weight_per_minute: int = Field(default=960, ge=1, le=1_000_000)
    request_timeout_s: float = Field(default=10.0, gt=0, le=3600)
    coinglass_key: SecretStr | None = None
    coinank_key: SecretStr | None = None

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            faults = "; ".join(_fault_text(fault) for fault in error.errors(include_url=False))
            raise BadInput(faults) from None

    @model_validator(mode="before")
    @classmethod
    def _apart(cls, values: dict[str, Any]) -> dict[str, Any]:
        given = str(values.get("data_dir", ""))
        if "://" not in given:
            return values
        return {**values, "lake_url": given, "data_dir": _own_folder(Bucket.of(given))}

    @cached_property
    def resolved_database_url(self) -> URL | str:
        """The database to open; may hold a password, so it is never printed. Raises `BadInput` where a lake that
        machines share has none of its own."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        if self.lake_url is not None:
            raise BadInput(
                f"a lake at {self.place.root} needs the database that lists its files: "
                "set LIQTRUTH_DATABASE_URL=postgresql://user@host/name"
            )
        return URL.create("sqlite", database=str(self.data_dir / "liqtruth.db"))

    @property
    def lake_dir(self) -> Path:
        return self.data_dir / "lake"

    @property
    def place(self) -> Place:
        """Where the lake lies. Raises `BadInput` for a `lake_url` that is none."""
        return Folder(self.lake_dir) if self.lake_url is None else Bucket.of(self.lake_url).below("lake")


def _own_folder(bucket: Bucket) -> Path:
    return user_data_path("liqtruth", appauthor=False) / "shared" / quote(bucket.root, safe="")


def _fault_text(fault: Any) -> str:
    name = ".".join(str(part) for part in fault["loc"])
    value = f" {fault['input']!r}" if name in SHOWN else ""
    return f"{PREFIX}{name.upper()}{value} cannot be used: {fault['msg'][:1].lower()}{fault['msg'][1:]}"


@dataclass(frozen=True)
class Store:
    """What every command opens; close it, or use `opened`."""

    settings: Settings
    database: Database
    lake: Lake

    @classmethod
    def open(cls, settings: Settings) -> "Store":
        """Make the data directory where it is missing and bring the database up to date.

        One that this user may only read is left as it is, and can be read. Raises `LiqtruthError` where it cannot be
        opened, `OtherDatabase` where lake and database do not belong together.
        """
        try:
            own = settings.lake_dir if settings.lake_url is None else settings.data_dir
            own.mkdir(parents=True, exist_ok=True)
        except (OSError, ValueError) as error:
            raise LiqtruthError(
                f"cannot write to the data directory {settings.data_dir}: {getattr(error, 'strerror', error)}; "
                "choose another with --data-dir or LIQTRUTH_DATA_DIR"
            ) from error
        is_named = settings.database_url is not None
        url = parsed_url(settings.resolved_database_url)
        place = settings.place
        refuse_missing(url, place, is_named)
        database = Database(url)
        try:
            check_identity(database, place, is_named)
        except BaseException:
            database.close()
            raise
        return cls(settings, database, Lake(place, database))

    def view(self) -> "MarketView":
        """What a command that only reads takes instead of the store; made once per command."""
        return MarketView(self.settings, self.database, ReadOnce(self.lake.place, self.database))

    def once(
        self,
        read: "Callable[Concatenate[Store, Asked], Found]",
        *asked: Asked.args,
        **named: Asked.kwargs,
    ) -> Found:
        """What `read` finds of this store; a view asks it once and hands the same on after that."""
        return read(self, *asked, **named)

    def close(self) -> None:
        self.database.close()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True)
class MarketView(Store):
    """A store as one command sees it: every file is opened once, and what `once` has found is handed on.

    It shows the moment at which each part was first looked at, and is let go with the command.
    """

    found: dict[Hashable, Any] = field(default_factory=dict, compare=False)

    def view(self) -> "MarketView":
        return self

    def once(
        self,
        read: Callable[Concatenate[Store, Asked], Found],
        *asked: Asked.args,
        **named: Asked.kwargs,
    ) -> Found:
        key = (read, asked, tuple(sorted(named.items())))
        if key not in self.found:
            self.found[key] = read(self, *asked, **named)
        return self.found[key]  # type: ignore[no-any-return]
