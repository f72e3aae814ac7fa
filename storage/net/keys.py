"""Keys of other people's services: from the environment, over https alone, in no log, error or file."""

import re
from typing import Final

import httpx

from liqtruth.heatmap.errors import BadInput
from liqtruth.storage.net.answers import shown_url
from liqtruth.storage.settings import Secret

KEY: Final = re.compile(r"[\x21-\x7e]{4,512}")
KEY_PLACE: Final = "{key}"
"""In an address: where the key goes."""
KEY_REFUSED: Final = (401, 403)
"""What HTTP states where it is not taken."""
STRUCK: Final = "[key]"
HERE: Final = ("127.0.0.1", "localhost", "::1")


def sound_key(secret: Secret | None, variable: str, service: str) -> str:
    """The key that `variable` of the environment holds; raises `BadInput`, without showing it, where it cannot be
    one."""
    key = "" if secret is None else secret.get_secret_value().strip()
    if not key:
        raise BadInput(f"{variable} must hold your own key of {service}: it is not set")
    if not KEY.fullmatch(key):
        raise BadInput(f"{variable} must be a key of plain characters without spaces")
    return key


def check_private(url: str, option: str) -> str:
    """The http(s) address as it may be shown; raises `BadInput` where a key would go over the net in the clear."""
    shown, parsed = shown_url(url), httpx.URL(url)
    if parsed.scheme != "https" and parsed.host not in HERE:
        raise BadInput(f"{shown}: a key is only sent over https, or to this machine: {option}")
    return shown


def without_key(text: str, key: str) -> str:
    """`text` with the key struck out, wherever somebody repeated it."""
    return text.replace(key, STRUCK) if key else text
