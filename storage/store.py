"""One handle on everything stored: settings, database and lake."""

from dataclasses import dataclass

from liqtruth.heatmap.errors import LiqtruthError
from liqtruth.storage.database.connection import Database, parsed_url
from liqtruth.storage.lake.identity import check_identity, refuse_missing
from liqtruth.storage.lake.lake import Lake
from liqtruth.storage.settings import Settings


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
            settings.lake_dir.mkdir(parents=True, exist_ok=True)
        except (OSError, ValueError) as error:
            raise LiqtruthError(
                f"cannot write to the data directory {settings.data_dir}: {getattr(error, 'strerror', error)}; "
                "choose another with --data-dir or LIQTRUTH_DATA_DIR"
            ) from error
        is_named = settings.database_url is not None
        url = parsed_url(settings.resolved_database_url)
        refuse_missing(url, settings.lake_dir, is_named)
        database = Database(url)
        try:
            check_identity(database, settings.lake_dir, is_named)
        except BaseException:
            database.close()
            raise
        return cls(settings, database, Lake(settings.lake_dir, database))

    def close(self) -> None:
        self.database.close()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
