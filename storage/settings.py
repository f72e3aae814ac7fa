"""Settings from the environment (`LIQTRUTH_*`); the command line overrides single values."""

from functools import cached_property
from pathlib import Path

from platformdirs import user_data_path
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

HYPERLIQUID_URL = "https://api.hyperliquid.xyz"


class Settings(BaseSettings):
    """All state lives under `data_dir`: `liqtruth.db` (unless `database_url` says otherwise) and `lake/`."""

    model_config = SettingsConfigDict(env_prefix="LIQTRUTH_", extra="ignore")

    data_dir: Path = Field(default_factory=lambda: user_data_path("liqtruth", appauthor=False))
    database_url: SecretStr | None = None
    hyperliquid_url: str = HYPERLIQUID_URL
    weight_per_minute: int = Field(default=960, ge=1, le=1_000_000)
    request_timeout_s: float = Field(default=10.0, gt=0)

    @cached_property
    def resolved_database_url(self) -> str:
        """The database to open; may hold a password, so it is never printed."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.data_dir / 'liqtruth.db'}"

    @property
    def lake_dir(self) -> Path:
        return self.data_dir / "lake"
