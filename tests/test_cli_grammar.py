"""How a line is taken: outputs by suffix, old spellings, near misses, refusals of one style, help and completion."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.main import get_command

from liqtruth.cli import app
from liqtruth.commands.line.targets import OutputOption, Target, modern
from liqtruth.storage.store import Store
from tests.conftest import ROOT, Run


def refused(run: Run, *words: str, code: int = 2) -> str:
    """The only line on stderr."""
    (line,) = run(*words, code=code).stderr.strip().splitlines()
    return str(line).removeprefix("error: ")


@pytest.mark.parametrize(
    ("line", "now"),
    [
        ("map exact BTC --json", "map exact BTC --json"),
        ("map exact --json BTC", "map exact --json BTC"),
        ("x --json -", "x -o json:-"),
        ("x --json a.json", "x -o json:a.json"),
        ("x --json=a.json", "x -o json:a.json"),
        ("x --json /dev/stdout", "x -o json:/dev/stdout"),
        ("x --csv --at now", "x -o csv:- --at now"),
        ("x --csv a.csv --html b.html --png c.png --parquet d.parquet",
         "x -o csv:a.csv -o html:b.html -o png:c.png -o parquet:d.parquet"),
        ("x --html page", "x -o html:page"),
        ("x -o a.csv -- --json", "x -o a.csv -- --json"),
    ],
)  # fmt: skip
def test_options_of_before_are_the_one_of_now(line: str, now: str) -> None:
    assert modern(line.split()) == now.split()


@pytest.mark.parametrize("line", ["--png x.jpg", "--html x.json", "--parquet x.csv", "--html", "--png"])
def test_a_contradiction_is_refused(run: Run, line: str) -> None:
    assert "must be followed by" in refused(run, "map", "exact", "BTC", *line.split())


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("a.json", Target("json", "a.json")),
        ("A.CSV", Target("csv", "A.CSV")),
        ("-", Target("json", "-")),
        ("csv:-", Target("csv", "-")),
        ("json:/dev/fd/3", Target("json", "/dev/fd/3")),
    ],
)
def test_the_suffix_chooses_the_format(text: str, target: Target) -> None:
    assert OutputOption("json", "csv").parse(text) == target


@pytest.mark.parametrize("text", ["x.jpg", "x", "", "x.html", "html:x", "x.csv.gz"])
def test_an_unknown_suffix_is_refused_with_what_there_is(text: str) -> None:
    with pytest.raises(typer.BadParameter, match=r"must end in \.json or \.csv, or be -, got"):
        OutputOption("json", "csv").parse(text)


def test_a_picture_is_not_printed() -> None:
    with pytest.raises(typer.BadParameter, match="must name a file"):
        OutputOption("json", "png").parse("png:-")


def test_one_line_writes_several_files(run: Run, store: Store, tmp_path: Path) -> None:
    files = [tmp_path / "a.json", tmp_path / "b.json"]
    run("index", "status", "-o", str(files[0]), "--output", str(files[1]))
    one, other = (json.loads(file.read_text()) for file in files)
    assert one == other
    assert one["positions"] == 0


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("BTC", "`liqtruth check BTC` or `liqtruth index coin BTC`"),
        ("btc", "`liqtruth check btc` or `liqtruth index coin btc`"),
        ("map BTC", "`liqtruth map exact BTC`"),
        ("map BTC-PERP --at yesterday", "`liqtruth map exact BTC-PERP --at yesterday`"),
        ("score xyz:TSLA", "`liqtruth score realised xyz:TSLA`"),
        ("calibrate BTC ETH", "`liqtruth calibrate fit BTC ETH`"),
        ("map exct BTC", "`liqtruth map exact BTC`"),
        ("exact BTC", "`liqtruth map exact BTC`"),
        ("fetch binance BTC", "`liqtruth feed fetch binance BTC` or `liqtruth map fetch binance BTC`"),
        ("help", "`liqtruth --help`"),
        ("version", "`liqtruth --version`"),
    ],
)
def test_a_near_miss_gets_the_line_that_would_be_taken(run: Run, line: str, meant: str) -> None:
    assert f": did you mean {meant}?" in refused_by_name(run, line)


def refused_by_name(run: Run, line: str) -> str:
    return refused(run, *line.split())


def test_a_suggested_line_leaves_out_what_came_before_the_command(run: Run) -> None:
    assert refused(run, "frobnicate") == "no command 'frobnicate'; see liqtruth --help"


@pytest.mark.parametrize(
    ("line", "refusal"),
    [
        ("map exact BTC --jsn", "no option --jsn: did you mean --json?"),
        ("map exact BTC --zzz", "no option --zzz; see liqtruth map exact --help"),
        ("map exact BTC --data-dir x",
         "--data-dir must stand before the command: `liqtruth --data-dir … map exact …`; "
         "see liqtruth map exact --help"),
        ("map exact", "argument COIN is missing; see liqtruth map exact --help"),
        ("map positions BTC", "option --between is missing; see liqtruth map positions --help"),
        ("map exact BTC ETH", "unexpected argument 'ETH'; see liqtruth map exact --help"),
        ("map exact BTC --json out",
         "unexpected argument 'out': to write JSON to a file, -o FILE.json; see liqtruth map exact --help"),
        ("map exact BTC --width-bps", "--width-bps must be followed by a value"),
        ("map positions BTC --between 1,2", "--between must be followed by two values with a space between, got '1,2'"),
        ("map fetch BTC", "argument COIN is missing: `liqtruth map fetch VENDOR COIN`; see liqtruth map fetch --help"),
        ("map exact BTC --width-bps wide",
         "--width-bps must be a number from 0.01 to 2000, got 'wide'; see liqtruth map exact --help"),
        ("sandbox serve --port=99999",
         "--port must be a whole number from 0 to 65535, got '99999'; see liqtruth sandbox serve --help"),
        ("sandbox serve --accounts 1",
         "--accounts must be a whole number of at least 10, got '1'; see liqtruth sandbox serve --help"),
        ("map exact BTC --at x --at y", "--at is given twice, and it takes one value: give it once; "
         "see liqtruth map exact --help"),
        ("map exact BTC --width-bps 0",
         "--width-bps must be a number from 0.01 to 2000, got '0'; see liqtruth map exact --help"),
        ("map joint BTC --move sideways",
         "--move must be parallel or beta, got 'sideways'; see liqtruth map joint --help"),
        ("map positions BTC --between 9 1",
         "--between must be a lower price and a higher one, neither negative, got 9 1; see liqtruth map positions "
         "--help"),
        ("map positions BTC --between 9 x",
         "--between must be two numbers, got '9 x'; see liqtruth map positions --help"),
        ("transfer bybit BTC --coverage 30",
         "--coverage must be a share above 0 and at most 1, such as 0.3, got '30'; see liqtruth transfer --help"),
        ("demo --coin DOGE", "--coin must be one of BTC, ETH, SOL, HYPE, got 'DOGE'; see liqtruth demo --help"),
        ("index candles --days 1",
         "--days must be days or a length of time such as 2w, from 2 to 200 days, got '1'; see liqtruth index candles "
         "--help"),
    ],
)  # fmt: skip
def test_a_refusal_states_what_must_hold_and_what_came(run: Run, line: str, refusal: str) -> None:
    assert refused(run, *line.split()) == refusal


def test_every_command_answers_to_the_short_flag_too(run: Run) -> None:
    assert run("map", "exact", "-h").stdout == run("map", "exact", "--help").stdout
    assert run("-h").stdout == run("--help").stdout


def test_options_stand_under_headings_and_old_ones_are_not_shown(run: Run) -> None:
    shown = run("map", "exact", "--help").stdout
    order = [
        shown.index(f"\n{heading}") for heading in ("Arguments:", "Options:", "Filters", "Time:", "Output:")
    ]
    assert order == sorted(order)
    assert not any(old in shown for old in ("--joint", "--executable", "--series", "--html", "--csv "))
    assert "transfer" not in run("calibrate", "--help").stdout


def test_no_two_options_of_a_command_share_a_name() -> None:
    waiting = [get_command(app)]
    while waiting:
        command = waiting.pop()
        waiting += getattr(command, "commands", {}).values()
        names = [name for param in command.params for name in (*param.opts, *param.secondary_opts)]
        assert len(names) == len(set(names)), command.name


def test_a_shell_completes_commands_and_options() -> None:
    for line, wanted in (
        ("liqtruth map h", "history"),
        ("liqtruth map exact --la", "--layer"),
        ("liqtruth v", "validate"),
    ):
        environment = {
            **os.environ,
            "_LIQTRUTH_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(line.split()) - 1),
        }
        code = "import sys; sys.argv[0] = 'liqtruth'; from liqtruth.cli import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            env=environment,
            cwd=ROOT,
            timeout=120,
        )
        assert done.stdout.split() == [wanted], done.stderr
