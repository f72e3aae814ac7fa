"""What is listed, as `meta`, `spotMeta` and `perpDexs` write it."""

from typing import Any, Final

from liqtruth.sandbox.decimals import from_float
from liqtruth.sandbox.hyperliquid.accounts import HYPE, USDC
from liqtruth.sandbox.market.assets import BUILDER_DEX, Asset, scaled_tiers

Json = Any
DEPLOYER: Final = "0x" + "5a" * 20

SPOT_META: Final[Json] = {
    "tokens": [
        {"name": "USDC", "szDecimals": 8, "weiDecimals": 8, "index": USDC, "tokenId": "0x" + "6d" * 16,
         "isCanonical": True, "evmContract": None, "fullName": None},
        {"name": "HYPE", "szDecimals": 2, "weiDecimals": 8, "index": HYPE, "tokenId": "0x" + "0d" * 16,
         "isCanonical": False, "evmContract": None, "fullName": "Hyperliquid"},
    ],
    "universe": [{"name": "@107", "tokens": [HYPE, USDC], "index": 107, "isCanonical": False}],
}  # fmt: skip


def listing(asset: Asset) -> Json:
    row = {
        "szDecimals": asset.sz_decimals,
        "name": asset.name,
        "maxLeverage": scaled_tiers(asset.table_id)[0][1],
        "marginTableId": asset.table_id,
    }
    return row if not asset.dex else {**row, "onlyIsolated": True, "marginMode": "strictIsolated"}


def margin_table(table_id: int) -> Json:
    tiers = scaled_tiers(table_id)
    return {
        "description": f"synthetic tiered {tiers[0][1]}x",
        "marginTiers": [
            {"lowerBound": from_float(bound), "maxLeverage": leverage} for bound, leverage in tiers
        ],
    }


def builder_dex(names: list[str]) -> Json:
    return {
        "name": BUILDER_DEX,
        "fullName": "Synthetic builder dex",
        "deployer": DEPLOYER,
        "oracleUpdater": None,
        "feeRecipient": None,
        "assetToStreamingOiCap": [[name, "100000000.0"] for name in names],
        "subDeployers": [],
        "deployerFeeScale": "1.0",
        "lastDeployerFeeScaleChangeTime": "2026-01-01T00:00:00",
        "assetToFundingMultiplier": [[name, "1.0"] for name in names],
        "assetToFundingInterestRate": [[name, "0.0"] for name in names],
    }
