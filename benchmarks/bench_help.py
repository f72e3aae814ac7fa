"""Processor time of `liqtruth --help` in a process of its own, beside that of an interpreter that does nothing."""

import resource
import subprocess
import sys

import pytest
from pytest_benchmark.fixture import BenchmarkFixture


def of_children() -> float:
    """Seconds of user and system time that ended processes took."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.benchmark(group="help", timer=of_children)
@pytest.mark.parametrize("words", [["-c", "pass"], ["-m", "liqtruth.cli", "--help"]], ids=["nothing", "help"])
def test_help(benchmark: BenchmarkFixture, words: list[str]) -> None:
    line, quiet = [sys.executable, *words], {"stdout": subprocess.DEVNULL, "check": True}
    benchmark.pedantic(subprocess.run, (line,), quiet, rounds=20)
