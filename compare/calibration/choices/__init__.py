"""Choices that the data make, by leaving each coin out in turn."""
