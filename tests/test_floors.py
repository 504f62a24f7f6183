"""The floors of ARCHITECTURE.md: imports only go down, wherever in a file they stand, and never in a circle."""

import ast
from pathlib import Path

import pytest

import chainrule

ROOT = Path(chainrule.__file__).parent

#: part of the package -> floor; a module may import from its own part and from parts on lower floors
FLOORS = {
    "__init__": -1.0,  # the public names, by text only
    "errors": -1.0,
    "graph": 0.0,
    "graph.traced": 0.9,
    "graph.trace": 1.0,
    "primitives": 2.0,
    "passes": 3.0,
    "calculus": 3.1,
    "native": 4.0,
    "outputs": 5.0,
    "networks": 5.1,
    "learn": 6.0,
    "tables": 7.0,
    "exchange": 7.1,
    "models": 7.2,
    "estimators": 8.0,
    "show": 9.0,
    "bench": 9.5,
    "cli": 10.0,
    "__main__": 11.0,
}

#: package -> the parts that may import it
ONLY_IN = {
    "sklearn": {"estimators", "bench"},
    "llvmlite": {"native"},
    "polars": {"tables", "models", "cli", "bench"},
    "narwhals": {"tables", "models", "estimators"},
    "cyclopts": {"cli"},
    "rich": {"cli"},
    "matplotlib": {"show", "bench"},
    "igraph": {"show"},
}


def name_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


MODULES = {name_of(path): path for path in sorted(ROOT.rglob("*.py"))}


def part_of(module):
    return module if module in FLOORS else module.split(".")[0]


def imports(path, type_checking=True):
    """Absolute names of what a file imports, at any depth of nesting, and the line."""
    tree = ast.parse(path.read_text())
    skipped = set()
    if not type_checking:
        for node in ast.walk(tree):
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                skipped |= {id(n) for n in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                known = full.removeprefix("chainrule.") in MODULES
                yield (full if known else node.module, node.lineno)


def own(name):
    """The module of this package that an imported name means, if it is one."""
    if name != "chainrule" and not name.startswith("chainrule."):
        return None
    inner = name.removeprefix("chainrule").lstrip(".")
    return inner or "__init__"


def test_every_part_has_a_floor():
    assert {part_of(m) for m in MODULES} <= set(FLOORS)


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_down(module):
    here = part_of(module)
    for name, line in imports(MODULES[module], type_checking=False):
        target = own(name)
        if target is None:
            package = name.split(".")[0]
            allowed = ONLY_IN.get(package)
            assert allowed is None or here in allowed, f"{module}:{line} imports {package}"
            continue
        there = part_of(target)
        assert there == here or FLOORS[there] < FLOORS[here], f"{module}:{line} imports {target}, which is not below"


def test_no_circles():
    """Between modules, counting the imports that run when a module is loaded."""
    edges = {}
    for module, path in MODULES.items():
        top = ast.Module([n for n in ast.parse(path.read_text()).body if not isinstance(n, ast.If)], [])
        loaded = set()
        for node in ast.walk(top):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
                continue
            if isinstance(node, ast.ImportFrom) and node in top.body:
                for alias in node.names:
                    full = own(f"{node.module}.{alias.name}")
                    loaded.add(full if full in MODULES else own(node.module))
            elif isinstance(node, ast.Import) and node in top.body:
                loaded |= {own(alias.name) for alias in node.names}
        edges[module] = {m for m in loaded if m in MODULES and m != module and m != "__init__"}
    state = {}

    def visit(module, trail):
        if state.get(module) == "done":
            return
        assert module not in trail, " → ".join([*trail[trail.index(module) :], module])
        for target in edges[module]:
            visit(target, [*trail, module])
        state[module] = "done"

    for module in MODULES:
        visit(module, [])


def test_the_check_itself_sees_deferred_imports(tmp_path):
    path = tmp_path / "m.py"
    path.write_text("def f():\n    from chainrule.cli import run\n    return run\n")
    assert list(imports(path)) == [("chainrule.cli", 2)]
