"""Settings from the environment (`LIQTRUTH_*`); the command line overrides single values."""

from functools import cached_property
from pathlib import Path
from typing import Any

from platformdirs import user_data_path
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import URL

from liqtruth.heatmap.errors import BadInput

HYPERLIQUID_URL = "https://api.hyperliquid.xyz"
PREFIX = "LIQTRUTH_"


class Settings(BaseSettings):
    """All state lives under `data_dir`: `liqtruth.db` (unless `database_url` names another) and `lake/`.

    An empty variable is one that is not set. Raises `BadInput` naming the variable whose value cannot be used.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
    )

    data_dir: Path = Field(default_factory=lambda: user_data_path("liqtruth", appauthor=False))
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

    @cached_property
    def resolved_database_url(self) -> URL | str:
        """The database to open; may hold a password, so it is never printed."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return URL.create("sqlite", database=str(self.data_dir / "liqtruth.db"))

    @property
    def lake_dir(self) -> Path:
        return self.data_dir / "lake"


SHOWN = ("weight_per_minute", "request_timeout_s")
"""Whose values hold no secret."""


def _fault_text(fault: Any) -> str:
    name = ".".join(str(part) for part in fault["loc"])
    value = f" {fault['input']!r}" if name in SHOWN else ""
    return f"{PREFIX}{name.upper()}{value} cannot be used: {fault['msg'][:1].lower()}{fault['msg'][1:]}"
