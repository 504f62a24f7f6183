"""What a hostile model file or table tries on ``chainrule predict``, and what comes of it.

Each attempt was made by hand first; those that once got through say so.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import special

from trust.bad_options import TABLE, model

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.reliability_checks import PeakMemory
from benchmarks.reliability_files import parts_of, put_together

import chainrule as cr
from chainrule.cli import run
from chainrule.graph.serial import graph_to_dict
from chainrule.graph.types import ArrayType
from chainrule.models.model import load_model
from chainrule.tables import TargetEncoder, parquet

#: a hostile file is refused, or done with, in so many seconds on a busy machine
SECONDS = 30.0


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "t.csv").write_text(TABLE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def predict(folder, capsys, content, *options):
    """Status, stdout and stderr of a prediction by a file of this content; nothing else is written."""
    (folder / "m.chainrule").write_bytes(content)
    before = set(folder.rglob("*"))
    start = time.perf_counter()
    status = run(["predict", "m.chainrule", "t.csv", "-o", "p.csv", *options])
    assert time.perf_counter() - start < SECONDS
    assert set(folder.rglob("*")) - before <= {folder / "p.csv"}
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    if status:
        assert said.err.startswith("chainrule: m.chainrule")
        assert len(said.err.splitlines()) == 1
    else:
        numbers = pl.read_csv(folder / "p.csv").select(pl.selectors.float()).to_numpy()
        assert np.isfinite(numbers).all()
    return status, said.out


def crafted(function, theta=None):
    """The model with the graph of ``function(theta, x)``, which gives one number per row, and the right checksum."""
    description, tensors = parts_of(model())
    if theta is not None:
        tensors["member0.theta"] = theta
    n_columns = len(json.loads(description["inputs"]["encoder"])["encodings"])
    stored = description["graphs"]["32"]
    n_raw = stored["nodes"][stored["outputs"][0]]["shape"][1]
    graph = cr.trace(
        lambda theta, buffers, x: (
            np.broadcast_to(np.reshape(function(theta, np.where(np.isnan(x), 0.0, x)), (-1, 1)), (32, n_raw)) * 0.0
            + 1.0
        ),
        ArrayType.of(tensors["member0.theta"]),
        {},
        ArrayType((32, n_columns), np.dtype(np.float64)),
    )
    record, constants = graph_to_dict(graph)
    description |= {"graphs": {"32": record}, "network": None}
    tensors = {k: v for k, v in tensors.items() if not k.startswith("graph")}
    return put_together(description, tensors | {f"graph32.{k}": v for k, v in enumerate(constants)})


def edited(target, **changes):
    """The model of classes with another description of its target."""
    description, tensors = parts_of(model(target))
    description["target"] = json.dumps(json.loads(description["target"]) | changes)
    return put_together(description, tensors)


# -- time and memory


def nested(op, n):
    def function(theta, x):
        w = x[:, 0]
        for k in range(n):
            w = op(np.tanh(w) + 1.5 + k)
        return w

    return function


@pytest.mark.parametrize(
    "function",
    [
        nested(special.gammaln, 100),  # got through: a RecursionError out of the compiler
        nested(special.digamma, 150),
        nested(np.sin, 900),
        lambda theta, x: sum(special.gammaln(np.tanh(x[:, 0] * (k + 1.5)) + 1.5) for k in range(390)),
        lambda theta, x: sum(np.sum(np.sin(x[:, 0] * k)) for k in range(400)) + x[:, 0],
        lambda theta, x: np.sum(np.exp(np.broadcast_to(x[:, :1], (32, 4_000))), axis=1),
    ],
    ids=["gammaln in gammaln", "digamma in digamma", "sin in sin", "many gammaln", "many sums", "wide rows"],
)
def test_graphs_that_are_long_to_compile(folder, capsys, function, monkeypatch):
    monkeypatch.setenv("CHAINRULE_CACHE_DIR", str(folder.parent / "cache"))
    predict(folder, capsys, crafted(function))


def hoarding(n_parameters, n_values):
    """A model whose graph keeps so many values of 32 rows alive, each as wide as a network of its size might be."""

    def function(theta, x):
        wide = x[:, :1] + theta[: n_parameters // 2].astype(np.float64)
        values = [np.cumsum(wide * (k + 1.0), axis=1) for k in range(n_values)]
        return sum(np.sum(value, axis=1) for value in values[::-1])

    return crafted(function, np.full(n_parameters, 0.5, np.float32))


@pytest.mark.parametrize(("n_values", "status"), [(2, 0), (4, 1), (30, 1)])
def test_graphs_that_keep_all_their_values(folder, capsys, n_values, status):
    """Got through: loading a file of 3 MB took 3 GB, and to predict with it 6 GB."""
    content = hoarding(200_000, n_values)
    (folder / "h.chainrule").write_bytes(content)
    with PeakMemory() as peak:
        if status:
            with pytest.raises(cr.ModelFileError, match="bytes of values at a time"):
                load_model("h.chainrule")
        else:
            load_model("h.chainrule")
    assert peak.bytes < len(content) + 64 * 2**20
    with PeakMemory() as peak:
        assert predict(folder, capsys, content)[0] == status
    assert peak.bytes < 600 * 2**20


def test_names_made_of_nothing(folder, capsys):
    """Got through: a column's name of two megabytes is in the names of all its categories: 400 GB of a file of 7 MB."""
    description, tensors = parts_of(model())
    categories = [f"{k:x}" for k in range(200_000)]
    encoding = {"kind": "categorical", "name": "n" * 2_000_000, "missing": False, "categories": categories}
    description["inputs"]["encoder"] = json.dumps({"encodings": [encoding], "bend": 2.0})
    content = put_together(description, tensors)
    with PeakMemory() as peak:
        assert predict(folder, capsys, content)[0] == 1
    assert peak.bytes < len(content) + 64 * 2**20


