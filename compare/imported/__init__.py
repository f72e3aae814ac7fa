"""Maps that others made, read from their files or documented APIs."""
