"""Values of a line that need no validation are taken as they are: typer has pydantic read every value, defaults too,
and to load it takes longer than many a command works."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

PLAIN: Final = (str, int, float, bool)
OF_PATHS: Final = ("exists", "writable", "resolve_path", "allow_dash", "path_type")
"""What may be asked of a path; where any of it is, typer looks at it."""


def read_plainly(params: Iterable[Any]) -> None:
    """Have each parameter read here first; a typer that keeps its readers elsewhere is left as it is."""
    for param in params:
        if getattr(param, "_runtime_param", param) is None:
            param._runtime_param = Reader()


class Reader:
    """Stands where typer keeps what reads a parameter's values."""

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """The value that typer would give, which is asked for all that is not plain, and for every refusal."""
        is_list = param.multiple or param.nargs == -1
        if value is None:
            return () if is_list else None
        if not is_list:
            with suppress(ValueError, AssertionError, TypeError, AttributeError):
                return _plain(value, param.type_descriptor)
        from typer._coercion import build_runtime_param

        param._runtime_param = build_runtime_param(param.type_descriptor)
        return param._runtime_param.coerce(value, param=param, ctx=ctx)


def _plain(value: Any, described: Any) -> Any:
    """Raises `ValueError` for what is not plain."""
    kind, asked = described.annotation, described.parameter_info
    if asked.parser is not None:
        return asked.parser(value)
    if kind in PLAIN and type(value) is kind:  # numbers of a line are words: these are defaults
        return value
    is_any_path = kind is Path and not any(getattr(asked, name) for name in OF_PATHS)
    if is_any_path and isinstance(value, str | Path) and os.access(value, os.R_OK):
        return Path(value)
    raise ValueError
