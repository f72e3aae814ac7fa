"""How far is a liquidation map from the truth? Hyperliquid read exactly, other venues modelled, both compared."""
