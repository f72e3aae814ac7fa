"""The built wheel in a fresh environment: one top-level name, the command, the demo, the Python API."""

import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.test_house import ALLOWED

ROOT = Path(__file__).parent.parent
SOURCES = ("LICENSE", "README.md", "__init__.py", "cli.py", "py.typed", "pyproject.toml")
EXAMPLE = """
import liqtruth as lt
with lt.open("demo/data") as lake:
    truth = lake.exact_map("BTC")
    found = lt.compare(truth, lake.model_map("BTC", venue="binance"))
print(lt.__file__, truth.label, found.divergence.synthetic, found.frame().height)
"""


def done(*words: str | Path, cwd: Path) -> str:
    """The output of a process that sees neither the repository nor what the user has set."""
    line = list(map(str, words))
    ended = subprocess.run(line, cwd=cwd, capture_output=True, text=True, timeout=300, env={"HOME": str(cwd)})
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: building leaves folders beside its sources."""
    folder = tmp_path_factory.mktemp("wheel")
    packages = [path.parent.name for path in ROOT.glob("*/__init__.py")]
    for name in packages:
        shutil.copytree(ROOT / name, folder / "source" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in SOURCES:
        shutil.copy(ROOT / name, folder / "source" / name)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    done(*pip, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", ".", "./source", cwd=folder)
    return next(folder.glob("liqtruth-*.whl"))


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of an environment that holds the wheel, and reads its dependencies from this one's.

    This one's are added as a path of modules only: its `.pth` files, the editable install among them, are not read.
    """
    place = tmp_path_factory.mktemp("environment")
    done(sys.executable, "-m", "venv", "--without-pip", place, cwd=place)
    programs = place / Path(sysconfig.get_path("scripts")).name
    python = programs / Path(sys.executable).name
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python)
    done(*pip, "install", "--no-deps", "--no-index", wheel, cwd=place)
    packages = done(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=place).strip()
    Path(packages, "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return programs


def test_the_wheel_installs_one_name_and_every_file_of_the_packages(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    installed = {name for name in names if ".dist-info/" not in name}
    assert {name.split("/")[0] for name in installed} == {"liqtruth"}
    files = [path for package in ALLOWED for path in (ROOT / package).rglob("*") if path.is_file()]
    wanted = {path.relative_to(ROOT).as_posix() for path in files if path.suffix != ".pyc"}
    assert installed == {f"liqtruth/{name}" for name in wanted | {"__init__.py", "cli.py", "py.typed"}}


def test_the_installed_wheel_does_the_whole_job(environment: Path, tmp_path: Path) -> None:
    """The command, the smallest demo that there is, and the API on what the demo left, from any directory."""
    command, python = environment / "liqtruth", environment / Path(sys.executable).name
    assert done(command, "--version", cwd=tmp_path).startswith("liqtruth ")
    shown = done(command, "demo", "--accounts", "50", "--days", "2", cwd=tmp_path)
    assert "SYNTHETIC" in shown
    assert "not calibrated: the history is too short" in shown
    assert (tmp_path / "demo" / "report.html").stat().st_size > 400_000
    place, *printed = done(python, "-c", EXAMPLE, cwd=tmp_path).split()
    assert Path(place).is_relative_to(environment.parent)
    assert printed == ["hyperliquid", "exact", "True", "13"]
