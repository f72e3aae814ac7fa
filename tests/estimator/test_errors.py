"""An error says what was given, what is offered, and whether a retry makes sense."""

import pytest

from liqtruth.estimator.errors import BadAnswer, SourceUnreachable, StaleSeries, UnknownChoice, UnknownMarket
from liqtruth.heatmap.errors import LiqtruthError


@pytest.mark.parametrize(
    ("error", "exit_code", "retryable"),
    [
        (UnknownChoice("window", "2h", ("12h", "24h")), 2, False),
        (UnknownMarket("no perpetual"), 2, False),
        (StaleSeries("too old"), 1, False),
        (SourceUnreachable("no answer"), 3, True),
        (BadAnswer("refused"), 3, False),
    ],
)
def test_exit_codes_and_retries(error: LiqtruthError, exit_code: int, retryable: bool) -> None:
    assert isinstance(error, LiqtruthError)
    assert (error.exit_code, error.retryable) == (exit_code, retryable)


def test_an_unknown_choice_lists_what_is_offered() -> None:
    assert str(UnknownChoice("window", "2h", ("12h", "24h"))) == "unknown window '2h'; known: 12h, 24h"


def test_what_is_offered_in_two_ways_is_listed_once() -> None:
    assert str(UnknownChoice("model", "x", ("bell", "fit", "bell"))) == "unknown model 'x'; known: bell, fit"
