"""Of the protocol's newer parts, those that a market may show or not: switched on one by one, none by default."""

from dataclasses import dataclass
from typing import Final, Self

USDC, USDH, HYPE = 0, 360, 150
NAMES: Final = {USDC: "USDC", USDH: "USDH", 235: "USDE", 268: "USDT0", HYPE: "HYPE"}
"""Spot tokens by their index."""
OUTCOMES: Final = (12, 13)
"""Numbers of the outcome markets; `#12` is traded, `+12` is held."""
FIRST_OUTCOME_ASSET: Final = 100_000_000


@dataclass
class ProtocolParts:
    """May be changed while a server runs.

    `outcomes` has pooled accounts keep a fifth of their collateral in outcome tokens, which count towards what is
    available, and lists those markets among the mids and fills. `collateral_token` is the builder dex's. `ltv` is that
    of portfolio margin's HYPE. Without `lists_tables` margin tables are not in `meta` and must be asked for one by one.
    `disabled` dexes, which are null in the list, come before the builder's. `unnamed` leaves `liquidatedUser` out of
    the fills of whoever is liquidated (`own`), of the counterparties (`other`), or of `both`.
    """

    outcomes: bool = False
    collateral_token: int = USDC
    ltv: str = "0.5"
    lists_tables: bool = True
    disabled: int = 0
    unnamed: str = ""

    @classmethod
    def newest(cls) -> Self:
        """Everything of late at once; of a liquidation both sides' fills name the account."""
        return cls(outcomes=True, collateral_token=USDH, ltv="0.65", lists_tables=False, disabled=1)

    def names_liquidated(self, is_own: bool) -> bool:
        return self.unnamed not in (("own" if is_own else "other"), "both")
