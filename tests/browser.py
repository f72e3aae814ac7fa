"""Pages in headless Chromium: what a script finds in them."""

import json
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any, Final

import pytest

CHROMIUM: Final = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
FOUND: Final = """<!doctype html><body><pre id=found></pre>{body}<script>
const found = (it) => {{ document.getElementById("found").textContent = JSON.stringify(it); }};
addEventListener("load", async () => {{
{script}
}});
</script>"""
FLAGS: Final = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--dump-dom",
    "--allow-file-access-from-files",
)  # fmt: skip


def found_by(script: str, body: str, folder: Path) -> Any:
    """What `script` calls `found` with, in a page of `folder` with `body`, as JSON; one start of the browser.

    Skips the test where the machine has no Chromium."""
    if CHROMIUM is None:
        pytest.skip("no Chromium to draw pages in")
    asking = folder / "ask.html"
    asking.write_text(FOUND.format(body=body, script=script))
    waits = [f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=30000", asking.as_uri()]
    shown = subprocess.run([CHROMIUM, *FLAGS, *waits], capture_output=True, text=True, timeout=300)
    text = shown.stdout.partition('<pre id="found">')[2].partition("</pre>")[0]
    assert text, shown.stderr[-2000:]
    return json.loads(unescape(text))
