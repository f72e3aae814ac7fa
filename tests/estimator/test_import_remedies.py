"""What an error of `feed import` tells the user to do makes the same data readable."""

import gzip
from pathlib import Path

import pytest

from tests.conftest import Run

RATES = "ts,rate\n1785542400,0.1\n1785546000,0.2\n"
BARS = "1785542400000,10,12,9,11,5,{0}\n1785546000000,10,12,9,11,5,{0}\n"
COLUMNS = '["min_notional","max_notional","maintenance_margin_rate","max_leverage"]'
TIERS = f'{{"columns":{COLUMNS},"tiers":{{"BTC":[[0,5,0.1,5]]}}}}'
NAMES = ("--venue", "okx", "--coin", "BTC")

Given = tuple[str, bytes, tuple[str, ...]]
REMEDIES: dict[str, tuple[str, Given, Given]] = {
    "save it as UTF-8": (
        "save it as UTF-8",
        ("a.csv", RATES.encode("utf-16"), NAMES),
        ("a.csv", RATES.encode(), NAMES),
    ),
    "unpack": ("unpack it", ("a.csv", b"BZh91AY&SY", NAMES), ("a.csv", RATES.encode(), NAMES)),
    "download it again": (
        "download it again",
        ("a.csv", gzip.compress(RATES.encode())[:-4], NAMES),
        ("a.csv", gzip.compress(RATES.encode()), NAMES),
    ),
    "the coin of the column": (
        "give --coin ETH",
        ("a.csv", b"ts,rate,symbol\n1785542400,0.1,ETHUSDT\n1785546000,0.2,ETHUSDT\n", NAMES),
        (
            "a.csv",
            b"ts,rate,symbol\n1785542400,0.1,ETHUSDT\n1785546000,0.2,ETHUSDT\n",
            ("--venue", "okx", "--coin", "ETH"),
        ),
    ),
    "the venue of the name": (
        "give --venue",
        ("bybit.csv", RATES.encode(), NAMES),
        ("bybit.csv", RATES.encode(), ("--venue", "bybit", "--coin", "BTC")),
    ),
    "rename the file": (
        "rename the file",
        ("ETHUSDT.csv", RATES.encode(), NAMES),
        ("rates.csv", RATES.encode(), NAMES),
    ),
    "columns by their places": (
        "--columns ts=1,price=2",
        ("a.csv", b"1785542400,10\n1785546000,11\n", NAMES),
        ("a.csv", b"1785542400,10\n1785546000,11\n", (*NAMES, "--columns", "ts=1,price=2")),
    ),
    "which is which": (
        "--columns OURS=THEIRS",
        ("a.csv", b"when,what\n1785542400,0.1\n1785546000,0.2\n", NAMES),
        ("a.csv", b"when,what\n1785542400,0.1\n1785546000,0.2\n", (*NAMES, "--columns", "ts=when,rate=what")),
    ),
    "leave one of them out": (
        "leave one of them out with --columns",
        ("a.csv", ("ts,open,high,low,close,volume,quote_volume\n" + BARS.format(5)).encode(), NAMES),
        (
            "a.csv",
            ("ts,open,high,low,close,volume,quote_volume\n" + BARS.format(5)).encode(),
            (*NAMES, "--columns", "ts=ts,open=open,high=high,low=low,close=close"),
        ),
    ),
    "the header first": (
        "let the file begin with its header",
        ("a.csv", f"of somebody\n{RATES}".encode(), NAMES),
        ("a.csv", RATES.encode(), NAMES),
    ),
    "complete or remove the row": (
        "complete or remove it",
        ("a.csv", f"{RATES}1785549600\n1785553200,0.1\n".encode(), NAMES),
        ("a.csv", f"{RATES}1785553200,0.1\n".encode(), NAMES),
    ),
    "rename a column": (
        "rename or remove one of them",
        ("a.csv", RATES.replace("ts,rate", "ts,ts").encode(), NAMES),
        ("a.csv", RATES.encode(), NAMES),
    ),
    "write it without commas": (
        "write it without commas",
        ("a.csv", b'ts,open_interest\n1785542400,"1,234"\n1785546000,"1,235"\n', NAMES),
        ("a.csv", b"ts,open_interest\n1785542400,1234\n1785546000,1235\n", NAMES),
    ),
    "the date in the name": (
        "tiers_2026-09-15.json",
        ("tiers.json", TIERS.encode(), NAMES),
        ("tiers_2026-09-15.json", TIERS.encode(), NAMES),
    ),
    "the rows of one market": (
        "give the rows of one",
        (
            "a.csv",
            b"ts,rate\n"
            + b"".join(b"%d,%g\n" % (1785542400 + 3600 * at, rate) for at in range(3) for rate in (0.1, 0.2)),
            NAMES,
        ),
        ("a.csv", b"ts,rate\n" + b"".join(b"%d,0.1\n" % (1785542400 + 3600 * at) for at in range(3)), NAMES),
    ),
}


@pytest.mark.parametrize("kind", REMEDIES)
def test_a_remedy_that_an_error_names_is_one(run: Run, tmp_path: Path, kind: str) -> None:
    message, (name, content, words), (better_name, better, better_words) = REMEDIES[kind]
    (tmp_path / name).write_bytes(content)
    refused = run("feed", "import", str(tmp_path / name), *words, code=2)
    assert message in refused.stderr
    (tmp_path / better_name).write_bytes(better)
    run("feed", "import", str(tmp_path / better_name), *better_words)


def test_rows_that_correct_stored_ones_are_stored_with_the_option(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(RATES)
    run("feed", "import", str(path), *NAMES)
    path.write_text(RATES.replace("0.1", "0.3").replace("0.2", "0.4"))
    assert "--replace" in run("feed", "import", str(path), *NAMES, code=2).stderr
    assert "replaced" in run("feed", "import", str(path), *NAMES, "--replace").stdout
