"""Providers that push fills with their liquidations: where, with which key, what they state, and how it is read.

    provider     stream              what it states         key
    Alchemy      `allFills`          every fill             in the path
    GoldRush     `liquidationFills`  every liquidation      `key` of the query
    Hydromancer  `liquidationFills`  every liquidation      `token` of the query

Addresses, subscriptions and shapes are those of the providers' documentation of 2026, none of it verified with a key:
`liqtruth doctor --live` looks at each provider whose key is set. A message has fills under `fills`, in `data` or
beside it, each a pair of address and fill or a fill that names its `user`: all of these are read.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from liqtruth.heatmap.errors import BadInput, LeftOut, SourceUnreachable, one_line
from liqtruth.heatmap.files import NOT_DECODED
from liqtruth.heatmap.words.text import expected_time, is_timely_ms
from liqtruth.indexer.node.events import PERPETUAL, Address, Fill
from liqtruth.storage.net.answers import socket_url
from liqtruth.storage.net.keys import KEY_PLACE, check_private, sound_key
from liqtruth.storage.settings import PREFIX, Settings

LARGEST_MESSAGE: Final = 16 * 2**20
PING: Final = '{"method":"ping"}'
PONG: Final = '{"type":"pong"}'
LISTS: Final = ("fills", "liquidations")
STATED: Final = "every liquidation, as {name} states"
ACKNOWLEDGED: Final = ("subscriptionResponse", "subscriptionUpdate", "subscribed")


class StreamRefused(SourceUnreachable):
    """A provider takes neither the key nor the subscription: asking again would be answered the same."""

    retryable = False


@dataclass(frozen=True)
class FillStream:
    """One provider's stream; `path` has the place of the key, `subscription` is sent once connected."""

    name: str
    host: str
    path: str
    subscription: Mapping[str, Any]
    ping: str | None = None

    @property
    def coverage(self) -> str:
        """What share of liquidations it pushes, by its own statement."""
        return STATED.format(name=self.name)

    @property
    def variable(self) -> str:
        """Of the environment, which holds the key."""
        return f"{PREFIX}{self.name.upper()}_KEY"

    def key(self, settings: Settings) -> str:
        """Raises `BadInput`, without showing it, where none is set or it cannot be one."""
        return sound_key(getattr(settings, f"{self.name.lower()}_key"), self.variable, self.name)

    def url(self, base_url: str | None, key: str) -> str:
        """Of the socket; `base_url` is http(s) and takes the place of the host."""
        path = self.path.replace(KEY_PLACE, key)
        return f"wss://{self.host}{path}" if base_url is None else socket_url(base_url, path)

    def shown(self, base_url: str | None) -> str:
        """Where it is, without the key; raises `BadInput` where the key would go over the net in the clear."""
        return f"https://{self.host}" if base_url is None else check_private(base_url, "--provider-url")


STREAMS: Final[Mapping[str, FillStream]] = {
    "alchemy": FillStream(
        "alchemy",
        "hypercore-mainnet.g.alchemy.com",
        f"/v2/{KEY_PLACE}",
        {
            "method": "subscribe",
            "subscriptionId": "liquidations",
            "subscription": {"type": "allFills", "subscriptionId": "liquidations"},
        },
    ),
    "goldrush": FillStream(
        "goldrush",
        "hypercore.goldrushdata.com",
        f"/ws?key={KEY_PLACE}",
        {"method": "subscribe", "subscription": {"type": "liquidationFills"}},
        ping=PING,
    ),
    "hydromancer": FillStream(
        "hydromancer",
        "api.hydromancer.xyz",
        f"/ws?token={KEY_PLACE}",
        {"type": "subscribe", "subscription": {"type": "liquidationFills"}},
    ),
}


def stream_named(name: str) -> FillStream:
    """Raises `BadInput` for a provider that is not known."""
    if name.lower() not in STREAMS:
        raise BadInput(f"the provider must be {', '.join(STREAMS)}, got {name!r}: --provider")
    return STREAMS[name.lower()]


def keys_set(settings: Settings) -> dict[str, str]:
    """The keys that the environment has, by provider."""
    return {
        name: stream.key(settings)
        for name, stream in STREAMS.items()
        if getattr(settings, f"{name}_key") is not None
    }


@dataclass
class Pushed:
    """What one message was: `liquidations` (address and fill) out of `fills` of them; `acknowledged` where it was the
    answer to the subscription or anything of it; `answer` is to be sent back."""

    fills: int = 0
    liquidations: list[tuple[str, Fill]] = field(default_factory=list)
    acknowledged: bool = False
    answer: str | None = None


class _Frame(msgspec.Struct):
    """Any message; what is absent is empty."""

    type: str = ""
    channel: str = ""
    data: msgspec.Raw = msgspec.Raw()
    fills: msgspec.Raw = msgspec.Raw()
    liquidations: msgspec.Raw = msgspec.Raw()
    message: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


class _Owner(msgspec.Struct):
    user: Address


_pair = msgspec.json.Decoder(tuple[Address, Fill], strict=False)
_fill = msgspec.json.Decoder(Fill, strict=False)


def pushed(raw: bytes, left_out: LeftOut, now_s: float) -> Pushed:
    """What a message holds; fills that cannot be read are counted in `left_out`.

    Raises `StreamRefused` for one that says that it failed.
    """
    try:
        frame = msgspec.json.decode(raw, type=_Frame)
    except NOT_DECODED as error:
        left_out.note("messages", one_line(str(error)))
        return Pushed()
    kinds = (frame.type, frame.channel)
    if "error" in kinds or frame.error:
        raise StreamRefused(
            one_line(bytes(frame.error or frame.message or frame.data).decode(errors="replace"), 160)
        )
    if "ping" in kinds:
        return Pushed(answer=PONG)
    listed = _listed(frame)
    if listed is None:
        return Pushed(acknowledged=any(kind in ACKNOWLEDGED for kind in kinds))
    found = [pair for item in listed if (pair := _read(item, left_out, now_s)) is not None]
    forced = [
        (address.lower(), fill)
        for address, fill in found
        if fill.liquidation is not None and PERPETUAL.match(fill.coin)
    ]
    return Pushed(len(listed), forced, acknowledged=True)


def _listed(frame: _Frame) -> list[msgspec.Raw] | None:
    """The fills of a message as they were sent; null where it is no message of fills."""
    for raw in (frame.fills, frame.liquidations, frame.data):
        if bytes(memoryview(raw)[:1]) == b"[":
            return msgspec.json.decode(raw, type=list[msgspec.Raw])
    if bytes(memoryview(frame.data)[:1]) != b"{":
        return None
    members = msgspec.json.decode(frame.data, type=dict[str, msgspec.Raw])
    inner = next((members[name] for name in LISTS if name in members), None)
    return None if inner is None else msgspec.json.decode(inner, type=list[msgspec.Raw])


def _read(item: msgspec.Raw, left_out: LeftOut, now_s: float) -> tuple[str, Fill] | None:
    try:
        if bytes(memoryview(item)[:1]) == b"[":
            address, fill = _pair.decode(item)
        else:
            address, fill = msgspec.json.decode(item, type=_Owner).user, _fill.decode(item)
    except NOT_DECODED as error:
        left_out.note("fills", one_line(str(error)))
        return None
    if not is_timely_ms(fill.time, now_s):
        left_out.note("fills", f"time {fill.time} is not {expected_time()}")
        return None
    return address, fill
