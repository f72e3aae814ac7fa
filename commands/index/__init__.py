"""`liqtruth index`: its commands in the order of the help."""

from liqtruth.commands.index.reading import index_app

from liqtruth.commands.index import events, stored  # isort: skip

__all__ = ["events", "index_app", "stored"]
