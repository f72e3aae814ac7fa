"""Maps against what the market did afterwards: realised liquidations, visits, leads, and the ledger of forecasts."""
