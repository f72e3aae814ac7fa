"""The pages say what the program does: every command is in them, and the reference is not stale."""

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
