"""Maps read from screenshots by their colours."""
