"""One handle on everything stored: database and lake, and what one command sees of them."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Concatenate, ParamSpec, TypeVar

from liqtruth.heatmap.errors import LiqtruthError
from liqtruth.storage.database.address import IN_MEMORY, Address, address_of
from liqtruth.storage.database.connection import Database
from liqtruth.storage.errors import NothingStored
from liqtruth.storage.lake.identity import check_identity, is_missing, refuse_missing
from liqtruth.storage.lake.lake import Lake
from liqtruth.storage.lake.read_once import ReadOnce
from liqtruth.storage.places.places import Place
from liqtruth.storage.settings import HYPERLIQUID_URL, PREFIX, Settings

__all__ = ["HYPERLIQUID_URL", "PREFIX", "MarketView", "Settings", "Store"]
Asked = ParamSpec("Asked")
Found = TypeVar("Found")


@dataclass(frozen=True)
class Store:
    """What every command opens, as `open` where it brings something, else as `existing` or `any`; close it."""

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
        address, place = _where(settings)
        refuse_missing(address.file, place, is_named)
        database = Database(address)
        try:
            check_identity(database, place, is_named)
        except BaseException:
            database.close()
            raise
        return cls(settings, database, Lake(place, database))

    @classmethod
    def existing(cls, settings: Settings) -> "Store":
        """The store of whoever only reads, which is never made.

        Raises `NothingStored` where there is none, else as `open`.
        """
        refuse_nothing(settings)
        return cls.open(settings)

    @classmethod
    def any(cls, settings: Settings) -> "Store":
        """The same for what may do without: where there is no store an empty one, of which nothing is left behind."""
        address, place = _where(settings)
        if not is_missing(address, place):
            return cls.open(settings)
        database = Database(IN_MEMORY)
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


def refuse_nothing(settings: Settings) -> None:
    """Raises `NothingStored` where nothing was ever stored."""
    if is_missing(*_where(settings)):
        raise NothingStored(
            f"nothing is stored in {settings.place.beside.root}: `liqtruth check` or `index` stores positions, "
            "`liqtruth feed` series, `liqtruth demo` synthetic ones; --data-dir or LIQTRUTH_DATA_DIR names another "
            "place"
        )


def _where(settings: Settings) -> tuple[Address, Place]:
    return address_of(settings.resolved_database_url), settings.place
