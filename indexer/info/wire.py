"""Payloads of the info endpoint as typed structs, and their decoders.

Reads bytes only; never calls the exchange. Numbers arrive as decimal strings, in some captures as JSON
numbers: both become the nearest float64. Unknown fields are ignored; a missing, malformed, negative (where
it cannot be), non-finite or impossibly large one is a problem of its item: it is left out where the item is one of a
list, and else raises `WireError`, which names the payload, the JSON path and the value.
Field names follow the exchange, in snake case. Source: Hyperliquid docs, "Info endpoint"; nktkas/hyperliquid.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Final, Literal, Self

import msgspec

from liqtruth.heatmap.words.text import EARLIEST
from liqtruth.indexer.errors import WireError
from liqtruth.indexer.info.decoding import Decoder, ItemDecoder, Sifted, problem_of, tree_of

Number = Annotated[float, msgspec.Meta(ge=-1e300, le=1e300)]
Size = Annotated[float, msgspec.Meta(ge=-1e18, le=1e18)]
"""Coins or USD with a sign: beyond it is no market, and products of two would not be finite."""
Amount = Annotated[float, msgspec.Meta(ge=0, le=1e18)]
Price = Annotated[float, msgspec.Meta(gt=0, le=1e15)]
Rate = Annotated[float, msgspec.Meta(ge=-1, le=1)]
"""Funding of an hour as a share; the exchange caps it at 4 %."""
Leverage = Annotated[int, msgspec.Meta(ge=1, le=1000)]
Whole = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]
Name = Annotated[str, msgspec.Meta(pattern=r"^[^\s/\\.\x00-\x1f][^\s/\\\x00-\x1f]{0,63}\Z")]
"""Names of coins become names of files."""
# From 2020 to 2286: a time in seconds, or none at all, is refused.
EpochMs = Annotated[int, msgspec.Meta(ge=int(EARLIEST.timestamp()) * 1000, lt=10**13)]

LEFT_OUT: Final = "(left out)"
CLOSED: Final = "(closed)"
"""Names under which no exchange sends a field: they are ours to fill."""


class Payload(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """Base of all payload structs."""


class CrossLeverage(Payload, frozen=True, tag_field="type", tag="cross"):
    """Distinguished from the other by its `type`, which the decoder checks; both have the same attributes."""

    value: Leverage
    type: ClassVar[str] = "cross"
    raw_usd: ClassVar[float | None] = None


class IsolatedLeverage(Payload, frozen=True, tag_field="type", tag="isolated"):
    """The user's setting of an isolated position, with its cash leg."""

    value: Leverage
    raw_usd: Size
    type: ClassVar[str] = "isolated"


class Position(Payload, frozen=True):
    coin: Name
    szi: Size
    leverage: CrossLeverage | IsolatedLeverage
    entry_px: Price
    position_value: Amount
    unrealized_pnl: Size
    liquidation_px: Annotated[float, msgspec.Meta(ge=0, le=1e18)] | None
    margin_used: Size
    max_leverage: Leverage

    def __post_init__(self) -> None:
        if self.szi == 0:
            raise ValueError("`szi` must not be zero")


class AssetPosition(Payload, frozen=True):
    position: Position


class MarginSummary(Payload, frozen=True):
    account_value: Size
    total_ntl_pos: Amount
    total_raw_usd: Size
    total_margin_used: Size


class ClearinghouseState(Payload, frozen=True):
    """An account in one dex. `left_out` says which open entries could not be read and why, `closed` counts entries of
    size zero: positions that were closed and hold nothing."""

    margin_summary: MarginSummary
    cross_margin_summary: MarginSummary
    cross_maintenance_margin_used: Amount
    withdrawable: Size
    asset_positions: list[AssetPosition]
    time: EpochMs
    left_out: tuple[str, ...] = msgspec.field(default=(), name=LEFT_OUT)
    closed: int = msgspec.field(default=0, name=CLOSED)

    def __post_init__(self) -> None:
        coins = [entry.position.coin for entry in self.asset_positions]
        if len(set(coins)) < len(coins):
            twice = Counter(coins).most_common(1)[0][0]
            raise ValueError(f"`assetPositions` lists {twice} more than once")


class MarginTier(Payload, frozen=True):
    lower_bound: Amount
    max_leverage: Leverage


class MarginTable(Payload, frozen=True):
    margin_tiers: Annotated[list[MarginTier], msgspec.Meta(min_length=1)]
    description: str = ""


class Asset(Payload, frozen=True):
    name: Name
    sz_decimals: Whole
    max_leverage: Leverage
    margin_table_id: Whole
    is_delisted: bool = False
    only_isolated: bool = False
    margin_mode: str | None = None


