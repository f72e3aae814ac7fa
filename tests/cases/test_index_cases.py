"""Small files in the shape of public bug reports, through the real commands: what is stored, and what is refused."""

import csv
import io
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import RECORDED, Run

CASES = RECORDED.parent / "cases"
OWNER, OTHER = f"0x{'a1':0>40}", f"0x{'a2':0>40}"

Folder = Callable[[str], Path]

pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason=f"no cases at {CASES}")


@pytest.fixture
def stored(run: Run, tmp_path: Path) -> Callable[..., list[dict[str, str]]]:
    """The positions that are stored, as exported."""

    def read(*words: str) -> list[dict[str, str]]:
        path = tmp_path / "positions.csv"
        run("index", "positions", *words, "--csv", str(path))
        return rows_of(path)

    return read


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text())))


Stored = Callable[..., list[dict[str, str]]]


def test_a_coins_prefix_decides_the_dex_of_a_state(run: Run, stored: Stored) -> None:
    run("index", "import", str(CASES / "03" / "state.json"), "--address", OWNER)
    assert [(one["coin"], one["dex"]) for one in stored()] == [("xyz:TSLA", "xyz")]
    run("map", "exact", "xyz:TSLA")
    run("map", "exact", "TSLA", code=2)


def test_a_dex_that_is_not_the_coins_is_refused(run: Run, stored: Stored) -> None:
    run("index", "import", str(CASES / "03" / "state.json"), "--dex", "other", code=2)
    assert stored() == []


def test_a_row_that_is_cut_off_is_refused_with_its_line(run: Run, stored: Stored) -> None:
    assert "line 13" in run("index", "import", str(CASES / "14" / "cut.csv"), code=2).stderr
    assert stored() == []


@pytest.mark.parametrize(("case", "file"), [("16", "usd.csv"), ("17", "flip.csv")])
def test_columns_that_contradict_each_other_are_refused_unless_told_to_go_on(
    run: Run, stored: Stored, case: str, file: str
) -> None:
    path = str(CASES / case / file)
    run("index", "import", path, code=2)
    assert stored() == []
    run("index", "import", path, "--keep-contradictions")
    assert stored()


def test_a_closed_entry_is_passed_over_and_the_account_read(run: Run, stored: Stored) -> None:
    meta = str(CASES / "19" / "meta.json")
    for file, owner in (("a.json", OWNER), ("b.json", OTHER)):
        run("index", "import", str(CASES / "19" / file), "--meta", meta, "--address", owner)
    assert sorted((one["address"], one["coin"]) for one in stored()) == [(OWNER, "BTC"), (OTHER, "BTC")]


def test_four_names_of_one_coin_are_one_coin(run: Run, stored: Stored) -> None:
    path, market = CASES / "24" / "names.csv", CASES / "24" / "market.csv"
    shown = run("index", "import", str(path), "--market", str(market)).stdout
    assert all(name in shown for name in ("BTC-PERP", "BTC/USDC:USDC", "btc"))
    assert {one["coin"] for one in stored()} == {"BTC"}
    assert len(stored()) == len(path.read_text().splitlines()) - 1


def test_a_workbook_is_called_one(run: Run) -> None:
    assert "Excel" in run("index", "import", str(CASES / "27" / "pos.xlsx"), code=2).stderr


@pytest.mark.parametrize(("file", "accounts"), [("ws.json", 1), ("many.json", 3), ("many.jsonl", 3)])
def test_answers_of_many_accounts_are_read_each_under_its_address(
    run: Run, stored: Stored, file: str, accounts: int
) -> None:
    run("index", "import", str(CASES / "46" / file))
    assert len({one["address"] for one in stored()}) == accounts
    assert all(one["address"].startswith("0x") for one in stored())


def test_one_bad_account_among_many_is_left_out_and_the_command_says_so(
    run: Run, stored: Stored, tmp_path: Path
) -> None:
    lines = (CASES / "46" / "many.jsonl").read_text().splitlines()
    path = tmp_path / "many.jsonl"
    path.write_text("\n".join([lines[0], lines[1].replace('"szi"', '"size"'), lines[2]]))
    assert "line 2" in run("index", "import", str(path), code=3).stdout
    assert len(stored()) == 2


def test_a_folder_of_answers_is_named_after_its_accounts(run: Run, stored: Stored, tmp_path: Path) -> None:
    folder = tmp_path / "states"
    folder.mkdir()
    for owner in (OWNER, OTHER):
        shutil.copy(CASES / "19" / "a.json", folder / f"{owner}.json")
    run("index", "import", str(folder))
    assert {one["address"] for one in stored()} == {OWNER, OTHER}


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_what_is_exported_imports_back_to_the_same_positions(
    run: Run, stored: Stored, tmp_path: Path, suffix: str
) -> None:
    run("index", "import", str(CASES / "24" / "names.csv"))
    export, before = tmp_path / f"export.{suffix}", stored()
    run("index", "positions", f"--{suffix}", str(export))
    shutil.rmtree(tmp_path / "data")
    run("index", "import", str(export))
    read = [{name: value for name, value in one.items() if name != "reading_id"} for one in before]
    assert read == [{name: value for name, value in one.items() if name != "reading_id"} for one in stored()]
