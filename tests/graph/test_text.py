"""The text of graphs: golden files, and what they must show."""

from __future__ import annotations

import doctest
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule.graph import text
from chainrule.graph.trace import label
from golden import FOLDER, graphs

GRAPHS = graphs()


@pytest.mark.parametrize("name", GRAPHS)
def test_golden(name: str) -> None:
    kept = (FOLDER / f"{name}.txt").read_text(encoding="utf-8")
    assert f"{GRAPHS[name]}\n" == kept, "if this is meant: python tests/graph/golden.py --refresh, and read the diff"


def test_every_golden_file_has_a_graph() -> None:
    assert {path.stem for path in FOLDER.glob("*.txt")} == set(GRAPHS)


def test_golden_files_are_written_on_request_only() -> None:
    script = Path(__file__).with_name("golden.py")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "--refresh" in done.stderr


def test_docstring() -> None:
    assert doctest.testmod(text).failed == 0


def test_results_show_their_nesting() -> None:
    last = lambda f: str(cr.trace(f, 1.0)).splitlines()[-1]  # noqa: E731
    assert last(lambda x: x) == "  return x"
    assert last(lambda x: (x, 2.0)) == "  return x, 2.0"
    assert last(lambda x: {"a": x, "b": [x, {"c": x}]}) == "  return a=x, b[0]=x, b[1].c=x"
    assert last(lambda x: [x, (x, x)]) == "  return [0]=x, [1][0]=x, [1][1]=x"
    assert last(lambda x: None) == "  return None"


def test_constants() -> None:
    f = lambda x: label(x * np.float32(0.1), "tenth") + np.arange(10) * True + np.ones((2, 1))  # noqa: E731
    assert str(cr.trace(f, np.float32(1.0))).splitlines()[1:6] == [
        "  tenth = multiply(x, 0.1)                      # float32[]",
        "  v3 = cast(tenth, dtype=float64)               # float64[]",
        "  v4 = constant([0., 1., 2., ..., 7., 8., 9.])  # float64[10]",
        "  v5 = add(v3, v4)                              # float64[10]",
        "  v6 = constant([[1.], [1.]])                   # float64[2,1]",
    ]


def test_long_lines_do_not_push_all_types_away() -> None:
    graph = cr.trace(lambda x: np.exp(x[(slice(0, 1),) * 9]), np.ones((2,) * 9))
    lines = str(graph).splitlines()
    assert len(lines[1]) > 100
    assert lines[2].index("#") < 100
