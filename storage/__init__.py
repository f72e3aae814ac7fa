"""What liqtruth keeps: settings, SQLModel tables, the Parquet lake, and the reading of other people's tables."""
