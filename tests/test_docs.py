"""The pages say what the program does: every command is in them, and the reference is not stale."""

import re
import shlex
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from docs.generate import leaf_commands, render
from liqtruth import cli
from tests.conftest import Run

ROOT = Path(__file__).parent.parent
COMMANDS = [" ".join(path) for path, _ in leaf_commands(get_command(cli.app), ("liqtruth",))]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_reference_and_in_a_page_for_users(command: str) -> None:
    assert f"## `{command}" in (ROOT / "docs" / "commands.md").read_text()
    pages = [ROOT / "README.md", *(p for p in (ROOT / "docs").glob("*.md") if p.name != "commands.md")]
    assert any(command in page.read_text() for page in pages)


def test_the_reference_is_what_the_program_says_today() -> None:
    assert (ROOT / "docs" / "commands.md").read_text() == render(), "run `make docs`"


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_a_command_explains_itself_as_the_list_of_commands_does(name: str) -> None:
    """The list is printed without importing the command."""
    command = get_command(cli.app).commands[name]  # type: ignore[attr-defined]
    assert command.get_short_help_str(1_000) == cli.COMMANDS[name][1]


def lines_of_pages() -> list[str]:
    """Every line of a page that calls the program, in blocks and in sentences, without comments and pipes."""
    found = set()
    for page in [ROOT / "README.md", *(p for p in (ROOT / "docs").glob("*.md") if p.name != "commands.md")]:
        text = page.read_text()
        blocks = re.findall(r"```(?:console|sh)?\n(.*?)```", text, re.DOTALL)
        lines = [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]
        spans = [" ".join(span.split()) for span in re.findall(r"(?<!`)`(liqtruth [^`]+)`(?!`)", text)]
        found |= {
            re.split(r"\s+[#|&]", line)[0].strip()
            for line in [*lines, *spans]
            if line.startswith("liqtruth ")
        }
    return sorted(found)


@pytest.mark.parametrize("line", lines_of_pages())
def test_the_program_takes_every_line_of_a_page(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line is read as a whole, options and values; nothing is run. `NAME` and the like stand for a word."""
    monkeypatch.chdir(tmp_path)
    words, command, name = shlex.split(line)[1:], get_command(cli.app), "liqtruth"
    while (found := getattr(command, "commands", {}).get(words[0] if words else "")) is not None:
        command, name, words = found, f"{name} {words[0]}", words[1:]
    is_named_only = not words and not hasattr(command, "commands")
    words = [word.removesuffix("...").replace("VENUE", "bybit") for word in words]
    command.make_context(name, words, resilient_parsing=is_named_only or words == ["--help"] or not words)


def test_no_page_was_emptied() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    assert {"CHANGELOG.md", "README.md"} <= {page.name for page in pages}
    assert [page.name for page in pages if not page.read_text().startswith("# ")] == []


def test_a_stale_reference_fails_the_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from docs import generate

    (tmp_path / "commands.md").write_text("an older page")
    monkeypatch.setattr(generate, "TARGET", tmp_path / "commands.md")
    monkeypatch.setattr(sys, "argv", ["generate", "--check"])
    assert generate.main() == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, run: Run) -> None:
    assert "Usage: " in run(*command.split()[1:], "--help").stdout


def test_help_comes_from_a_process_of_its_own_too(run: Run) -> None:
    assert "Usage: " in run("calibrate", "fit", "--help", apart=True).stdout
