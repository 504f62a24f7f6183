"""The floors of ARCHITECTURE.md: imports only go down, at the top of a file, inside a function and for types only.

A module's floor is that of the longest entry in `FLOORS` that names it or a package it is in.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"

FLOORS = {
    "chainrule.errors": -1.0,
    "chainrule.files": -0.9,
    "chainrule.memory": -0.9,
    "chainrule.graph": 0.0,
    "chainrule.graph.traced": 1.0,
    "chainrule.graph.trace": 1.0,
    "chainrule.primitives": 2.0,
    "chainrule.passes": 3.0,
    "chainrule.calculus": 3.1,
    "chainrule.native": 4.0,
    "chainrule.outputs": 5.0,
    "chainrule.networks": 5.1,
    "chainrule.learn": 6.0,
    "chainrule.tables": 7.0,
    "chainrule.exchange": 7.1,
    "chainrule.models": 7.2,
    "chainrule.estimators": 8.0,
    "chainrule.show": 9.0,
    "chainrule.bench": 9.5,
    "chainrule.cli": 10.0,
    "chainrule.__main__": 11.0,
    "chainrule": 9.1,  # the public names, from everywhere below: nobody who makes them may take them from it
}
#: packages that only some of ours may import
ONLY_IN = {
    "sklearn": {"chainrule.estimators", "chainrule.bench"},
    "llvmlite": {"chainrule.native"},
    "polars": {"chainrule.tables", "chainrule.models", "chainrule.cli", "chainrule.bench"},
    "narwhals": {"chainrule.tables", "chainrule.models", "chainrule.estimators"},
    "safetensors": {"chainrule.exchange"},
    "cyclopts": {"chainrule.cli"},
    "rich": {"chainrule.cli"},
    "matplotlib": {"chainrule.show", "chainrule.bench"},
    "igraph": {"chainrule.show"},
}


@dataclass(frozen=True)
class Import:
    """One imported module, and where.

    Parameters
    ----------
    importer, imported : str
        Full names of modules.
    line : int
    when : str
        ``always`` at import, ``called`` inside a function, ``typed`` under ``if TYPE_CHECKING``.
    """

    importer: str
    imported: str
    line: int
    when: str


def module_name(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(SOURCE.rglob("*.py"))}


def imports_of(name: str, path: Path) -> Iterator[Import]:
    """Every import of a file, dynamic ones by a constant name included."""
    package = name if path.stem == "__init__" else name.rpartition(".")[0]

    def visit(node: ast.AST, when: str) -> Iterator[Import]:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            when = "called"
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for child in node.body:
                yield from visit(child, "typed")
            for child in node.orelse:
                yield from visit(child, when)
            return
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(name, alias.name, node.lineno, when)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join(
                    [*package.split(".")[: len(package.split(".")) - node.level + 1], *filter(None, [base])]
                )
            for alias in node.names:
                if (base, alias.name) == ("chainrule", "__version__"):  # a constant, there before anything is imported
                    continue
                inner = f"{base}.{alias.name}"
                yield Import(name, inner if inner in MODULES else base, node.lineno, when)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in (
            "import_module",
            "__import__",
        ):
            target = node.args[0] if node.args else None
            if isinstance(target, ast.Constant) and isinstance(target.value, str):
                yield Import(name, target.value, node.lineno, "called")
        for child in ast.iter_child_nodes(node):
            yield from visit(child, when)

    yield from visit(ast.parse(path.read_text(encoding="utf-8")), "always")


IMPORTS = [each for name, path in MODULES.items() for each in imports_of(name, path)]
OURS = [each for each in IMPORTS if each.imported.partition(".")[0] == "chainrule"]


def floor(module: str) -> float:
    """The floor of a module of ours."""
    best = max((entry for entry in FLOORS if f"{module}.".startswith(f"{entry}.")), key=len)
    return FLOORS[best]


def package(module: str) -> str:
    return ".".join(module.split(".")[:2])


def describe(each: Import) -> str:
    return f"{each.importer}:{each.line} imports {each.imported} ({each.when})"


def test_every_package_has_a_floor() -> None:
    packages = {package(name) for name in MODULES}
    assert packages == {package(entry) for entry in FLOORS}


@pytest.mark.parametrize("name", sorted({package(name) for name in MODULES}))
def test_imports_only_go_down(name: str) -> None:
    """Packages have floors of their own, so that no two need each other; modules of one package share it."""
    own = [each for each in OURS if package(each.importer) == name]
    up = [i for i in own if floor(i.imported) > floor(i.importer)]
    up += [i for i in own if floor(i.imported) == floor(i.importer) and package(i.imported) != name]
    assert not up, "\n".join(map(describe, up))


@pytest.mark.parametrize("name", sorted({package(name) for name in MODULES}))
def test_no_cycles_at_import(name: str) -> None:
    needs: dict[str, set[str]] = {}
    for each in OURS:
        inside = package(each.importer) == name == package(each.imported)
        # a module finds its own package begun, and that is all it needs of it
        if inside and each.when == "always" and each.imported != each.importer and each.imported != name:
            needs.setdefault(each.importer, set()).add(each.imported)
    assert_no_cycle(needs)


def assert_no_cycle(graph: dict[str, set[str]]) -> None:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize("library", sorted(ONLY_IN))
def test_libraries_stay_in_their_rooms(library: str) -> None:
    strays = [
        each
        for each in IMPORTS
        if each.imported.partition(".")[0] == library and package(each.importer) not in ONLY_IN[library]
    ]
    assert not strays, "\n".join(map(describe, strays))


def test_base_library_needs_no_statistics_module() -> None:
    """scipy.stats takes as long to import as all the rest."""
    strays = [each for each in IMPORTS if each.imported.startswith("scipy.stats")]
    assert not strays, "\n".join(map(describe, strays))


# -- the test itself


def found(tmp_path: Path, text: str, name: str = "chainrule.graph.example") -> list[tuple[str, str]]:
    path = tmp_path / "example.py"
    path.write_text(text, encoding="utf-8")
    return [(each.imported, each.when) for each in imports_of(name, path)]


def test_every_form_of_import_is_seen(tmp_path: Path) -> None:
    text = """
import chainrule.cli
from chainrule import show
from chainrule.models import model as m, fit
from . import trace
from ..learn import minimize
from .types import ArrayType
if TYPE_CHECKING:
    import chainrule.tables
else:
    import chainrule.estimators
def f():
    from chainrule.learn import step
    import_module("chainrule.native")
class C:
    import chainrule.passes
    g = lambda: __import__("chainrule.outputs")
try:
    import sklearn
except ImportError:
    pass
"""
    assert found(tmp_path, text) == [
        ("chainrule.cli", "always"),
        ("chainrule.show", "always"),
        ("chainrule.models.model", "always"),
        ("chainrule.models.fit", "always"),
        ("chainrule.graph.trace", "always"),
        ("chainrule.learn.minimize", "always"),
        ("chainrule.graph.types", "always"),
        ("chainrule.tables", "typed"),
        ("chainrule.estimators", "always"),
        ("chainrule.learn.step", "called"),
        ("chainrule.native", "called"),
        ("chainrule.passes", "always"),
        ("chainrule.outputs", "called"),
        ("sklearn", "always"),
    ]


def test_floors_are_told_apart() -> None:
    assert floor("chainrule.graph.graph") == 0
    assert floor("chainrule.graph.trace") == 1
    assert floor("chainrule.graph.traced") == 1
    assert floor("chainrule.primitives.linalg") == 2
    assert floor("chainrule.__main__") == 11
    assert floor("chainrule") == 9.1
    assert len(OURS) > 300