@pytest.mark.parametrize(("spread", "status"), [(1e-4, 1), (0.5, 0), (1e10, 1), (1.7e308, 1)])
def test_spreads_that_make_no_sense(folder, capsys, spread, status):
    """Got through: predictions of NaN where the factor of the spread was 10^300."""
    description, tensors = parts_of(model())
    description["calibration"] = {"spread": spread, "levels": [], "weights": []}
    assert predict(folder, capsys, put_together(description, tensors), "--interval", "0.9")[0] == status


@pytest.mark.parametrize("log_rate", [1e280, 1e300])
def test_counts_beyond_all_numbers(folder, capsys, log_rate):
    """Got through: a rate that was infinite."""
    description, _ = parts_of(model())
    graph = cr.trace(
        lambda theta, buffers, x: np.where(np.isnan(x[:, :1]), 0.0, x[:, :1]) * 0.0 + log_rate,
        ArrayType.of(np.zeros(20)),
        {},
        ArrayType((32, len(json.loads(description["inputs"]["encoder"])["encodings"])), np.dtype(np.float64)),
    )
    record, constants = graph_to_dict(graph)
    tensors = {"member0.theta": np.zeros(20)} | {f"graph32.{k}": v for k, v in enumerate(constants)}
    target = json.loads(description["target"]) | {"center": [0.0], "scale": [1.0]}
    description |= {
        "graphs": {"32": record},
        "output": {"name": "poisson"},
        "target": json.dumps(target),
        "network": None,
    }
    assert predict(folder, capsys, put_together(description, tensors))[0] == (log_rate > 1e290)


def test_more_than_the_machine_has_is_refused_before_it_is_taken(folder, capsys, monkeypatch):
    monkeypatch.setattr("chainrule.models.model.machine_memory", lambda: 2**27)
    (folder / "m.chainrule").write_bytes(hoarding(200_000, 2))
    assert run(["predict", "m.chainrule", "t.csv", "-o", "p.csv"]) == 1
    assert "m.chainrule: predicting 32 rows takes" in capsys.readouterr().err