class Meta(Payload, frozen=True):
    """`left_out` says which assets and tables could not be read and why."""

    universe: list[Asset]
    margin_tables: list[tuple[Whole, MarginTable]]
    collateral_token: Whole = 0
    left_out: tuple[str, ...] = msgspec.field(default=(), name=LEFT_OUT)


class AssetCtx(Payload, frozen=True):
    """A coin's market; null is what could not be read."""

    funding: Rate | None
    open_interest: Amount | None
    mark_px: Annotated[float, msgspec.Meta(ge=0, le=1e15)] | None
    oracle_px: Annotated[float, msgspec.Meta(ge=0, le=1e15)] | None
    mid_px: Number | None = None


UNREAD: Final = AssetCtx(None, None, None, None)


class PerpDex(Payload, frozen=True):
    name: Name
    full_name: str
    deployer: str


class SpotBalance(Payload, frozen=True):
    coin: str
    total: Size
    hold: Size
    token: Whole | None = None
    ltv: Number | None = None
    supplied: Number | None = None


class SpotClearinghouseState(Payload, frozen=True):
    balances: list[SpotBalance]
    portfolio_margin_enabled: bool | None = None
    token_to_available_after_maintenance: list[tuple[Whole, Size]] | None = None


class Candle(Payload, frozen=True):
    open_ms: EpochMs = msgspec.field(name="t")
    close_ms: EpochMs = msgspec.field(name="T")
    coin: str = msgspec.field(name="s")
    interval: str = msgspec.field(name="i")
    open_px: Price = msgspec.field(name="o")
    high_px: Price = msgspec.field(name="h")
    low_px: Price = msgspec.field(name="l")
    close_px: Price = msgspec.field(name="c")
    volume: Amount = msgspec.field(name="v")
    trades: Whole = msgspec.field(name="n")


class Trade(Payload, frozen=True):
    coin: str
    side: Literal["A", "B"]
    px: Price
    sz: Amount
    time: EpochMs
    hash: str
    tid: Whole
    users: tuple[str, str]  # buyer, seller


MetaAndAssetCtxs = tuple[Meta, list[AssetCtx]]


def _is_closed(entry: Any) -> bool:
    """Whether an entry of `assetPositions` is of size zero."""
    position = entry.get("position") if isinstance(entry, dict) else None
    szi = position.get("szi") if isinstance(position, dict) else None
    try:
        return not isinstance(szi, bool) and msgspec.convert(szi, float, strict=False) == 0
    except msgspec.ValidationError:
        return False


def _with_left_out(state: ClearinghouseState, sifted: Sifted) -> ClearinghouseState:
    return msgspec.structs.replace(state, left_out=tuple(sifted.problems), closed=sifted.closed)


def _meta_with_left_out(meta: Meta, sifted: Sifted) -> Meta:
    return msgspec.structs.replace(meta, left_out=tuple(sifted.problems))


META_ITEMS: Final = {"universe": Asset, "marginTables": tuple[Whole, MarginTable]}

decode_clearinghouse_state = ItemDecoder[ClearinghouseState](
    "clearinghouseState", ClearinghouseState, {"assetPositions": AssetPosition}, _with_left_out, _is_closed
)
decode_meta = ItemDecoder[Meta]("meta", Meta, META_ITEMS, _meta_with_left_out)
decode_perp_dexs = ItemDecoder[list[PerpDex | None]](
    "perpDexs", Annotated[list[PerpDex | None], msgspec.Meta(min_length=1)], {"": PerpDex | None}
)
decode_spot_state = ItemDecoder[SpotClearinghouseState](
    "spotClearinghouseState",
    SpotClearinghouseState,
    {"balances": SpotBalance, "tokenToAvailableAfterMaintenance": tuple[Whole, Size]},
)
decode_candles = ItemDecoder[list[Candle]]("candleSnapshot", list[Candle], {"": Candle})
decode_recent_trades = ItemDecoder[list[Trade]]("recentTrades", list[Trade], {"": Trade})

decode_margin_table = Decoder[MarginTable]("marginTable", MarginTable)

_meta_and_asset_ctxs = Decoder[MetaAndAssetCtxs]("metaAndAssetCtxs", MetaAndAssetCtxs)


