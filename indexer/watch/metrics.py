"""What a watch has done so far, for Prometheus, on a loopback port of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from liqtruth.heatmap.errors import BadInput
from liqtruth.indexer.positions.watch_state import WatchState

COUNTERS: Final = {
    "reads": "Accounts read, per dex.",
    "failures": "Reads that failed after all attempts.",
    "weight": "Weight spent of the exchange's budget.",
    "too_many_requests": "Answers of 429.",
    "funding_hours": "Hourly fundings applied between reads.",
    "marks_pushed": "Marks of a dex that were pushed, at no weight.",
    "marks_asked": "Marks of a dex that were asked for.",
}
GAUGES: Final = {
    "pairs": "Accounts known, per dex.",
    "pairs_read": "Of these, read at least once.",
    "positions": "Positions in the book.",
    "dirty": "Accounts that traded since they were read.",
    "queued": "Reads that wait for budget.",
    "unstored": "Readings that wait to be stored.",
    "clock_offset_s": "The exchange's clock less ours.",
    "age_p50_s": "Median age of readings with positions.",
    "age_p90_s": "90th percentile of the same.",
    "budget_used_share": "Share of the weight budget that was used.",
}
TAPE: Final = {
    "trades": "Trades taken.",
    "duplicates": "Trades that came before.",
    "malformed": "Messages that could not be read.",
    "connects": "Connections made.",
    "gaps": "Times that trades may have been missed.",
}


class WatchCollector(Collector):
    """Reads a state at the moment it is asked."""

    def __init__(self, state: WatchState) -> None:
        self.state = state

    def collect(self) -> Iterator[Metric]:
        for name, text in COUNTERS.items():
            yield CounterMetricFamily(f"liqtruth_{name}", text, getattr(self.state, name))
        for name, text in TAPE.items():
            yield CounterMetricFamily(f"liqtruth_tape_{name}", text, getattr(self.state.tape, name))
        for name, text in GAUGES.items():
            value = getattr(self.state, name)
            if value is not None:
                yield GaugeMetricFamily(f"liqtruth_{name}", text, value)
        by_status = GaugeMetricFamily(
            "liqtruth_positions_by_status", "Positions by status.", labels=["status"]
        )
        for status, count in self.state.statuses.items():
            by_status.add_metric([status], count)
        yield by_status
        faults = CounterMetricFamily("liqtruth_faults", "What went wrong, by kind.", labels=["kind"])
        for kind, count in list(self.state.faults.counts.items()):
            faults.add_metric([kind], count)
        yield faults


@contextmanager
def serving_metrics(state: WatchState, port: int | None) -> Iterator[int | None]:
    """Serve `/metrics` for the block and give the port (0 takes a free one); null serves nothing."""
    if port is None:
        yield None
        return
    registry = CollectorRegistry()
    registry.register(WatchCollector(state))
    try:
        server, thread = start_http_server(port, "127.0.0.1", registry)
    except OSError as error:
        raise BadInput(
            f"--metrics-port {port}: cannot listen ({error.strerror}); 0 takes a free one"
        ) from error
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
