"""No door has an uncaught exception, hangs, or answers in more than one printable line, whatever bytes come in."""

from pathlib import Path

import pytest

from tests.fuzz.doors import SHARES, doors
from tests.fuzz.runner import tried

INPUTS = 60


@pytest.mark.parametrize("name", SHARES)
def test_any_bytes_end_in_a_result_or_in_one_printable_line(name: str, tmp_path: Path) -> None:
    outcome = tried(doors(tmp_path)[name], INPUTS, seed=1)
    assert outcome.faults == {}
    assert outcome.taken + outcome.refused == outcome.inputs


@pytest.mark.parametrize("name", SHARES)
def test_the_inputs_that_a_door_is_tried_with_begin_with_right_ones(name: str, tmp_path: Path) -> None:
    door = doors(tmp_path)[name]
    assert tried(door, len(door.seeds), seed=1).taken > 0
