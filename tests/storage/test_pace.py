"""Who keep a pace together stay within their limit in every window, whoever they are and whenever they come."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtruth.heatmap.errors import LiqtruthError
from liqtruth.storage.net.pace import ROW, Line, Pace

WINDOW_S = 60.0
ROOT = Path(__file__).parents[2]


def most_in_a_window(spent: list[tuple[float, float]]) -> float:
    """The most weight spent in any window that begins with a spending."""
    return max(sum(w for t, w in spent if start <= t < start + WINDOW_S) for start, _ in spent)


@given(
    arrivals=st.lists(st.tuples(st.floats(0, 5), st.integers(1, 20)), min_size=1, max_size=300),
    late=st.lists(st.floats(0, 1.0), min_size=1, max_size=20),
)
def test_no_window_sees_more_than_the_limit_though_places_are_used_late(
    arrivals: list[tuple[float, int]], late: list[float]
) -> None:
    line, limit, now_s, spent = Line(), 800.0, 1000.0, []
    for number, (pause_s, weight) in enumerate(arrivals):
        now_s += pause_s / 100
        moment_s = line.reserve(weight, limit, WINDOW_S, now_s)
        assert moment_s >= now_s
        spent.append((moment_s + late[number % len(late)], float(weight)))
    assert most_in_a_window(spent) <= limit


def test_who_always_waits_uses_nearly_all_of_the_limit() -> None:
    line, now_s, spent = Line(), 0.0, 0.0
    while now_s < 600:
        now_s = line.reserve(2, 960, WINDOW_S, now_s)
        spent += 2
    assert 0.95 * 960 * 10 <= spent <= 960 * 10 + 24


@given(st.lists(st.sampled_from([100.0, 480.0, 960.0]), min_size=1, max_size=200))
def test_of_different_limits_the_largest_holds_for_all_together(limits: list[float]) -> None:
    line = Line()
    spent = [(line.reserve(20, limit, WINDOW_S, 5.0), 20.0) for limit in limits]
    assert most_in_a_window(spent) <= max(limits)


def test_a_hold_lets_nobody_go_before_its_end() -> None:
    line = Line()
    line.hold(30.0, now_s=100.0)
    line.hold(10.0, now_s=105.0)
    assert line.reserve(2, 960, WINDOW_S, 106.0) == 130.0


def test_two_of_one_path_keep_one_line_and_two_of_different_paths_do_not(tmp_path: Path) -> None:
    one, same, other = (Pace(tmp_path / name, clock=lambda: 50.0) for name in ("a", "a", "b"))
    first = [pace.reserve(20, 960, WINDOW_S) for pace in (one, same, other)]
    assert first == [50.0, pytest.approx(50 + 16 / (936 / 61)), 50.0]
    same.hold(5.0)
    assert one.blocked_s() == 5.0
    assert other.blocked_s() == 0.0


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"short",
        b"\xff" * ROW.size,
        ROW.pack(float("nan"), 0, 0, 0, b"x" * 32),
        ROW.pack(1e300, 0, 0, 0, b"x" * 32),
    ],
)
def test_a_damaged_line_or_one_of_another_start_begins_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "line").write_bytes(content)
    assert Pace(tmp_path / "line", clock=lambda: 7.0).reserve(2, 960, WINDOW_S) == 7.0


def test_a_line_that_no_clock_of_ours_wrote_is_not_waited_for(tmp_path: Path) -> None:
    far = Pace(tmp_path / "line", clock=lambda: 1e9)
    far.reserve(20, 960, WINDOW_S)
    assert Pace(tmp_path / "line", clock=lambda: 5.0).reserve(2, 960, WINDOW_S) == 5.0


def test_a_line_in_use_by_another_process_is_reported_and_free_when_that_is_killed(tmp_path: Path) -> None:
    holder = "import fcntl, sys, time; f = open(sys.argv[1], 'w'); fcntl.flock(f, 2); print(flush=True); time.sleep(99)"
    child = subprocess.Popen([sys.executable, "-c", holder, str(tmp_path / "line")], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    pace = Pace(tmp_path / "line")
    assert pace.reserve(2, 960, WINDOW_S) is None
    child.kill()
    child.wait()
    child.stdout.close()
    assert pace.reserve(2, 960, WINDOW_S) is not None


def test_a_place_that_no_file_can_be_made_in_is_reported_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for path in (tmp_path / "file" / "line", tmp_path / "link"):
        with pytest.raises(LiqtruthError):
            Pace(path).reserve(2, 960, WINDOW_S)