def test_many_rows_of_many_classes_are_refused_before_they_are_predicted(folder, capsys, monkeypatch):
    monkeypatch.setattr("chainrule.memory.machine_memory", lambda: 2**21)
    (folder / "m.chainrule").write_bytes(model("b"))
    (folder / "t.csv").write_text("a,y\n" + "1,2\n" * 20_000)
    assert run(["predict", "m.chainrule", "t.csv", "-o", "p.csv"]) == 1
    assert "t.csv: predicting 20,000 rows takes" in capsys.readouterr().err
    assert not (folder / "p.csv").exists()


def test_a_table_that_is_small_because_it_repeats_itself(folder, capsys, monkeypatch):
    """Got through: nine megabytes of Parquet were fifteen gigabytes of cells."""
    monkeypatch.setattr(parquet, "machine_memory", lambda: 2**29)  # a small machine, so that the table is soon made
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    equal = pa.table({name: pa.array(np.ones(2_000_000)) for name in "ab"})
    with pq.ParquetWriter("t.parquet", equal.schema, compression="zstd", use_dictionary=True) as writer:
        for _ in range(20):
            writer.write_table(equal, row_group_size=2_000_000)
    (folder / "m.chainrule").write_bytes(model())
    with PeakMemory() as peak:
        assert run(["predict", "m.chainrule", "t.parquet"]) == 1
    assert peak.bytes < 64 * 2**20
    assert "GB of cells, more than there is memory for" in capsys.readouterr().err


def test_values_made_of_nothing(folder, capsys):
    """Got through: four kilobytes that told of a mixture of many components took gigabytes for a row."""
    description, tensors = parts_of(crafted(lambda theta, x: x[:, 0] + theta[0]))
    k = 200_000
    n_columns = len(json.loads(description["inputs"]["encoder"])["encodings"])
    graph = cr.trace(
        lambda theta, buffers, x: np.broadcast_to(x[:, :1], (32, 3 * k)),
        ArrayType.of(tensors["member0.theta"]),
        {},
        ArrayType((32, n_columns), np.dtype(np.float64)),
    )
    record, constants = graph_to_dict(graph)
    assert not constants
    description |= {"graphs": {"32": record}, "output": {"name": "gaussian_mixture", "k": k}}
    content = put_together(description, {"member0.theta": tensors["member0.theta"]})
    with PeakMemory() as peak:
        assert predict(folder, capsys, content)[0] == 1
    assert peak.bytes < len(content) + 64 * 2**20


def test_many_members_are_not_exported(folder, capsys):
    """Got through: a file of 300 kB with a thousand long graphs took minutes and 400 MB to export."""
    description, tensors = parts_of(crafted(nested(np.sin, 40)))
    description["n_members"] = 1000
    tensors |= {f"member{k}.theta": tensors["member0.theta"] for k in range(1000)}
    (folder / "m.chainrule").write_bytes(put_together(description, tensors))
    start = time.perf_counter()
    assert run(["export", "m.chainrule", "--c", "m.c", "--python", "m.py"]) == 1
    assert time.perf_counter() - start < SECONDS
    assert "operations, of which 20,000 can be exported" in capsys.readouterr().err
    assert not (folder / "m.c").exists()


@pytest.mark.parametrize("before", ["", "a,b\n1,2\n"], ids=["header", "row"])
def test_lines_of_very_many_cells(folder, capsys, before):
    """Got through: seventy megabytes of one line were more than a gigabyte of cells."""
    (folder / "m.chainrule").write_bytes(model())
    (folder / "t.csv").write_text(before + ",".join(f"{k:x}" for k in range(2_000_000)))
    with PeakMemory() as peak:
        assert run(["predict", "m.chainrule", "t.csv"]) == 1
    assert peak.bytes < 64 * 2**20
    line = "3" if before else "1"
    assert f"t.csv: line {line} has 2,000,000 columns, of which" in capsys.readouterr().err


