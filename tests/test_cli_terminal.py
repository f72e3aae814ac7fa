"""What is printed cannot move the cursor, needs no UTF-8, and an error is one printable line, whatever came in."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Group
from rich.table import Table

from liqtruth.commands.line.terminal import DEGRADING, columns_for_bars, degrade_streams, plain, print_view
from liqtruth.heatmap.errors import LiqtruthError, one_line
from liqtruth.heatmap.writing import harmless
from liqtruth.storage.store import Settings, Store
from tests.conftest import ROOT, Run, called


@given(st.text(max_size=2000), st.integers(min_value=20, max_value=400))
def test_any_text_becomes_one_printable_line_of_bounded_length(text: str, most: int) -> None:
    line = one_line(text, most)
    assert len(line) <= most
    assert line.isprintable()


@given(st.text(alphabet="abc def", max_size=200))
def test_plain_text_that_fits_is_kept_but_for_its_white_space(text: str) -> None:
    assert one_line(text) == " ".join(text.split())


def test_a_long_error_keeps_what_is_wrong_and_the_remedy() -> None:
    text = str(LiqtruthError(f"no map in {'x' * 10_000}; run `liqtruth feed fetch`"))
    assert text.startswith("no map in xxx")
    assert text.endswith("run `liqtruth feed fetch`")


@given(st.text())
def test_printed_text_holds_no_control_character_but_line_breaks(text: str) -> None:
    assert all(one.isprintable() or one == "\n" for one in plain(text))


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "cp437", "koi8-r"])
def test_any_encoding_takes_what_is_printed_and_keeps_its_width(encoding: str) -> None:
    degrade_streams()
    drawn = "│ ▏█▋ 5 – 6 … × ≤ é 中 ─ │"
    shown = drawn.encode(encoding, errors=DEGRADING).decode(encoding)
    assert len(shown) == len(drawn)


@given(st.lists(st.one_of(st.none(), st.text(alphabet="=+-@ab1.e\t\r ", max_size=6)), min_size=1))
def test_no_cell_of_a_csv_is_a_formula_and_numbers_stay(cells: list[str | None]) -> None:
    written = harmless(pl.DataFrame({"cell": cells}, schema={"cell": pl.String}))["cell"].to_list()
    for before, after in zip(cells, written, strict=True):
        if before is None or is_number(before):
            assert after == before
        else:
            assert after is not None
            assert after.lstrip()[:1] not in {"=", "+", "-", "@"}
            assert after.removeprefix("'") == before.removeprefix("'")


def is_number(text: str) -> bool:
    return pl.Series([text.strip()]).cast(pl.Float64, strict=False).is_not_null().all()


@pytest.mark.parametrize(
    "words",
    [
        ("nope",),
        ("map", "exact"),
        ("map", "exact", "BTC", "--at", "\x1b[31mred\n\n"),
        ("map", "exact", "BTC\x1b]0;title\x07"),
        ("sandbox", "serve", "--port", "99999"),
        ("index", "import", "a\x1b[2Jb.csv"),
        ("index", "import", "x" * 5000),
        ("feed", "import", "nothing.csv", "--venue", "\u202ebinance", "--coin", "BTC"),
    ],
)
def test_every_refusal_is_one_printable_line(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = called(["--data-dir", str(tmp_path / "data"), *words])
    (line,) = done.stderr.splitlines()
    assert done.returncode in {1, 2}
    assert line.startswith("error: ")
    assert line.isprintable()
    assert len(line) <= 300


def test_an_option_that_is_out_of_range_is_named_with_its_value(run: Run) -> None:
    assert "99999" in run("sandbox", "serve", "--port", "99999", code=2).stderr


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_a_terminal_of_another_encoding_gets_all_the_lines(encoding: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "liqtruth.cli", "feed", "venues"],
        capture_output=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": encoding},
        timeout=120,
    )
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr
    assert len(done.stdout.decode(encoding).splitlines()) > 12


def test_a_reader_that_has_enough_ends_the_output_silently() -> None:
    script = f"{sys.executable} -m liqtruth.cli feed venues | head -1"
    done = subprocess.run(["bash", "-c", script], capture_output=True, cwd=ROOT, timeout=120)
    assert done.stderr == b""


def shell(line: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """What a shell line that starts with our arguments does, in a process as a user starts it."""
    return subprocess.run(
        f"{sys.executable} -m liqtruth.cli {line}",
        shell=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
        env={"PATH": os.environ["PATH"], **environment},
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory whose database is there, so that a process need not make it."""
    place = tmp_path_factory.mktemp("made")
    Store.open(Settings(data_dir=place)).close()
    return place


@pytest.mark.parametrize(
    "words", ["feed venues", "feed venues --json", "index status", "--version", "--help"]
)
@pytest.mark.parametrize("closed", [">&-", "<&- >&-", ">/dev/full"])
def test_output_that_cannot_be_written_is_an_error(made: Path, words: str, closed: str) -> None:
    done = shell(f"--data-dir {made} {words} {closed}")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")


def test_a_closed_stderr_hides_errors_and_not_their_exit_code(made: Path) -> None:
    done = shell(f"--data-dir {made} index import nothing.csv 2>&-")
    assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.parametrize(("asked", "lines"), [({}, 1), ({"PYTHONWARNINGS": "default"}, 2)])
def test_a_warning_of_a_library_is_shown_only_where_python_is_asked_to(
    tmp_path: Path, asked: dict[str, str], lines: int
) -> None:
    program = tmp_path / "warns.py"
    program.write_text(
        "import sys, warnings\nfrom liqtruth import cli\nfrom liqtruth.commands.options import shared as cli_options\n"
        "def warn():\n    warnings.warn('seen', RuntimeWarning)\n    raise OSError('end')\n"
        "cli.app.command('warn')(warn)\n"
        "sys.argv[1:] = ['warn']\ncli.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "default", str(program)],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], **asked},
        timeout=120,
    )
    assert done.returncode == 1
    assert ("RuntimeWarning: seen" in done.stderr) == bool(asked)
    assert len(done.stderr.splitlines()) >= lines


@pytest.fixture
def table() -> Table:
    made = Table(title="Of two", box=None)
    for name in ("coin", "figure", "a long heading of three"):
        made.add_column(name, no_wrap=True)
    made.add_row("BTC", "123,456,789.5", "of another kind")
    made.add_row("", "-7", "")
    return made


def printed(
    view: Any, columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(columns))
    print_view(Group(view))
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


def test_a_table_that_fits_stays_a_table(
    table: Table, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = printed(table, 80, monkeypatch, capsys)
    assert any("coin" in line and "figure" in line for line in lines)


def test_a_table_that_does_not_fit_is_printed_row_by_row_and_no_figure_is_cut(
    table: Table, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = printed(table, 30, monkeypatch, capsys)
    assert lines[:2] == ["Of two", "coin BTC"]
    assert " ".join(" ".join(lines[2:]).split()) == (
        "figure 123,456,789.5, a long heading of three of another kind figure -7"
    )
    assert max(map(len, lines)) <= 30


def test_into_a_pipe_a_table_is_as_wide_as_its_figures(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    wide = Table(box=None)
    for name in range(12):
        wide.add_column(f"column {name}", no_wrap=True)
    wide.add_row(*["123,456,789.5"] * 12)
    print_view(Group(wide))
    assert capsys.readouterr().out.count("123,456,789.5") == 12


@pytest.mark.parametrize(("columns", "bar"), [(60, 14), (80, 34), (200, 100), (20, 8)])
def test_bars_take_the_room_that_figures_leave(
    columns: int, bar: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert columns_for_bars() == bar
