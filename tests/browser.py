"""Pages in headless Chromium: what a script finds in them."""

import os
import shutil
import signal
import subprocess
from pathlib import Path
from queue import Empty, Queue
from typing import Any, Final

import pytest
from aiohttp import web

from tests.loopback import answering_in_thread

CHROMIUM: Final = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
# Painted on the clock: a browser that only dumps a page may paint it once, and then no chart takes a new width.
ASK: Final = """<!doctype html><meta charset="utf-8"><body>{body}<script>
const found = (it) => fetch("/found", {{method: "POST", body: JSON.stringify(it)}});
addEventListener("load", async () => {{
  try {{
{script}
  }} catch (error) {{ found({{error: String(error.stack)}}); }}
}});
</script>"""
FLAGS: Final = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1300,3000", "--no-first-run",
    "--disable-dev-shm-usage",
)  # fmt: skip
DEADLINE_S: Final = 120


def found_by(script: str, body: str, folder: Path) -> Any:
    """What `script` calls `found` with, in a page of `folder` with `body`; one start of the browser.

    Skips the test where the machine has no Chromium."""
    if CHROMIUM is None:
        pytest.skip("no Chromium to draw pages in")
    (folder / "ask.html").write_text(ASK.format(body=body, script=script))
    answers: Queue[Any] = Queue()

    async def answered(request: web.Request) -> web.Response:
        answers.put(await request.json())
        return web.Response()

    app = web.Application(client_max_size=2**25)
    app.router.add_post("/found", answered)
    app.router.add_static("/", folder)
    with answering_in_thread(app) as url:
        asked = [CHROMIUM, *FLAGS, f"--user-data-dir={folder / 'profile'}", f"{url}/ask.html"]
        with subprocess.Popen(
            asked, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, process_group=0
        ) as browser:
            try:
                found = answers.get(timeout=DEADLINE_S)
            except Empty:
                pytest.fail("the browser answered nothing")
            finally:
                os.killpg(browser.pid, signal.SIGKILL)
    assert "error" not in found, found["error"]
    return found
