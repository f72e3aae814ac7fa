"""Commands as they were spelled in the last release; they work for one more, with a note on stderr."""

from functools import wraps
from typing import Annotated, Any

import typer

from liqtruth.commands.calibrate import calibrate_app
from liqtruth.commands.line.targets import PageOut
from liqtruth.commands.line.values import parse_coin
from liqtruth.commands.map.app import say_moved
from liqtruth.commands.options.samples import Samples
from liqtruth.commands.transfer import transfer
from liqtruth.commands.validate import Splits, validate_open_final, validate_run, validate_show

MaybeCoins = Annotated[list[str] | None, typer.Argument(parser=parse_coin, metavar="COIN")]


@calibrate_app.command("transfer", hidden=True)
@wraps(transfer)
def calibrate_transfer(**given: Any) -> None:
    say_moved("calibrate transfer", "transfer")
    transfer(**given)


@calibrate_app.command("test", hidden=True)
def calibrate_test(
    samples: Samples,
    splits: Splits,
    out: PageOut,
    coins: MaybeCoins = None,
    open_final: Annotated[bool, typer.Option("--open-final")] = False,
    show_final: Annotated[bool, typer.Option("--show-final")] = False,
    show: Annotated[bool, typer.Option("--show")] = False,
    name: str = "proof",
) -> None:
    """Now `validate run`, `validate show` and `validate open-final`."""
    from liqtruth.heatmap.errors import BadInput

    if open_final + show_final + show > 1:
        raise BadInput("--open-final, --show-final and --show are three commands: give one of them")
    if show_final:
        say_moved("calibrate test --show-final", "validate show --final")
        return validate_show(out, coins, name, final=True)
    if show:
        say_moved("calibrate test --show", "validate show")
        return validate_show(out, None, name)
    if not coins:
        raise BadInput("no coin is given: name those to judge on, e.g. `liqtruth validate run BTC ETH SOL`")
    if open_final:
        say_moved("calibrate test --open-final", "validate open-final")
        return validate_open_final(coins, samples, splits, out, name)
    say_moved("calibrate test", "validate run")
    return validate_run(coins, samples, splits, out, name)
