"""The house stays in order: arrows point downward, versions are pinned, help is quick to come."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
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
    "commands": {"heatmap", "storage", "indexer", "estimator", "compare", "sandbox"},
}
HEAVY = ["polars", "numpy", "sqlmodel", "ccxt", "plotly", "scipy", "httpx", "aiohttp", "hyperliquid"]
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for package in ALLOWED
    for path in (ROOT / package).rglob("*.py")
    if path.name != "__init__.py"
}
SHOWN_BY = {
    "heatmap.heatmap": {"heatmap.drawing.figure", "heatmap.drawing.notebook"},
    "heatmap.series": {"heatmap.drawing.series_figure", "heatmap.drawing.notebook"},
}
"""The one exception to the rule on rooms: a notebook asks an object itself how it is shown (`plot`, `_repr_html_`), so
these types name what draws them, inside those methods alone."""
SOURCES = {*MODULES.values()}
ROOMS = {name.rsplit(".", 1)[0] for name in MODULES}
OUTSIDE = [path for folder in ("benchmarks", "docs", "tests") for path in (ROOT / folder).rglob("*.py")]
"""Python that uses the packages and is in none of them."""


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """All of a module's syntax: what most rules look at is read once."""
    return tuple(ast.walk(ast.parse(path.read_text())))


@cache
def import_nodes(path: Path) -> tuple[ast.Import | ast.ImportFrom, ...]:
    """What a file imports anywhere, inside functions as well."""
    found = nodes(path) if path in SOURCES else ast.walk(ast.parse(path.read_text()))
    return tuple(node for node in found if isinstance(node, ast.Import | ast.ImportFrom))


@cache
def imports(path: Path) -> set[str]:
    """What of ours a module imports, by dotted name below `liqtruth`, inside functions as well."""
    found = set()
    for node in import_nodes(path):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif node.module:
            assert node.level == 0, f"{path}: a relative import"
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name.removeprefix("liqtruth.") for name in found if name.startswith("liqtruth.")}


@cache
def room(module: str) -> str:
    """The folder of a module; a module beside folders is a room of its own."""
    folder = module.rsplit(".", 1)[0]
    return module if any(other.startswith(f"{folder}.") for other in ROOMS) else folder


@pytest.mark.parametrize("package", ALLOWED)
def test_packages_import_only_downward(package: str) -> None:
    used = {
        name.split(".")[0]
        for module, path in MODULES.items()
        if module.startswith(f"{package}.")
        for name in imports(path)
    }
    assert used & {*ALLOWED, "cli"} - {package} <= ALLOWED[package]


def test_rooms_import_only_downward() -> None:
    """There is an order of all rooms in which each imports only earlier ones."""
    below: dict[str, set[str]] = {}
    for module, path in MODULES.items():
        used = imports(path) & MODULES.keys() - SHOWN_BY.get(module, set())
        below.setdefault(room(module), set()).update(map(room, used))
    below = {place: used - {place} for place, used in below.items()}
    try:
        TopologicalSorter(below).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize("module", SHOWN_BY)
def test_a_type_imports_what_draws_it_only_when_it_is_shown(module: str) -> None:
    tree = ast.parse(MODULES[module].read_text())
    inside = {
        part.module.removeprefix("liqtruth."): node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        for part in ast.walk(node)
        if isinstance(part, ast.ImportFrom) and part.module
    }
    anywhere = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    drawing = [name.removeprefix("liqtruth.") for name in anywhere if ".drawing." in name]
    assert sorted(drawing) == sorted(inside) == sorted(SHOWN_BY[module])
    assert set(inside.values()) == {"plot", "_repr_html_"}


def test_every_package_of_the_project_is_under_the_import_rule() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert packages - {"tests", "benchmarks", "docs"} == set(ALLOWED)


def test_nothing_of_ours_is_imported_without_the_name_of_the_project() -> None:
    for path in [*MODULES.values(), *OUTSIDE]:
        for node in import_nodes(path):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not {name.split(".")[0] for name in names} & {*ALLOWED, "cli"}, path


def test_what_benchmarks_and_tests_import_of_ours_is_there() -> None:
    """Nobody runs a benchmark of an hour to find that a name in it is gone."""
    gone = [
        f"{path.relative_to(ROOT)}: {module}.{alias.name}"
        for path in OUTSIDE
        for node in import_nodes(path)
        if isinstance(node, ast.ImportFrom) and node.module
        for module in [node.module.removeprefix("liqtruth.")]
        for alias in node.names
        if module in MODULES and alias.name not in names_in(MODULES[module])
    ]
    assert not gone


@cache
def names_in(module: Path) -> set[str]:
    """What a module defines or imports."""
    found: set[str] = set()
    for node in nodes(module):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                found.add(name)
            case ast.Name(id=name, ctx=ast.Store()):
                found.add(name)
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                found |= {alias.asname or alias.name for alias in names}
    return found


def test_the_wheel_holds_every_package() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = {
        path.parent.relative_to(ROOT).parts
        for package in ALLOWED
        for path in (ROOT / package).rglob("__init__.py")
    }
    assert sorted(listed) == sorted({"liqtruth", *(".".join(("liqtruth", *parts)) for parts in folders)})