@pytest.mark.parametrize("kind", [pl.String, pl.Categorical])
def test_texts_that_are_stored_once(folder, capsys, monkeypatch, kind):
    """Texts of half the memory were let in, and copied; those called categories were not counted at all."""
    monkeypatch.setattr(parquet, "machine_memory", lambda: 2**28)
    texts = pl.Series("b", ["x" * 1_000_000] * 100).cast(kind)
    pl.DataFrame({"a": np.ones(100), "b": texts}).write_parquet("t.parquet")
    (folder / "m.chainrule").write_bytes(model())
    assert os.path.getsize("t.parquet") < 10_000
    assert run(["predict", "m.chainrule", "t.parquet"]) == 1
    assert "of cells, more than there is memory for" in capsys.readouterr().err


def test_a_header_that_promises_more_than_there_is(folder, capsys):
    for length in (2**63, 2**40, 2**31, 10**8):
        status, _ = predict(folder, capsys, length.to_bytes(8, "little") + b"{" * 100)
        assert status == 1


# -- code


class _Shell:
    def __reduce__(self):
        return os.system, ("touch was_here",)


def _zipped(blob):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("data.pkl", blob)
        archive.writestr("../../was_here", b"")
    return file.getvalue()


@pytest.mark.parametrize("protocol", range(6))
def test_pickles_and_archives_are_not_opened(folder, capsys, protocol):
    blob = pickle.dumps(_Shell(), protocol)
    for content in (blob, _zipped(blob), b"\0" * 8 + blob, len(blob).to_bytes(8, "little") + blob):
        assert predict(folder, capsys, content)[0] == 1
    assert not (folder / "was_here").exists()


@pytest.mark.parametrize(
    "name",
    ["os.system", "__import__('os').system('touch was_here')", "../../relu", "numpy.load", "builtins.eval", "eval"],
)
@pytest.mark.parametrize("place", ["output", "layer", "unit", "primitive", "param"])
def test_names_reach_nothing_but_the_closed_lists(folder, capsys, name, place):
    description, tensors = parts_of(model())
    if place == "output":
        description["output"]["name"] = name
    elif place == "primitive":
        description["graphs"]["32"]["nodes"][-1]["op"] = name
    elif place == "param":
        description["graphs"]["32"]["nodes"][-1].setdefault("params", {})["dtype"] = name
    else:
        layer = description["network"]["layers"][0]
        layer["name" if place == "layer" else "unit"] = name
    assert predict(folder, capsys, put_together(description, tensors))[0] == 1
    assert not (folder / "was_here").exists()


# -- places, screens and spreadsheets


EVIL = "\x1b]0;title\x07\x1b[2J\r\n../../etc/passwd"


def test_names_of_classes_are_text_and_nothing_else(folder, capsys):
    """Got through: control characters reached the terminal where columns are named."""
    status, out = predict(folder, capsys, edited("b", classes=[[EVIL, "=1+1", "a", "b", "c"]]))
    assert status == 0
    assert out.count("\n") == 1
    assert out.strip().isprintable()
    assert f"p_{EVIL}" in pl.read_csv("p.csv").columns[1]
    assert run(["summary", "m.chainrule"]) == 0
    assert capsys.readouterr().out.replace("\n", "").isprintable()


