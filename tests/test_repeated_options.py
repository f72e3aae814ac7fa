"""An option that takes one value and is given twice is refused by every command; lists may be repeated."""

from collections.abc import Iterator
from typing import Any

import pytest
import typer

from cli import app
from cli_options import refuse_repeats
from tests.conftest import Run


def commands() -> Iterator[tuple[str, Any]]:
    refuse_repeats(app)
    waiting = [("", typer.main.get_command(app))]
    while waiting:
        name, command = waiting.pop()
        waiting += [
            (f"{name} {below}".strip(), found) for below, found in getattr(command, "commands", {}).items()
        ]
        if not hasattr(command, "commands"):
            yield name, command


def options() -> Iterator[tuple[str, str]]:
    for name, command in commands():
        for option in command.params:
            single = option.param_type_name == "option" and not option.multiple and not option.is_flag
            if single and option.name != "help":
                yield name, option.opts[0]


@pytest.mark.parametrize(("command", "option"), [*options()])
def test_every_option_of_one_value_is_refused_when_given_twice(run: Run, command: str, option: str) -> None:
    done = run(*command.split(), f"{option}=a", option, "b", code=2)
    assert option in done.stderr


def test_lists_may_be_repeated(run: Run) -> None:
    assert "twice" not in run("compare", "BTC", "--model", "a:b", "--model", "c:d", code=1).stderr


def test_the_option_before_the_command_is_given_once(run: Run) -> None:
    run("--data-dir", "elsewhere", "feed", "status", code=2)
