"""A few kills of every command that writes; `benchmarks/bench_kills.py` does hundreds."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from killing import Writing, bases_in, kill_often, writings

QUICK = ("creation", "upgrade", "index import", "index sweep", "feed fetch", "index tidy", "index forget")


@pytest.fixture(scope="module")
def killable(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[dict[str, Path], dict[str, Writing]]]:
    place = tmp_path_factory.mktemp("kills")
    with writings(place) as all_of_them:
        yield bases_in(place / "bases"), {writing.name: writing for writing in all_of_them}


@pytest.mark.parametrize("name", QUICK)
def test_a_kill_loses_nothing_doubles_nothing_and_locks_nothing(
    killable: tuple[dict[str, Path], dict[str, Writing]], tmp_path: Path, name: str
) -> None:
    bases, known = killable
    done = kill_often(known[name], bases, tmp_path, 2, random.Random(name))
    assert done.kills == 2
    assert (done.lost, done.doubled, done.locked, done.broken) == (0, 0, 0, [])