@pytest.mark.parametrize("place", ["field", "input", "encoder", "output", "layer", "primitive"])
def test_refusals_repeat_no_control_characters(folder, capsys, place):
    """Got through: names of fields and primitives reached the terminal as they were."""
    description, tensors = parts_of(model())
    match place:
        case "field":
            description[EVIL] = 1
        case "input":
            description["inputs"][EVIL] = 1
        case "encoder":
            description["inputs"]["encoder"] = json.dumps({EVIL: 1})
        case "output":
            description["output"][EVIL] = 1
        case "layer":
            description["network"]["layers"][0][EVIL] = 1
        case "primitive":
            description["graphs"]["32"]["nodes"][-1]["primitive"] = EVIL
    (folder / "m.chainrule").write_bytes(put_together(description, tensors))
    with pytest.raises(cr.ModelFileError) as refusal:
        load_model("m.chainrule")
    assert str(refusal.value).isprintable()
    assert run(["predict", "m.chainrule", "t.csv"]) == 1
    assert capsys.readouterr().err.removesuffix("\n").isprintable()


def test_names_of_targets_are_text_and_nothing_else(folder, capsys):
    predict(folder, capsys, edited("b", names=["../../../x\x1b[2J"]))
    assert run(["summary", "m.chainrule"]) == 0
    assert capsys.readouterr().out.replace("\n", "").isprintable()


def test_targets_of_the_same_name_are_refused(folder, capsys):
    """Got through: one of two predictions was left out in silence, and ``chainrule score`` ended in a traceback."""
    two = {"names": ["y", "y"], "classes": [[], []], "center": [0.0, 0.0], "scale": [1.0, 1.0]}
    assert predict(folder, capsys, edited("y", **two))[0] == 1
    description, _ = parts_of((folder / "m.chainrule").read_bytes())
    with pytest.raises(cr.ModelFileError, match="not distinct"):
        TargetEncoder.from_json(description["target"])


def test_classes_of_several_kinds_are_refused(folder, capsys):
    """Got through: a TypeError when the classes were put into a column."""
    assert predict(folder, capsys, edited("b", classes=[["a", 1, 2.5, True, "b"]]))[0] == 1


@pytest.mark.parametrize("facts", [{"command": "rm -rf /; $(touch was_here)"}, {"data": "/etc/passwd"}])
def test_facts_are_not_acted_on(folder, capsys, facts):
    description, tensors = parts_of(model())
    description["facts"] |= facts
    predict(folder, capsys, put_together(description, tensors))
    assert not (folder / "was_here").exists()


