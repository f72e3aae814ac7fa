"""Addresses as they may be shown: a provider's path or user part may hold a key."""

from typing import Final

import httpx

from liqtruth.heatmap.errors import BadInput, one_line

LAST_PORT: Final = 65_535


def shown_url(base_url: str) -> str:
    """Scheme, host and port; raises `BadInput` for what is no http(s) address."""
    try:
        url = httpx.URL(base_url)
    except (httpx.InvalidURL, ValueError, TypeError):  # they show the value, which may hold a key
        raise BadInput("the base URL cannot be read; write e.g. http://127.0.0.1:3001") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise BadInput("the base URL must begin with http:// or https:// and name a host")
    if url.port is not None and not 0 < url.port <= LAST_PORT:
        raise BadInput(f"the base URL names port {one_line(str(url.port), 12)}; ports are 1 to {LAST_PORT}")
    port = f":{url.port}" if url.port else ""
    host = f"[{url.host}]" if ":" in url.host else url.host
    return f"{url.scheme}://{host}{port}" + ("" if url.path in ("", "/") else "/…")
