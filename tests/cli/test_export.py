"""``chainrule export``: the same scores from every file, nothing half-written, refusals in one line."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import stats

import chainrule
from chainrule.cli import run
from chainrule.models.export import predictor_of
from chainrule.models.model import load_model
from chainrule.models.scores import scores
from chainrule.outputs import CategoricalDistribution, NormalMixture
from chainrule.tables import Categorical, complete_rows, read_table

PENGUINS = Path(chainrule.__file__).parent / "data" / "penguins.csv"


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A model of numbers and one of classes, of the shipped table: text, missing cells, ensembles."""
    folder = tmp_path_factory.mktemp("export")
    made = {}
    for target in ("body_mass_g", "species"):
        made[target] = folder / f"{target}.chainrule"
        options = ["--target", target, "--drop-missing-target", "--epochs", "3", "--model", str(made[target])]
        assert run(["fit", str(PENGUINS), *options]) == 0
    return made


def by_python(path, predictor, frame, raw):
    """In a process of its own, without chainrule."""
    columns = {e.name: frame[e.name].to_list() for e in predictor.encodings}
    code = (
        f"import sys; sys.path.insert(0, {str(path.parent)!r}); import {path.stem} as model, numpy as np\n"
        f"out = model.predict({columns!r})\n"
        f"assert 'chainrule' not in sys.modules\n"
        f"np.savez({str(path.with_suffix('.npz'))!r}, **out)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with np.load(path.with_suffix(".npz")) as file:
        return dict(file)


def by_onnx(path, predictor, frame, raw):
    """As columns of text and numbers."""
    from onnx.reference import ReferenceEvaluator

    columns = {}
    for k, e in enumerate(predictor.encodings):
        text = isinstance(e, Categorical)
        columns[e.name] = np.array([[v or ""] for v in frame[e.name]], object) if text else raw[:, k : k + 1]
    evaluator = ReferenceEvaluator(str(path))
    reference = dict(zip(evaluator.output_names, evaluator.run(None, columns), strict=True))
    ort = pytest.importorskip("onnxruntime", reason='needs onnxruntime: pip install "chainrule[onnx]"')
    made = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for name, value in zip([o.name for o in made.get_outputs()], made.run(None, columns), strict=True):
        np.testing.assert_allclose(value, reference[name], rtol=1e-5)
    return reference


def by_c(path, predictor, frame, raw):
    """Row by row."""
    library = path.with_suffix(".so")
    subprocess.run(
        ["cc", "-std=c99", "-Wall", "-Werror", "-O2", "-shared", "-fPIC", "-o", library, path, "-lm"], check=True
    )
    function, pointer = ctypes.CDLL(str(library)).predict, ctypes.POINTER(ctypes.c_double)
    sizes = [int(np.prod(shape)) for shape in predictor.shapes]
    out = np.empty((len(raw), sum(sizes)))
    for row, result in zip(raw, out, strict=True):
        function(row.ctypes.data_as(pointer), result.ctypes.data_as(pointer))
    parts = np.split(out, np.cumsum(sizes)[:-1], axis=1)
    shaped = zip(predictor.outputs, parts, predictor.shapes, strict=True)
    return {name: part.reshape(len(raw), *shape) for name, part, shape in shaped}


def distribution_of(parameters):
    """The distribution that exported parameters describe."""
    if "probabilities" in parameters:
        return CategoricalDistribution(np.log(parameters["probabilities"]))
    return NormalMixture(np.log(parameters["weights"]), parameters["means"], parameters["sigmas"])


@pytest.mark.parametrize("target", ["body_mass_g", "species"])
def test_every_file_scores_what_the_model_scores(target, models, tmp_path, capsys):
    pytest.importorskip("onnx", reason='needs onnx: pip install "chainrule[onnx]"')
    files = {"onnx": tmp_path / "m.onnx", "python": tmp_path / "exported_model.py", "c": tmp_path / "m.c"}
    options = [part for name, path in files.items() for part in (f"--{name}", str(path))]
    assert run(["export", str(models[target]), *options]) == 0
    assert "m.onnx: " in capsys.readouterr().out
    model = load_model(models[target])
    predictor = predictor_of(model)
    frame = complete_rows(read_table(PENGUINS), model.target.names, drop=True)
    y, raw = model.target.to_array(frame), model.inputs.encoder.to_matrix(frame)
    wanted = scores(model.predict(frame), y, model.target.task)
    runs = {"onnx": by_onnx, "python": by_python, "c": by_c}
    if shutil.which("cc") is None:
        del runs["c"]
    for name, runner in runs.items():
        given = scores(distribution_of(runner(files[name], predictor, frame, raw)), y, model.target.task)
        assert given == pytest.approx(wanted, rel=1e-5), name
        assert given.keys() == wanted.keys()


def test_tables_with_text_and_numbers_are_taken_by_the_python_file_as_they_are(models, tmp_path):
    assert run(["export", str(models["species"]), "--python", str(tmp_path / "m.py")]) == 0
    names: dict = {}
    exec((tmp_path / "m.py").read_text(), names)
    model = load_model(models["species"])
    frame = read_table(PENGUINS)
    wanted = model.predict(frame).mean()
    for table in (frame, frame.to_pandas(), frame.to_dict(as_series=False)):
        np.testing.assert_allclose(names["predict"](table)["probabilities"], wanted, rtol=1e-4)
    unseen = frame.with_columns(pl.lit("Atlantis").alias("island"))
    np.testing.assert_allclose(names["predict"](unseen)["probabilities"], model.predict(unseen).mean(), rtol=1e-4)


def test_conformal_intervals_are_central_ones_of_the_noted_probability(tmp_path, capsys):
    options = ["--target", "body_mass_g", "--drop-missing-target", "--epochs", "3", "--members", "1"]
    path = tmp_path / "m.chainrule"
    assert run(["fit", str(PENGUINS), *options, "--calibrate", "conformal", "--model", str(path)]) == 0
    files = [f"--{name}={tmp_path / name}" for name in ("python", "c")]
    assert run(["export", str(path), *files]) == 0
    assert "the notes in each file say which" in capsys.readouterr().out
    model, frame = load_model(path), read_table(PENGUINS)
    names: dict = {}
    exec((tmp_path / "python").read_text(), names)
    given = names["predict"](frame)
    for coverage in (0.5, 0.8, 0.9):
        said = re.search(rf"covers {coverage:.0%} is the central one of ([\d.]+)%", (tmp_path / "c").read_text())
        own = stats.norm(given["loc"], given["scale"]).interval(float(said[1]) / 100)
        np.testing.assert_allclose(
            np.stack(own, axis=-1), model.interval(model.predict(frame), coverage), rtol=1e-5, atol=1e-3
        )


def refused(arguments, capsys):
    capsys.readouterr()
    assert run(["export", *map(str, arguments)]) == 1
    captured = capsys.readouterr()
    assert not captured.out
    assert captured.err.count("\n") == 1
    return captured.err


def test_refusals(models, tmp_path, capsys):
    model = models["species"]
    before = model.read_bytes()
    assert "say what to write: --onnx" in refused([model], capsys)
    assert "would be written over the input" in refused([model, "--c", model], capsys)
    assert "would both write" in refused([model, "--c", tmp_path / "m", "--python", tmp_path / "m"], capsys)
    assert "there is no such file" in refused([tmp_path / "none.chainrule", "--c", tmp_path / "m.c"], capsys)
    assert "is a pickle" in refused([pickled(tmp_path), "--c", tmp_path / "m.c"], capsys)
    assert "no folder" in refused([model, "--c", tmp_path / "gone" / "m.c"], capsys)
    assert "directory" in refused([model, "--c", tmp_path], capsys)
    assert model.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["p.chainrule"]


def pickled(folder):
    path = folder / "p.chainrule"
    path.write_bytes(b"\x80\x04N.")
    return path


def test_without_onnx_nothing_is_written(models, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    line = refused([models["species"], "--c", tmp_path / "m.c", "--onnx", tmp_path / "m.onnx"], capsys)
    assert 'pip install "chainrule[onnx]"' in line
    assert not list(tmp_path.iterdir())
