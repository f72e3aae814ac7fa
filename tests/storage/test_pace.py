"""Who keep a pace together stay within their limit in every window, whoever they are and whenever they come."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.heatmap.errors import LiqtruthError
from liqtruth.storage.net.pace import MOMENTS, ROW, SLOTS, SOON_S, Line, Pace, Place

WINDOW_S = 60.0
ROOT = Path(__file__).parents[2]
Delays = tuple[float, float]
"""From a place that is taken to the arrival, and from there to the answer."""


def taken(line: Line, weight: float, limit: float, now_s: float) -> tuple[Place, float]:
    """The place and its moment, for a caller that asks again as it is told."""
    while not isinstance(place := line.take(weight, limit, WINDOW_S, now_s), Place):
        assert place > 0
        now_s += place
    return place, now_s


def arrivals(requests: list[tuple[float, float]], delays: list[Delays], limit: float) -> list[Delays]:
    """(moment, weight) of what arrives at a server: each request a pause after the one before, answered at last."""
    line, now_s, arrived, waiting = Line(), 1000.0, list[Delays](), list[tuple[float, Place]]()
    for number, (pause_s, weight) in enumerate(requests):
        now_s += pause_s
        place, now_s = taken_among(line, waiting, weight, limit, now_s)
        to, back = delays[number % len(delays)]
        arrived.append((now_s + to, weight))
        waiting.append((now_s + to + back, place))
    return arrived


def taken_among(
    line: Line, waiting: list[tuple[float, Place]], weight: float, limit: float, now_s: float
) -> tuple[Place, float]:
    """As `taken`, while answers come at the moments of `waiting`."""
    while True:
        for one in sorted(waiting):
            if one[0] <= now_s:
                line.answered(one[1], WINDOW_S, one[0])
                waiting.remove(one)
        place = line.take(weight, limit, WINDOW_S, now_s)
        if isinstance(place, Place):
            return place, now_s
        now_s += place


def most_in_a_window(spent: list[tuple[float, float]]) -> float:
    """The most weight spent in any window that begins with a spending."""
    return max(sum(w for t, w in spent if start <= t < start + WINDOW_S) for start, _ in spent)


@given(
    requests=st.lists(st.tuples(st.floats(0, 0.05), st.integers(1, 20)), min_size=1, max_size=80),
    delays=st.lists(st.tuples(st.floats(0, 20.0), st.floats(0, 20.0)), min_size=1, max_size=20),
)
def test_no_window_of_a_server_sees_more_than_the_limit_however_long_requests_take_to_arrive(
    requests: list[tuple[float, float]], delays: list[Delays]
) -> None:
    assert most_in_a_window(arrivals(requests, delays, 100.0)) <= 100.0


def test_who_is_answered_soon_uses_nearly_all_of_the_limit() -> None:
    """A fifth of a second each: a place is in use for so long beyond its minute."""
    arrived = arrivals([(0.0, 1.0)] * 1_200, [(0.1, 0.1)], 100.0)
    minutes = (arrived[-1][0] - arrived[0][0]) / 60
    assert 12 - 1 <= minutes <= 12 * 1.015


def test_what_is_never_answered_is_given_back_after_two_windows() -> None:
    line, now_s = Line(), 50.0
    for _ in range(10):
        _, now_s = taken(line, 10, 100.0, now_s)
    _, again_s = taken(line, 10, 100.0, now_s)
    assert 50 + 2 * WINDOW_S <= again_s <= 52 + 2 * WINDOW_S


@given(st.lists(st.sampled_from([100.0, 480.0, 960.0]), min_size=1, max_size=200))
def test_of_different_limits_the_largest_holds_for_all_together(limits: list[float]) -> None:
    line, now_s, spent = Line(), 5.0, list[tuple[float, float]]()
    for limit in limits:
        place, now_s = taken(line, 20, limit, now_s)
        line.answered(place, WINDOW_S, now_s)
        spent.append((now_s, 20.0))
    assert most_in_a_window(spent) <= max(limits)


def test_one_request_that_is_heavier_than_the_limit_goes_when_nothing_else_is_in_use() -> None:
    line = Line()
    place, _ = taken(line, 60, 20.0, 0.0)
    line.answered(place, WINDOW_S, 1.0)
    assert taken(line, 60, 20.0, 1.0)[1] > 1.0 + WINDOW_S


def test_a_hold_lets_nobody_go_before_its_end() -> None:
    line = Line()
    line.hold(30.0, now_s=100.0)
    line.hold(10.0, now_s=105.0)
    assert line.take(2, 960, WINDOW_S, 106.0) == 24.0


def test_two_of_one_path_keep_one_line_and_two_of_different_paths_do_not(tmp_path: Path) -> None:
    one, same, other = (Pace(tmp_path / name, clock=lambda: 50.0) for name in ("a", "a", "b"))
    first = [pace.take(960, 960, WINDOW_S) for pace in (one, same, other)]
    assert [isinstance(place, Place) for place in first] == [True, False, True]
    same.hold(5.0)
    assert one.blocked_s() == 5.0
    assert other.blocked_s() == 0.0


NOTHING = [0.0] * (len(MOMENTS) - 1 + SLOTS)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"short",
        b"\xff" * ROW.size,
        ROW.pack(float("nan"), *NOTHING, b"x" * 32),
        ROW.pack(1e300, *NOTHING, b"x" * 32),
    ],
)
def test_a_damaged_line_or_one_of_another_start_begins_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "line").write_bytes(content)
    assert isinstance(Pace(tmp_path / "line", clock=lambda: 7.0).take(2, 960, WINDOW_S), Place)


def test_a_line_that_no_clock_of_ours_wrote_is_not_waited_for(tmp_path: Path) -> None:
    far = Pace(tmp_path / "line", clock=lambda: 1e9)
    far.take(960, 960, WINDOW_S)
    assert isinstance(Pace(tmp_path / "line", clock=lambda: 5.0).take(2, 960, WINDOW_S), Place)


def test_a_line_in_use_by_another_process_is_reported_and_free_when_that_is_killed(tmp_path: Path) -> None:
    holder = "import fcntl, sys, time; f = open(sys.argv[1], 'w'); fcntl.flock(f, 2); print(flush=True); time.sleep(99)"
    child = subprocess.Popen([sys.executable, "-c", holder, str(tmp_path / "line")], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    pace = Pace(tmp_path / "line")
    assert pace.take(2, 960, WINDOW_S) == SOON_S
    child.kill()
    child.wait()
    child.stdout.close()
    assert isinstance(pace.take(2, 960, WINDOW_S), Place)


def test_a_place_that_no_file_can_be_made_in_is_reported_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for path in (tmp_path / "file" / "line", tmp_path / "link"):
        with pytest.raises(LiqtruthError):
            Pace(path).take(2, 960, WINDOW_S)
