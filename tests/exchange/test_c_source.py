"""C source of a model: compiled with every warning an error, run row by row, compared to the last digits."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import threading

import numpy as np
import pytest
from exported_models import CASES, difference, expected, matrix, model_of, rows_of
from exported_programs import BY_ROWS, X, program_of, traced

import chainrule as cr
from chainrule.errors import OptionError
from chainrule.exchange.c_functions import EXPRESSIONS
from chainrule.exchange.c_source import _LOOPS, _VIEWS, c_source
from chainrule.graph.primitive import PRIMITIVES
from chainrule.graph.trace import apply
from chainrule.models.export import predictor_of, to_c

COMPILER = shutil.which("cc")
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="there is no C compiler called cc")
FLAGS = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
POINTER = ctypes.POINTER(ctypes.c_double)


@pytest.fixture
def compiled(tmp_path):
    """A function from sources to their ``predict`` functions, all compiled at once."""

    def compile_all(sources, optimisation="-O1"):
        files = []
        for number, source in enumerate(sources.values()):
            files.append(tmp_path / f"m{number}.c")
            files[-1].write_text(source.replace("void predict(", f"void predict{number}("))
        library = tmp_path / "models.so"
        command = [COMPILER, *FLAGS, optimisation, "-shared", "-fPIC", "-o", library, *files, "-lm"]
        run = subprocess.run(command, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        loaded = ctypes.CDLL(str(library))
        return {name: loaded[f"predict{number}"] for number, name in enumerate(sources)}

    return compile_all


def run_rows(function, predictor, rows):
    """Outputs by name for all rows."""
    sizes = [int(np.prod(shape)) for shape in predictor.shapes]
    out = np.full((len(rows), sum(sizes) + 1), np.pi)
    for row, result in zip(np.ascontiguousarray(rows), out, strict=True):
        function(row.ctypes.data_as(POINTER), result.ctypes.data_as(POINTER))
    assert (out[:, -1] == np.pi).all(), "wrote beyond its outputs"
    parts = np.split(out[:, :-1], np.cumsum(sizes)[:-1], axis=1)
    shaped = zip(predictor.outputs, parts, predictor.shapes, strict=True)
    return {name: part.reshape(len(rows), *shape) for name, part, shape in shaped}


@needs_compiler
def test_models_predict_what_they_did(compiled):
    functions = compiled({name: to_c(model) for name, model in CASES.items()})
    for name, model in CASES.items():
        rows = rows_of(model)
        given = run_rows(functions[name], predictor_of(model), model.inputs.arrays(rows)[0])
        assert difference(given, expected(model, rows)) < 1e-12, name


@needs_compiler
def test_optimised_and_in_float32(compiled):
    model = model_of(cr.GaussianMixture(2), (7, cr.Dense(4, "tanh")), n_members=2, dtype="float32")
    functions = compiled({"wide": to_c(CASES["unit gelu"]), "narrow": to_c(model)}, "-O2")
    for name, each, tolerance in (("wide", CASES["unit gelu"], 1e-12), ("narrow", model, 1e-5)):
        given = run_rows(functions[name], predictor_of(each), matrix())
        assert difference(given, expected(each, matrix())) < tolerance


@needs_compiler
def test_moves_of_data_and_element_wise_functions(compiled):
    programs = {name: (function, X) for name, function in BY_ROWS.items()}
    programs |= {f"element-wise {name}": program_of(name) for name in [*EXPRESSIONS, "cast"]}
    made = {name: (*traced(*program), program[1]) for name, program in programs.items()}
    functions = compiled({name: c_source(predictor) for name, (predictor, _, _) in made.items()})
    for name, (predictor, wanted, x) in made.items():
        given = run_rows(functions[name], predictor, x)
        rtol = 1e-6 if name == "narrow" else 1e-13  # C takes functions of float32 in double
        for key, value in wanted.items():
            np.testing.assert_allclose(given[key], value, rtol=rtol, atol=1e-14, err_msg=name)


def test_every_rule_is_tested():
    moved = {node.primitive.name for function in BY_ROWS.values() for node in traced(function, X)[0].rows.graph.nodes}
    assert set(_LOOPS) | set(_VIEWS) - {"identity", "stop_gradient"} <= moved


def test_the_header_says_what_goes_in_and_what_comes_out():
    header, _, _ = to_c(CASES["table of classes"]).partition("*/")
    assert "2  kind: category; 0 = " in header
    assert "out[0] ... out[2]  probabilities" in header
    assert 'in the order of the probabilities: ["a", "b", "c"]' in header


@needs_compiler
def test_no_name_gets_out_of_its_comment(compiled):
    import polars as pl

    from chainrule.models.inputs import Inputs
    from chainrule.tables import fit_encoder, infer_schema

    frame = pl.DataFrame({"*/ int x; /*": ["a\n", "*/ b", "??/", "é\\"] * 5, "\\": range(20)})
    model = model_of(cr.Gaussian(), inputs=Inputs(fit_encoder(infer_schema(frame), frame), named=True))
    source = to_c(model)
    assert source.isascii()
    given = run_rows(compiled({"m": source})["m"], predictor_of(model), model.inputs.arrays(frame)[0])
    assert difference(given, expected(model, frame)) < 1e-12


@needs_compiler
def test_wide_models_need_no_stack(compiled):
    """Got through: a hidden layer of twenty thousand units overflowed the stack of a thread."""
    model = model_of(cr.Gaussian(), (20_000,))
    source = to_c(model)
    assert "OWN_MEMORY double v" in source
    assert "OWN_MEMORY" not in to_c(model_of(cr.Gaussian(), (200,)))
    function, found = compiled({"wide": source})["wide"], {}
    before = threading.stack_size(256 << 10)
    try:
        rows = matrix()
        work = threading.Thread(target=lambda: found.update(run_rows(function, predictor_of(model), rows)))
        work.start()
        work.join()
    finally:
        threading.stack_size(before)
    assert difference(found, expected(model, rows)) < 1e-12


def test_what_c_lacks_is_refused_by_name():
    from scipy.special import i0e

    with pytest.raises(OptionError, match=r"cannot export .* C: node \d+ \(i0e.*\): has no translation into C"):
        to_c(model_of(cr.Gaussian(), (cr.Dense(3, lambda z: i0e(z)),)))


@needs_compiler
def test_places_outside_an_array_are_not_read(compiled):
    """Got through: a column's number was an index, and the source read whatever memory lay there."""
    table = np.array([3.0, 4.0, 5.0])

    def look_up(x):
        return apply(PRIMITIVES["gather"], table, x[:, 0].astype(np.int64), axes=(0,))

    predictor, wanted = traced(look_up, np.tile([[0.0], [2.0], [-1.0], [-3.0]], (8, 1)))
    function = compiled({"m": c_source(predictor)})["m"]
    rows = np.array([[0.0], [2.0], [-1.0], [-3.0], [3.0], [1e9], [-4.0], [-1e9], [1e300], [np.nan]])
    given = run_rows(function, predictor, rows)["value"].ravel()
    assert given[:4].tolist() == wanted["value"][:4].tolist()
    assert given[4:8].tolist() == [5.0, 5.0, 3.0, 3.0]
    assert set(given[8:]) <= set(table)
