"""An option that takes one value and is given twice is refused by every command; lists may be repeated."""

from collections.abc import Iterator
from typing import Any

import pytest
import typer

from liqtruth.cli import app
from tests.conftest import Run


def commands() -> Iterator[tuple[str, Any]]:
    waiting = [("", typer.main.get_command(app))]
    while waiting:
        name, command = waiting.pop()
        waiting += [
            (f"{name} {below}".strip(), found) for below, found in getattr(command, "commands", {}).items()
        ]
        if not hasattr(command, "commands"):
            yield name, command


@pytest.mark.parametrize(("name", "command"), [*commands()])
def test_every_option_of_one_value_is_refused_when_given_twice(name: str, command: Any) -> None:
    for option in command.params:
        if option.param_type_name != "option" or option.multiple or option.is_flag:
            continue
        with pytest.raises(typer.BadParameter, match="given twice") as refused:
            command.make_context(name, [option.opts[-1], *"abc"[: option.nargs]] * 2)
        assert (refused.value.param, refused.value.exit_code) == (option, 2)


def test_the_exit_code_is_that_of_bad_input(run: Run) -> None:
    words = ("feed", "import", "a.csv", "--venue", "okx", "--coin", "BTC", "--coin", "ETH")
    assert "--coin" in run(*words, code=2).stderr


def test_lists_may_be_repeated(run: Run) -> None:
    assert "twice" not in run("compare", "BTC", "--model", "a:b", "--model", "c:d", code=1).stderr
    assert "twice" not in run("map", "exact", "BTC", "-o", "a.json", "-o", "b.csv", code=1).stderr


def test_the_option_before_the_command_is_given_once(run: Run) -> None:
    run("--data-dir", "elsewhere", "feed", "status", code=2)
