"""Payloads of the info endpoint as typed structs, and their decoders.

Reads bytes only; never calls the exchange. Numbers arrive as decimal strings, in some captures as JSON
numbers: both become the nearest float64. Unknown fields are ignored; a missing, malformed, negative (where
it cannot be) or non-finite one raises `WireError`, which names the payload, the JSON path and the value.
Field names follow the exchange, in snake case. Source: Hyperliquid docs, "Info endpoint"; nktkas/hyperliquid.
"""

import re
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar

import msgspec

from heatmap.decoding import NOT_DECODED
from indexer.errors import WireError

Number = Annotated[float, msgspec.Meta(ge=-1e300, le=1e300)]
Amount = Annotated[float, msgspec.Meta(ge=0, le=1e300)]
Price = Annotated[float, msgspec.Meta(gt=0, le=1e300)]
Leverage = Annotated[int, msgspec.Meta(ge=1)]
# From 2001 to 2286: a time in seconds, or none at all, is refused.
EpochMs = Annotated[int, msgspec.Meta(ge=10**12, lt=10**13)]
T = TypeVar("T")


class Payload(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """Base of all payload structs."""


class CrossLeverage(Payload, frozen=True, tag_field="type", tag="cross"):
    """Told from the other by its `type`, which the decoder checks; both have the same attributes."""

    value: Leverage
    type: ClassVar[str] = "cross"
    raw_usd: ClassVar[float | None] = None


class IsolatedLeverage(Payload, frozen=True, tag_field="type", tag="isolated"):
    """The user's setting of an isolated position, with its cash leg."""

    value: Leverage
    raw_usd: Number
    type: ClassVar[str] = "isolated"


class Position(Payload, frozen=True):
    coin: str
    szi: Number
    leverage: CrossLeverage | IsolatedLeverage
    entry_px: Number
    position_value: Amount
    unrealized_pnl: Number
    liquidation_px: Number | None
    margin_used: Number
    max_leverage: Leverage

    def __post_init__(self) -> None:
        if self.szi == 0:
            raise ValueError("`szi` must not be zero")


class AssetPosition(Payload, frozen=True):
    position: Position


class MarginSummary(Payload, frozen=True):
    account_value: Number
    total_ntl_pos: Amount
    total_raw_usd: Number
    total_margin_used: Number


class ClearinghouseState(Payload, frozen=True):
    margin_summary: MarginSummary
    cross_margin_summary: MarginSummary
    cross_maintenance_margin_used: Amount
    withdrawable: Number
    asset_positions: list[AssetPosition]
    time: EpochMs


class MarginTier(Payload, frozen=True):
    lower_bound: Amount
    max_leverage: Leverage


class MarginTable(Payload, frozen=True):
    margin_tiers: Annotated[list[MarginTier], msgspec.Meta(min_length=1)]
    description: str = ""


class Asset(Payload, frozen=True):
    name: str
    sz_decimals: int
    max_leverage: Leverage
    margin_table_id: int
    is_delisted: bool = False
    only_isolated: bool = False
    margin_mode: str | None = None


class Meta(Payload, frozen=True):
    universe: list[Asset]
    margin_tables: list[tuple[int, MarginTable]]
    collateral_token: int = 0


class AssetCtx(Payload, frozen=True):
    funding: Number
    open_interest: Amount
    mark_px: Amount
    oracle_px: Amount
    mid_px: Number | None = None


class PerpDex(Payload, frozen=True):
    name: str
    full_name: str
    deployer: str


class SpotBalance(Payload, frozen=True):
    coin: str
    total: Number
    hold: Number
    token: int | None = None
    ltv: Number | None = None
    supplied: Number | None = None


class SpotClearinghouseState(Payload, frozen=True):
    balances: list[SpotBalance]
    portfolio_margin_enabled: bool | None = None
    token_to_available_after_maintenance: list[tuple[int, Number]] | None = None


class Candle(Payload, frozen=True):
    open_ms: int = msgspec.field(name="t")
    close_ms: int = msgspec.field(name="T")
    coin: str = msgspec.field(name="s")
    interval: str = msgspec.field(name="i")
    open_px: Price = msgspec.field(name="o")
    high_px: Price = msgspec.field(name="h")
    low_px: Price = msgspec.field(name="l")
    close_px: Price = msgspec.field(name="c")
    volume: Amount = msgspec.field(name="v")
    trades: int = msgspec.field(name="n")


class FundingRate(Payload, frozen=True):
    coin: str
    funding_rate: Number
    time: EpochMs
    premium: Number | None = None


class Trade(Payload, frozen=True):
    coin: str
    side: Literal["A", "B"]
    px: Price
    sz: Amount
    time: EpochMs
    hash: str
    tid: int
    users: tuple[str, str]  # buyer, seller


class FillLiquidation(Payload, frozen=True):
    mark_px: Price
    method: str
    liquidated_user: str | None = None


class Fill(Payload, frozen=True):
    """One side of a trade; the counterparty's fill carries `liquidation` as well."""

    coin: str
    px: Amount
    sz: Amount
    side: Literal["A", "B"]
    time: EpochMs
    start_position: Number
    dir: str
    closed_pnl: Number
    hash: str
    oid: int
    crossed: bool
    fee: Number
    tid: int
    fee_token: str = "USDC"
    liquidation: FillLiquidation | None = None


Abstraction = Literal["default", "disabled", "unifiedAccount", "portfolioMargin", "dexAbstraction"]
MetaAndAssetCtxs = tuple[Meta, list[AssetCtx]]


class Decoder(Generic[T]):
    """Decoder of one kind of payload; call it with the raw bytes and the name of their source."""

    def __init__(self, kind: str, shape: Any) -> None:
        self.kind = kind
        self._json: msgspec.json.Decoder[T] = msgspec.json.Decoder(shape, strict=False)

    def __call__(self, raw: bytes, source: str) -> T:
        """The payload; raises `WireError` with one line that names the JSON path and the value."""
        try:
            return self._json.decode(raw)
        except NOT_DECODED as error:
            raise WireError(self.kind, source, _describe(raw, str(error))) from None


decode_clearinghouse_state = Decoder[ClearinghouseState]("clearinghouseState", ClearinghouseState)
decode_meta = Decoder[Meta]("meta", Meta)
decode_all_mids = Decoder[dict[str, float]]("allMids", dict[str, Number])
decode_perp_dexs = Decoder[list[PerpDex | None]]("perpDexs", list[PerpDex | None])
decode_spot_state = Decoder[SpotClearinghouseState]("spotClearinghouseState", SpotClearinghouseState)
decode_user_abstraction = Decoder[Abstraction]("userAbstraction", Abstraction)
decode_margin_table = Decoder[MarginTable]("marginTable", MarginTable)
decode_candles = Decoder[list[Candle]]("candleSnapshot", list[Candle])
decode_funding_history = Decoder[list[FundingRate]]("fundingHistory", list[FundingRate])
decode_recent_trades = Decoder[list[Trade]]("recentTrades", list[Trade])
decode_user_fills = Decoder[list[Fill]]("userFills", list[Fill])

_meta_and_asset_ctxs = Decoder[MetaAndAssetCtxs]("metaAndAssetCtxs", MetaAndAssetCtxs)
_all_perp_metas = Decoder[list[Meta | MetaAndAssetCtxs]]("allPerpMetas", list[Meta | MetaAndAssetCtxs])


def decode_meta_and_asset_ctxs(raw: bytes, source: str) -> MetaAndAssetCtxs:
    """`[meta, contexts]`, the contexts parallel to the universe; raises `WireError` where they are not."""
    meta, ctxs = _meta_and_asset_ctxs(raw, source)
    if len(meta.universe) != len(ctxs):
        problem = f"$[1] has {len(ctxs)} contexts for {len(meta.universe)} assets in $[0].universe"
        raise WireError("metaAndAssetCtxs", source, problem)
    return meta, ctxs


def decode_all_perp_metas(raw: bytes, source: str) -> list[Meta]:
    """Metas in the order of `perpDexs`, from either documented shape: `[meta]` or `[[meta, contexts]]`."""
    return [entry if isinstance(entry, Meta) else entry[0] for entry in _all_perp_metas(raw, source)]


_AT = re.compile(r"^(?P<reason>.*?)(?: - at `(?P<path>.+)`)?$", re.DOTALL)
_MISSING = re.compile(r"^Object missing required field `(?P<name>.+)`$")
_FIELD = re.compile(r"^`(?P<name>\w+)` (?P<reason>.*)$")
_STEP = re.compile(r"\.(?P<name>[^.\[\]]+)|\[(?P<index>\d+|\.\.\.)\]")
_SHOWN = 60


def _describe(raw: bytes, error: str) -> str:
    """What is wrong: that the bytes are no JSON document comes before what the document lacks."""
    try:
        tree = msgspec.json.decode(raw)
    except NOT_DECODED as malformed:
        return _describe_malformed(raw, str(malformed))
    return _describe_invalid(tree, error)


def _describe_invalid(tree: Any, error: str) -> str:
    """`$.path is value: reason`, the value looked up in the document."""
    match = _AT.match(error)
    reason, path = (match["reason"], match["path"] or "$") if match else (error, "$")
    if missing := _MISSING.match(reason):
        return f"{path}.{missing['name']} is missing"
    if field := _FIELD.match(reason):
        path, reason = f"{path}.{field['name']}", field["reason"]
    return f"{path} is {_shorten(_value_at(tree, path))}: {reason}"


def _describe_malformed(raw: bytes, error: str) -> str:
    """Why the bytes are no JSON document, with their first characters where they never were one."""
    if not raw.strip():
        return "the answer is empty"
    if "truncated" in error:
        return f"cut off after {len(raw)} bytes: …{_printable(raw[-40:])!r}"
    return f"not JSON ({error}): {_printable(raw[:40])!r}"


def _value_at(tree: Any, path: str) -> Any:
    """Value at a msgspec path; `[...]` (any member of an object) takes the first that is not a number."""
    for step in _STEP.finditer(path):
        if step["name"] is not None:
            tree = tree.get(step["name"]) if isinstance(tree, dict) else None
        elif step["index"] == "...":
            tree = next(_not_numbers(tree), None)
        else:
            tree = tree[int(step["index"])]
    return tree


def _not_numbers(members: dict[str, Any]) -> Iterator[Any]:
    for name, value in members.items():
        try:
            msgspec.convert(value, Number, strict=False)
        except msgspec.ValidationError:
            yield {name: value}


def _shorten(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _printable(raw: bytes) -> str:
    return raw.decode("utf-8", errors="replace").replace("\n", " ")
