"""Metrics are read off the watch's state at the moment they are asked for."""

import socket

import httpx
import pytest

from liqtruth.heatmap.errors import BadInput
from liqtruth.indexer.positions.watch_state import WatchState
from liqtruth.indexer.watch.metrics import serving_metrics


def test_metrics_follow_the_state() -> None:
    state = WatchState(reads=3, statuses={"agree": 7})
    with serving_metrics(state, 0) as port:
        first = httpx.get(f"http://127.0.0.1:{port}/metrics").text
        state.reads = 5
        second = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    assert "liqtruth_reads_total 3.0" in first
    assert "liqtruth_reads_total 5.0" in second
    assert 'liqtruth_positions_by_status{status="agree"} 7.0' in first
    assert "liqtruth_age_p50_s" not in first, "what is not known is not reported as zero"


def test_a_port_that_is_taken_is_refused_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(BadInput, match=rf"--metrics-port {port}: cannot listen"),
            serving_metrics(WatchState(), port),
        ):
            pass


def test_without_a_port_nothing_is_served() -> None:
    with serving_metrics(WatchState(), None) as port:
        assert port is None
