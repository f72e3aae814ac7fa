"""Transfer: a leverage model fitted on Hyperliquid, calibrated to a centralised venue by realised liquidations."""