def test_the_lock_pins_every_version_with_hashes_and_names_no_host() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    pinned = [line for line in lock.splitlines() if re.match(r"^[A-Za-z0-9]", line)]
    assert all(re.match(r"^[A-Za-z0-9._-]+==\S+", line) for line in pinned)
    assert len(re.findall(r"(?m)^[A-Za-z0-9][^\n]*\\\n    --hash=sha256:", lock)) == len(pinned)
    assert "://" not in lock
    assert "index-url" not in lock


def test_the_command_line_loads_no_heavy_library_to_print_its_help() -> None:
    """Speed itself is measured in `benchmarks/`; what would make it slow is checked here."""
    loaded = loaded_by("import liqtruth.cli; liqtruth.cli.app(['--help'], standalone_mode=False)")
    assert not loaded & {*HEAVY, "rich"}
    assert {name for name in loaded if name.startswith("liqtruth.")} == {
        "liqtruth.cli", "liqtruth.commands", "liqtruth.commands.line", "liqtruth.commands.line.grammar",
        "liqtruth.commands.line.plain_values",
        "liqtruth.commands.line.refusals", "liqtruth.commands.line.terminal",
    }  # fmt: skip


def loaded_by(code: str) -> set[str]:
    """The modules of a process that has run `code`."""
    code += "\nimport sys; sys.stderr.write(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


def test_importing_the_project_loads_nothing_heavy_and_little_of_its_own() -> None:
    heavy = [*HEAVY, "pydantic", "typer", "liqtruth.heatmap", "liqtruth.compare", "liqtruth.storage"]
    assert not loaded_by("import liqtruth") & set(heavy)


def test_a_side_is_asked_for_by_type_not_looked_up_by_name() -> None:
    """`of(side)` of `heatmap.levels` knows what it gives; `x.of(side)` does not."""
    for path in MODULES.values():
        for node in nodes(path):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "getattr":
                assert ast.unparse(node.args[1]) not in ("side", "'long'", "'short'"), path


NOTED = {"assumptions", "quality", "notes", "findings"}
OF_TEXT = {
    "startswith",
    "endswith",
    "replace",
    "split",
    "partition",
    "removeprefix",
    "removesuffix",
    "find",
    "index",
}


def of_notes(node: ast.expr) -> bool:
    """Whether an expression gives notes or their texts."""
    return any(
        (isinstance(part, ast.Attribute) and part.attr in NOTED)
        or (isinstance(part, ast.Call) and ast.unparse(part.func) in ("texts", "of_codes", "without_codes"))
        for part in ast.walk(node)
    )


def read_words(node: ast.AST) -> Iterator[str]:
    """Where a loop over notes looks into the words of one, or notes are cut by their place."""
    if isinstance(node, ast.Subscript) and of_notes(node.value) and isinstance(node.slice, ast.Slice):
        yield ast.unparse(node)
    loops = getattr(node, "generators", [node] if isinstance(node, ast.For) else [])
    names = {ast.unparse(loop.target) for loop in loops if of_notes(loop.iter)}
    for part in ast.walk(node) if names else ():
        if isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute) and part.func.attr in OF_TEXT:
            whose = ast.unparse(part.func.value).removesuffix(".text")
            yield from [ast.unparse(part)] if whose in names else []
        if isinstance(part, ast.Compare) and isinstance(part.ops[0], ast.In | ast.NotIn):
            whose = ast.unparse(part.comparators[0]).removesuffix(".text")
            yield from [ast.unparse(part)] if whose in names else []


@pytest.mark.parametrize(
    ("code", "reads"),
    [
        ("[one for one in heatmap.notes if one.startswith('x')]", True),
        ("any('x' in one.text for one in heatmap.quality)", True),
        ("heatmap.assumptions[2:]", True),
        ("for one in texts(notes): one.split(',')", True),
        ("[one for one in heatmap.notes if one.code == 'x']", False),
        ("of_codes(heatmap.notes, CODES)", False),
    ],
)
def test_the_rule_on_words_of_notes_finds_what_it_is_there_for(code: str, reads: bool) -> None:
    assert any(found for node in ast.walk(ast.parse(code)) for found in read_words(node)) == reads


def test_no_code_reads_the_words_of_a_note() -> None:
    """A note is asked for its `code` (`heatmap.notes`); rewording one changes nothing but the words."""
    for path in MODULES.values():
        found = [said for node in nodes(path) for said in read_words(node)]
        assert not found, f"{path}: {found}"


def test_make_help_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"\.PHONY: (.*)", makefile)
    assert phony is not None
    described = set(re.findall(r"(?m)^([a-z]+):.*## ", makefile))
    assert described == set(phony[1].split())


STYLE_WORDS = {
    "bold",
    "dim",
    "italic",
    "not",
    "underline",
    "reverse",
    "green",
    "red",
    "bright_green",
    "bright_red",
}


def test_green_and_red_mean_longs_and_shorts_alone_in_the_terminal() -> None:
    """One table names both colours; scores and ages are emphasised otherwise."""
    named = {
        module
        for module, path in MODULES.items()
        for node in nodes(path)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if (words := set(node.value.split())) <= STYLE_WORDS
        and any("green" in w or "red" in w for w in words)
    }
    assert named == {"heatmap.words.text"}
