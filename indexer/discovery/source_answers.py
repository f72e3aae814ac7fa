"""What sources of accounts answer, and how each is read: an item that cannot be read voids no other."""

from collections.abc import Sequence
from typing import Annotated, Any, Final

import msgspec
import polars as pl

from liqtruth.indexer.frames import Schema
from liqtruth.indexer.info.decoding import ItemDecoder
from liqtruth.indexer.info.wire import Payload, Size

LEADERS: Final[Schema] = {
    "address": pl.String(),
    "account_value_usd": pl.Float64(),
    "day_pnl_usd": pl.Float64(),
    "day_volume_usd": pl.Float64(),
    "week_pnl_usd": pl.Float64(),
    "week_volume_usd": pl.Float64(),
    "all_time_pnl_usd": pl.Float64(),
    "all_time_volume_usd": pl.Float64(),
}


class Performed(Payload, frozen=True):
    pnl: Size
    vlm: Size


class Leader(Payload, frozen=True):
    eth_address: str
    account_value: Size
    window_performances: list[tuple[str, Performed]]


class _Leaderboard(Payload, frozen=True):
    leaderboard_rows: Annotated[list[Leader], msgspec.Meta(min_length=1)]


class _SubAccount(Payload, frozen=True):
    sub_account_user: str
    master: str


class _Referrer(Payload, frozen=True):
    referrer: str


class _Referred(Payload, frozen=True):
    user: str


class _Referrals(Payload, frozen=True):
    referral_states: tuple[_Referred, ...] = ()


class _ReferrerState(Payload, frozen=True):
    data: _Referrals | None = None


class _Referral(Payload, frozen=True):
    referred_by: _Referrer | None = None
    referrer_state: _ReferrerState | None = None


class _Follower(Payload, frozen=True):
    user: str


class _Children(Payload, frozen=True):
    child_addresses: tuple[str, ...] = ()


class _Relationship(Payload, frozen=True):
    type: str
    data: _Children | None = None


class _VaultDetails(Payload, frozen=True):
    vault_address: str
    leader: str
    followers: tuple[_Follower, ...] = ()
    relationship: _Relationship | None = None


class _VaultSummary(Payload, frozen=True):
    vault_address: str
    leader: str
    tvl: Size = 0.0
    relationship: _Relationship | None = None


class _ListedVault(Payload, frozen=True):
    summary: _VaultSummary


LEADERBOARD = ItemDecoder[_Leaderboard]("leaderboard", _Leaderboard, {"leaderboardRows": Leader})
SUB_ACCOUNTS = ItemDecoder[list[_SubAccount] | None](
    "subAccounts", list[_SubAccount] | None, {"": _SubAccount}
)
REFERRAL = ItemDecoder[_Referral]("referral", _Referral, {})
VAULT_DETAILS = ItemDecoder[_VaultDetails | None](
    "vaultDetails", _VaultDetails | None, {"followers": _Follower}
)
VAULTS = ItemDecoder[list[_ListedVault]](
    "vaults", Annotated[list[_ListedVault], msgspec.Meta(min_length=1)], {"": _ListedVault}
)


def leaders_frame(rows: Sequence[Leader]) -> pl.DataFrame:
    """The board as a frame; a window that is not reported is null."""
    windows = [dict(row.window_performances) for row in rows]
    columns: dict[str, list[Any]] = {
        "address": [row.eth_address.lower() for row in rows],
        "account_value_usd": [row.account_value for row in rows],
    }
    for name, window in (("day", "day"), ("week", "week"), ("all_time", "allTime")):
        reported = [performed.get(window) for performed in windows]
        columns[f"{name}_pnl_usd"] = [None if one is None else one.pnl for one in reported]
        columns[f"{name}_volume_usd"] = [None if one is None else one.vlm for one in reported]
    return pl.DataFrame(columns, schema=dict(LEADERS)).unique("address", keep="first", maintain_order=True)
