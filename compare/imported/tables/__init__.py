"""Maps read from tables of any columns."""
