"""No door has an uncaught exception, hangs, or answers in more than one printable line, whatever bytes come in."""

from pathlib import Path

import pytest

from tests.fuzz.doors import SHARES, doors
from tests.fuzz.runner import tried

INPUTS = 40


@pytest.mark.parametrize("name", SHARES)
def test_any_bytes_end_in_a_result_or_in_one_printable_line(name: str, tmp_path: Path) -> None:
    """The first inputs are right ones, so that what is mutated is near to what a door takes."""
    outcome = tried(doors(tmp_path)[name], INPUTS, seed=1)
    assert outcome.faults == {}
    assert outcome.taken > 0
    assert outcome.taken + outcome.refused == outcome.inputs
