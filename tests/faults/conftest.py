"""Writers that run in processes of their own, and the databases they write to."""

import sys
from pathlib import Path

for beside in (Path(__file__).parent, Path(__file__).parents[1] / "storage"):
    sys.path.insert(0, str(beside))

from databases import database_url, postgresql_url  # noqa: E402, F401
