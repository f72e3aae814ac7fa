"""The house stays in order: arrows point downward, versions are pinned, help is quick to come."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ALLOWED = {
    "heatmap": set(),
    "storage": {"heatmap"},
    "indexer": {"heatmap", "storage"},
    "estimator": {"heatmap", "storage"},
    "compare": {"heatmap", "storage", "indexer", "estimator"},
    "sandbox": {"heatmap"},
}


def imported_packages(package: str) -> set[str]:
    """Top-level packages that any module of `package` imports, inside functions as well."""
    found = set()
    for path in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("package", ALLOWED)
def test_packages_import_only_downward(package: str) -> None:
    ours = {*ALLOWED, "cli", "tests", "benchmarks", "docs"} - {package}
    assert imported_packages(package) & ours <= ALLOWED[package]


def test_every_package_of_the_project_is_under_the_import_rule() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert packages - {"tests", "benchmarks", "docs"} == set(ALLOWED)


def test_the_lock_pins_every_version_with_hashes_and_names_no_host() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    pinned = [line for line in lock.splitlines() if re.match(r"^[A-Za-z0-9]", line)]
    assert all(re.match(r"^[A-Za-z0-9._-]+==\S+", line) for line in pinned)
    assert len(re.findall(r"(?m)^[A-Za-z0-9][^\n]*\\\n    --hash=sha256:", lock)) == len(pinned)
    assert "://" not in lock
    assert "index-url" not in lock


def test_the_command_line_loads_no_heavy_library_to_print_its_help() -> None:
    """Speed itself is measured in `benchmarks/`; what would make it slow is checked here."""
    heavy = ["polars", "numpy", "sqlmodel", "ccxt", "plotly", "scipy", "httpx", "aiohttp", "hyperliquid"]
    code = f"import sys, cli; sys.exit(','.join(set({heavy!r}) & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert done.stderr.strip() == ""
    assert done.returncode == 0


def test_make_help_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"\.PHONY: (.*)", makefile)
    assert phony is not None
    described = set(re.findall(r"(?m)^([a-z]+):.*## ", makefile))
    assert described == set(phony[1].split())