@pytest.mark.parametrize(
    "cell", ["$(touch was_here)", "`touch was_here`", "=cmd|'/c calc'!A1", "__import__('os')", "{{7*7}}", "%n%s"]
)
def test_cells_are_not_evaluated(folder, capsys, cell):
    (folder / "t.csv").write_text(f'a,b\n1,"{cell}"\n')
    assert predict(folder, capsys, model())[0] == 0
    assert not (folder / "was_here").exists()
    assert cell not in (folder / "p.csv").read_text()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_characters_that_the_screen_has_not(folder, encoding):
    """Got through: a UnicodeEncodeError with its traceback."""
    (folder / "m.chainrule").write_bytes(edited("b", classes=[["\N{SNOWMAN}", "b", "c", "d", "e"]]))
    command = [sys.executable, "-m", "chainrule", "predict", "m.chainrule", "t.csv", "-o", "p.csv"]
    surroundings = os.environ | {"PYTHONIOENCODING": encoding, "PYTHONPATH": str(Path(cr.__file__).parents[1])}
    done = subprocess.run(command, env=surroundings, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "p_\\u2603" in done.stdout


def test_a_file_name_cannot_write_to_the_terminal(tmp_path, monkeypatch, capsys):
    """Got through: names of files, such as a shell finds for ``*.csv``, were printed as they are."""
    monkeypatch.chdir(tmp_path)
    name = "a\x1b]0;owned\x07\nb.csv"
    (tmp_path / name).write_text("x,y\n" + "".join(f"{k},{2 * k}\n" for k in range(40)))
    fit = ["fit", name, "--target", "y", "--model", "m.chainrule", "--hidden", "2", "--epochs", "2", "--members", "1"]
    calls = [fit, ["score", "m.chainrule", name], ["check", "m.chainrule", name], ["predict", "m.chainrule", name]]
    for call in [*calls, [*calls[-1], "-o", f"p{name}"], ["predict", "m.chainrule", f"no{name}"]]:
        run(call)
        printed = "".join(capsys.readouterr())
        assert "\x1b" not in printed
        assert "\x07" not in printed
    run([*calls[-1], "-o", f"p{name}"])
    assert r"pa\x1b]0;owned\x07\nb.csv: 40 predictions" in capsys.readouterr().out


def test_an_export_of_large_values_is_refused(tmp_path, monkeypatch, capsys):
    """Got through: values that depend on parameters alone are computed by `export`, here 4 GB for a file of 0.8 MB."""
    monkeypatch.chdir(tmp_path)

    def chain(theta, x):
        value = np.cumsum(np.broadcast_to(theta, (16, len(theta))), axis=0)
        for _ in range(80):
            value = value * 0.5
        return x[:, 0] + np.sum(value)

    Path("m.chainrule").write_bytes(crafted(chain, theta=np.full(200_000, 0.5, np.float32)))
    assert run(["export", "m.chainrule", "--c", "m.c"]) != 0
    assert "more than can be exported" in capsys.readouterr().err
    assert not Path("m.c").exists()


def test_names_of_columns_categories_and_nodes_cannot_write_to_the_terminal(tmp_path, monkeypatch, capsys):
    """Got through: targets printed by `score`, nodes by `check`, the table's name before categories not seen before."""
    monkeypatch.chdir(tmp_path)
    evil = "\x1b]0;owned\x07\x1b[2J"
    header = f'a{evil},c,y,"z{evil}"\n'
    lines = [f"{k % 7},{'pq'[k % 2]}{evil},{k},{60 - k * k}\n" for k in range(60)]
    Path(f"t{evil}.csv").write_text(header + "".join(lines))
    Path(f"u{evil}.csv").write_text(header + "".join([*lines[:5], f"1,new{evil},2,3\n"]))
    fit = ["fit", f"t{evil}.csv", "--target", "y", "--target", f"z{evil}", "--hidden", "2", "--epochs", "2"]
    calls = [[*fit, "--members", "1", "--model", "m.chainrule"], ["summary", "m.chainrule"]]
    calls += [[name, "m.chainrule", f"{t}{evil}.csv"] for name in ("score", "check") for t in "tu"]
    calls += [["predict", "m.chainrule", f"u{evil}.csv", "-o", "p.csv"], ["export", "m.chainrule", "--python", "p.py"]]
    calls += [["explain", "m.chainrule", f"u{evil}.csv", "--row", "6", "-o", f"e{evil}.html"]]
    for call in calls:
        run(call)
        printed = "".join(capsys.readouterr())
        assert "owned" in printed or call[0] in ("export", "predict")
        assert not {"\x1b", "\x07"} & {*printed}
    description, tensors = parts_of(crafted(lambda theta, x: x[:, 0] + np.tanh(theta[0])))
    for node in description["graphs"]["32"]["nodes"]:
        node["name"] = evil
    Path("n.chainrule").write_bytes(put_together(description, tensors))
    Path("n.csv").write_text(TABLE)
    run(["check", "n.chainrule", "n.csv"])
    printed = "".join(capsys.readouterr())
    assert "owned" in printed
    assert not {"\x1b", "\x07"} & {*printed}


@pytest.mark.skipif(os.name != "posix", reason="a POSIX shell closes the streams")
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_streams_are_no_traceback(closed):
    """Got through: a traceback where the output was closed."""
    for arguments, status in (("--version", 0), ("summary nothing.chainrule", 1)):
        command = f"{sys.executable} -m chainrule {arguments} {closed}"
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
        assert done.returncode == status
        assert "Traceback" not in done.stderr
