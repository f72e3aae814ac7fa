"""Lets the tests beside it import what they share, and run on PostgreSQL where `LIQTRUTH_DATABASE_URL` names one."""

import sys
from pathlib import Path

from tests.on_server import database_of_children, url_of_data_dir  # noqa: F401

for beside in (Path(__file__).parent, Path(__file__).parents[1] / "storage"):
    sys.path.insert(0, str(beside))
