"""Transfer: a leverage model fitted on Hyperliquid, levelled to a centralised venue by realised liquidations."""
