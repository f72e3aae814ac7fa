"""A command that only reads makes no store: in a mistyped directory it says that nothing is stored there."""

from pathlib import Path

import pytest
from typer.main import get_command

from docs.generate import leaf_commands
from liqtruth import cli
from liqtruth.heatmap.files import write_map
from tests.conftest import Run
from tests.heatmap.maps import map_of

READING = {
    "index status": "", "index coverage": "", "index reconcile": "", "index positions": "--json",
    "index compact": "", "index tidy": "", "index forget": "",
    "feed events": "", "feed status": "--json",
    "map exact": "BTC --json", "map joint": "BTC", "map execution": "BTC", "map history": "BTC",
    "map moved": "BTC", "map model": "BTC", "map positions": "BTC --between 1 2",
    "compare": "BTC --json", "check": "BTC --offline", "report": "BTC -o pages",
    "calibrate fit": "BTC", "calibrate census": "BTC",
    "validate run": "BTC", "validate open-final": "BTC", "validate show": "",
    "transfer": "bybit BTC --model mine --from 2026-08-01 --to 2026-08-02",
    "score realised": "BTC", "score visits": "BTC", "score leads": "BTC", "score forecast": "BTC",
    "score settle": "", "score list": "",
}  # fmt: skip
"""Commands that work on what is stored, with words that would be answered if anything were."""
OF_MODELS = {"calibrate show": "mine", "calibrate diff": "mine yours", "calibrate use": "mine"}
"""Those that look a name up, among models that are shipped as well."""
OTHERS = {
    "index import", "index sweep", "index find", "index size", "index coin", "index watch", "index node",
    "index fills", "index liquidations", "index candles", "feed fetch", "feed import", "feed watch",
    "index verify", "feed venues", "map import", "map fetch", "calibrate list", "doctor", "sandbox serve", "demo",
}  # fmt: skip
"""Those that bring something, or need nothing of what is stored."""


def test_every_command_is_one_that_reads_or_not() -> None:
    there = {" ".join(path[1:]) for path, _ in leaf_commands(get_command(cli.app), ("liqtruth",))}
    assert there == READING.keys() | OF_MODELS.keys() | OTHERS


@pytest.mark.parametrize(
    ("command", "words", "code"),
    [(*one, 1) for one in READING.items()] + [(*one, 2) for one in OF_MODELS.items()],
)
def test_a_directory_that_is_not_there_is_not_made_by_reading(
    command: str, words: str, code: int, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run(*command.split(), *words.split(), code=code)
    assert not done.stdout
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["index status", "feed status", "map exact BTC", "score list"])
def test_an_empty_directory_stays_empty(command: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    assert "nothing is stored in" in run(*command.split(), code=1).stderr
    assert list((tmp_path / "data").iterdir()) == []


def test_files_alone_are_compared_without_a_store(run: Run, tmp_path: Path) -> None:
    for name, px in (("truth", 5.0), ("other", 6.0)):
        write_map(map_of([("long", px, 1e6)], coin="BTC"), tmp_path / f"{name}.json")
    words = [
        "compare",
        "BTC",
        "--truth",
        str(tmp_path / "truth.json"),
        "--model",
        str(tmp_path / "other.json"),
    ]
    assert "BTC" in run(*words).stdout
    assert not (tmp_path / "data").exists()


def test_a_store_that_lost_its_database_is_not_called_empty(run: Run, tmp_path: Path) -> None:
    lake = tmp_path / "data" / "lake" / "positions"
    lake.mkdir(parents=True)
    (lake / "one.parquet").write_bytes(b"anything")
    assert "is gone or empty" in run("index", "status", code=2).stderr