def decode_meta_and_asset_ctxs(raw: bytes, source: str) -> MetaAndAssetCtxs:
    """`[meta, contexts]`, the contexts parallel to the universe; raises `WireError` where they are not.

    A context that cannot be read is null throughout (`UNREAD`), an asset that cannot be read is left out with its
    context; both are named in the meta's `left_out`, and so is a listed coin without mark, interest or rate.
    """
    try:
        meta, ctxs = _meta_and_asset_ctxs(raw, source)
    except WireError as refused:
        meta, ctxs = _pairs_one_by_one(tree_of(raw), source, refused)
    if len(meta.universe) != len(ctxs):
        raise WireError("metaAndAssetCtxs", source, _not_parallel(ctxs, meta.universe))
    unread = [
        f"{asset.name}: no {' nor '.join(lacking)}"
        for asset, ctx in zip(meta.universe, ctxs, strict=True)
        if ctx is not UNREAD and not asset.is_delisted and (lacking := _lacking(ctx))
    ]
    return (msgspec.structs.replace(meta, left_out=(*meta.left_out, *unread)) if unread else meta), ctxs


def _lacking(ctx: AssetCtx) -> list[str]:
    reported = {"markPx": ctx.mark_px, "openInterest": ctx.open_interest, "funding": ctx.funding}
    return [name for name, value in reported.items() if value is None]


def _not_parallel(ctxs: list[Any], assets: list[Any]) -> str:
    return f"$[1] has {len(ctxs)} contexts for {len(assets)} assets in $[0].universe"


def _pairs_one_by_one(tree: Any, source: str, refused: WireError) -> MetaAndAssetCtxs:
    """Assets that can be read and their contexts; raises `refused` where the answer is another thing, or none can."""
    listed = tree[0].get("universe") if _is_pair(tree) else None
    if not isinstance(listed, list) or not isinstance(tree[1], list):
        raise refused
    if len(listed) != len(tree[1]):
        raise WireError("metaAndAssetCtxs", source, _not_parallel(tree[1], listed))
    problems, assets, ctxs = [], [], []
    for number, (asset, ctx) in enumerate(zip(listed, tree[1], strict=True)):
        bad_asset = problem_of(asset, Asset, f"$[0].universe[{number}]")
        bad_ctx = problem_of(ctx, AssetCtx, f"$[1][{number}]")
        if bad_asset is None:
            assets.append(asset)
            ctxs.append(UNREAD if bad_ctx else msgspec.convert(ctx, AssetCtx, strict=False))
        if bad := bad_asset or (bad_ctx and f"{asset['name']}: {bad_ctx}"):
            problems.append(bad)
    if not assets:
        raise refused
    meta, sifted = decode_meta.read(msgspec.json.encode({**tree[0], "universe": assets}), source)
    return msgspec.structs.replace(meta, left_out=(*problems, *sifted.problems)), ctxs


def _is_pair(tree: Any) -> bool:
    return isinstance(tree, list) and len(tree) == 2 and isinstance(tree[0], dict)


@dataclass(frozen=True)
class DexAnswer:
    """A `metaAndAssetCtxs` answer, its first part also as it was sent, and when it came by our clock."""

    meta_json: bytes
    meta: Meta
    ctxs: list[AssetCtx]
    came_s: float

    @classmethod
    def of(cls, raw: bytes, origin: str, came_s: float) -> Self:
        """Decoded; raises `WireError` naming `origin`."""
        meta, ctxs = decode_meta_and_asset_ctxs(raw, origin)
        return cls(split_meta_and_ctxs(raw)[0], meta, ctxs, came_s)


def with_tables(answer: DexAnswer, tables: Mapping[int, bytes], origin: str) -> DexAnswer:
    """The answer as if its meta had listed these margin tables too, each as it was sent."""
    meta = msgspec.json.decode(answer.meta_json, type=dict[str, msgspec.Raw])
    listed = msgspec.json.decode(meta.get("marginTables", b"[]"), type=list[msgspec.Raw])
    added = [msgspec.Raw(msgspec.json.encode((number, msgspec.Raw(raw)))) for number, raw in tables.items()]
    whole = msgspec.json.encode({**meta, "marginTables": [*listed, *added]})
    decoded = [(number, decode_margin_table(raw, origin)) for number, raw in tables.items()]
    tables_of_both = [*answer.meta.margin_tables, *decoded]
    return replace(
        answer, meta_json=whole, meta=msgspec.structs.replace(answer.meta, margin_tables=tables_of_both)
    )


def split_meta_and_ctxs(raw: bytes) -> tuple[bytes, bytes]:
    """The two parts of a `metaAndAssetCtxs` answer as they were sent."""
    meta, ctxs = msgspec.json.decode(raw, type=tuple[msgspec.Raw, msgspec.Raw])
    return bytes(meta), bytes(ctxs)
