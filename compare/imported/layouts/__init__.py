"""The layouts of vendors that are read, and how each is recognised."""
