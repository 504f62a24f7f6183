"""Model files of any origin: those of earlier versions predict what they did, hostile ones are refused in one line."""

import hashlib
import json
import re
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import load, save

import chainrule as cr
from chainrule.exchange.modelfile import refuse_repeated_names
from chainrule.graph.serial import graph_to_dict
from chainrule.graph.types import ArrayType
from chainrule.models.model import load_model

STORED = Path(__file__).parents[1] / "data" / "models"
RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3))
Y = X[:, 0] + 0.1 * RNG.normal(size=40)


def parts_of(path):
    """Description and tensors of a file, for editing."""
    blob = Path(path).read_bytes()
    (length,) = struct.unpack("<Q", blob[:8])
    envelope = json.loads(json.loads(blob[8 : 8 + length])["__metadata__"]["chainrule"])
    return json.loads(envelope["model"]), load(blob)


def put_together(path, description, tensors):
    """Write a file with the right checksum, whatever it says; the description may be JSON text already."""
    text = description if isinstance(description, str) else json.dumps(description)
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        array = tensors[name]
        digest.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode() + array.tobytes())
    envelope = {"format": "chainrule model", "version": 1, "sha256": digest.hexdigest(), "model": text}
    Path(path).write_bytes(save(tensors, {"chainrule": json.dumps(envelope)}))
    return path


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "m.chainrule"
    network = cr.Network([cr.Dense(4, "tanh"), cr.BatchNorm()], output=cr.Gaussian())
    options = {"max_iter": 2, "n_members": 1, "random_state": 0, "early_stopping": False}
    cr.FeedForwardRegressor(network=network, **options).fit(X, Y).save(path)
    return path


@pytest.fixture
def refused(original, tmp_path):
    """A function that edits a copy of the file and returns the line by which it is refused."""

    def refuse(edit):
        description, tensors = parts_of(original)
        edit(description, tensors)
        path = put_together(tmp_path / "edited.chainrule", description, tensors)
        with pytest.raises(cr.ModelFileError) as caught:
            load_model(path)
        line = str(caught.value)
        assert line.count(str(path)) == 1
        assert line.startswith(str(path))
        assert "\n" not in line
        assert len(line) < len(str(path)) + 500
        return line

    return refuse


@pytest.mark.parametrize(
    ("name", "means", "variances"),
    [
        (
            "trees-1",
            [58.955803145722, 58.023941582685, 63.190456643615, 62.58420919384, 64.485999060788, 63.869521926324],
            [131.053502135542, 133.974159813616, 131.92807639845, 125.473774164197, 135.345692200629, 131.57669617075],
        )
    ],
)
def test_files_of_every_version_predict_what_they_did(name, means, variances):
    """Numbers as the chainrule that wrote the file predicted them; it stored graphs of three sizes, in float64."""
    model = load_model(STORED / f"{name}.chainrule")
    found = model.predict(pl.read_csv(STORED / "trees.csv"))
    np.testing.assert_allclose(found.mean(), means, rtol=1e-5)
    np.testing.assert_allclose(found.var(), variances, rtol=1e-5)


def test_a_file_of_a_later_version_says_what_to_do(original, tmp_path):
    blob = original.read_bytes().replace(b'\\"version\\": 1', b'\\"version\\": 2')
    (path := tmp_path / "later.chainrule").write_bytes(blob)
    with pytest.raises(cr.ModelFileError, match=r"later.chainrule: has format version 2, .* install a newer chainrule"):
        load_model(path)


def test_put_together_is_right(original, tmp_path):
    path = put_together(tmp_path / "same.chainrule", *parts_of(original))
    np.testing.assert_array_equal(load_model(path).predict(X).mean(), load_model(original).predict(X).mean())


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["member0.theta", "member0.buffer.layer2.mean"])
def test_numbers_that_are_not_finite(refused, name, value):
    def edit(_, tensors):
        tensors[name] = np.where(np.arange(len(tensors[name])) == 1, value, tensors[name]).astype(tensors[name].dtype)

    assert f"{name} holds 1 numbers that are not finite" in refused(edit)


def test_nan_among_constants(refused):
    def edit(_, tensors):
        name = next(k for k, v in tensors.items() if k.startswith("graph32.") and v.dtype.kind == "f" and v.size)
        tensors[name] = np.full_like(tensors[name], np.nan)

    assert "of the graph holds NaN" in refused(edit)


def test_parameters_so_large_that_predictions_are_not_finite(refused):
    def edit(_, tensors):
        tensors["member0.theta"] = np.full_like(tensors["member0.theta"], 3e38)

    assert "the network gives " in refused(edit)


def test_a_model_that_cannot_be_read_is_not_written(original, tmp_path):
    model = load_model(original)
    model.members[0].theta[:] = np.nan
    with pytest.raises(cr.OptionError, match=r"cannot write .*m.chainrule: member0.theta holds"):
        model.save(tmp_path / "m.chainrule")
    assert not list(tmp_path.iterdir())


def test_predictions_that_are_not_finite_name_the_file_and_the_row(original):
    model = load_model(original)
    model.members[0].theta[:] = 3e38
    with pytest.raises(cr.ModelFileError, match=r"m.chainrule: the model cannot predict: the network gives .* row 0"):
        model.predict(X)


WRONG = [None, True, 3, -1, 1.5, "", "x", [], [1], {}, {"a": 1}]
FIELDS = ["inputs", "target", "output", "network", "n_members", "buffers", "graphs", "facts"]


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("value", WRONG, ids=repr)
def test_fields_of_another_type(refused, field, value):
    if (field, type(value)) in (("facts", dict), ("network", type(None))):
        return  # that is what they may be
    refused(lambda description, _: description.update({field: value}))


@pytest.mark.parametrize(
    ("fact", "value"),
    [("best_loss", "FeedForwardRegressor"), ("epochs", 1.5), ("training_loss", 3), ("reason", None), ("converged", 1)],
)
def test_facts_of_another_type(refused, fact, value):
    assert "the description is not as it must be" in refused(lambda d, _: d["facts"].update({fact: value}))


@pytest.mark.parametrize("field", [*FIELDS, "more"])
def test_fields_too_few_and_too_many(refused, field):
    def edit(description, _):
        description.pop(field, None) if field in FIELDS else description.update({field: 1})

    assert "the description is not as it must be" in refused(edit)


@pytest.mark.parametrize("value", WRONG, ids=repr)
@pytest.mark.parametrize("field", ["encoder", "named"])
def test_inputs_of_another_type(refused, field, value):
    if field == "named" and value is True:
        return
    refused(lambda description, _: description["inputs"].update({field: value}))


def put_layers(layers):
    return lambda description, _: description["network"].update({"layers": layers})


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([{"kind": "dense", "n_units": 10**12, "unit": "relu"}], "parameters, the file holds"),
        ([{"kind": "dense", "n_units": 10**400, "unit": "relu"}], "does not fit together"),
        ([{"kind": "maxout", "n_units": 10**9, "n_pieces": 10**9}], "parameters, the file holds"),
        ([{"kind": "dropout", "rate": 0.5}] * 100_000, "the header has "),
        ([{"kind": "dense", "n_units": 1, "unit": "relu"}] * 900, "parameters, the file holds"),
        ([{"kind": "dense", "n_units": 1, "unit": "relu"}] * 4_000, "at most 1000 layers"),
        ([{"kind": "batch_norm", "momentum": 0.1, "epsilon": 1e-5}] * 900, "parameters, the file holds"),
        ([{"kind": "dense", "n_units": "4", "unit": "relu"}], "whole number"),
        ([{"kind": "dense", "n_units": 4, "unit": 3}], "does not fit together"),
        ([{"kind": "dense"}], "does not fit together"),
        ([{"kind": ["dense"]}], "does not fit together"),
        ([], "parameters, the file holds"),
    ],
)
def test_networks_of_other_sizes(refused, layers, message):
    assert message in refused(put_layers(layers))


def crafted(function):
    """Replace the graph by that of ``function(theta, x)``; without a network, for which most is allowed."""

    def edit(description, tensors):
        for name in [k for k in tensors if k.startswith("graph32.")]:
            del tensors[name]
        buffers = {k.removeprefix("member0.buffer."): ArrayType.of(v) for k, v in tensors.items() if "buffer" in k}
        graph = cr.trace(
            lambda theta, buffers, x: function(theta, x),
            ArrayType.of(tensors["member0.theta"]),
            buffers,
            ArrayType((32, 3), np.dtype(np.float64)),
        )
        description["graphs"]["32"], constants = graph_to_dict(graph)
        tensors.update({f"graph32.{k}": v for k, v in enumerate(constants)})
        description["network"] = None

    return edit


def many_steps(theta, x):
    for _ in range(6_000):
        x = np.exp(x)
    return x[:, :2]


def many_sums(theta, x):
    wide = np.broadcast_to(theta, (500, len(theta)))
    return x[:, :2] + sum(np.sum(wide * k) for k in range(200))


def many_products(theta, x):
    square = np.outer(theta, theta)
    for _ in range(60):
        square = square @ square
    return x[:, :2] + np.sum(square)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda theta, x: np.exp(np.broadcast_to(x[0, 0], (2**27,)))[:64].reshape(32, 2), "elements; "),
        (lambda theta, x: np.sum(np.broadcast_to(x[:, :1], (32, 2**22)), axis=1)[:, None] + x[:, :2], "elements; "),
        (many_steps, "nodes; 5000 are allowed"),
        (many_sums, "are allowed"),
        (many_products, "operations; "),
        (lambda theta, x: np.linalg.inv(np.pad(x, ((0, 68), (0, 97))))[:32, :2], "operations; "),
        (lambda theta, x: x, "does not give what the output needs"),
        (lambda theta, x: x[:, :2] > 0, "does not give what the output needs"),
        (lambda theta, x: x[:, :2] * np.nan, "the network gives nan for row 0"),
        (lambda theta, x: x[np.isnan(x).astype(int) * 99, 0][:, :2], "out of bounds"),
        (lambda theta, x: np.linalg.inv(np.zeros((2, 2)) * np.isnan(x[0, 0]))[[0] * 32], "cannot invert|ingular"),
    ],
)
def test_hostile_graphs(refused, function, message):
    assert re.search(message, refused(crafted(function)))


def test_a_graph_of_ones_own_is_read(original, tmp_path):
    description, tensors = parts_of(original)
    crafted(lambda theta, x: np.tanh(np.where(np.isnan(x), 0.0, x)[:, :2] + theta[:2]))(description, tensors)
    model = load_model(put_together(tmp_path / "own.chainrule", description, tensors))
    assert np.isfinite(model.predict(X).mean()).all()


@pytest.mark.parametrize("place", ["description", "network", "encoder", "target", "header"])
def test_no_name_stands_twice(original, tmp_path, place):
    """Got through: of two values for one name readers take one or the other, and the checksum cannot tell."""
    description, tensors = parts_of(original)
    path, twice = tmp_path / "twice.chainrule", '{"same":0,"same":0,'
    if place == "encoder":
        description["inputs"]["encoder"] = twice + description["inputs"]["encoder"][1:]
    elif place == "target":
        description["target"] = twice + description["target"][1:]
    text = json.dumps(description)
    if place == "description":
        text = twice + text[1:]
    elif place == "network":
        text = text.replace('"n_units": 4', '"n_units": 4, "same": 0, "same": 0')
    put_together(path, text, tensors)
    if place == "header":
        blob = path.read_bytes()
        (length,) = struct.unpack("<Q", blob[:8])
        header = blob[8 : 8 + length].replace(b'{"__metadata__"', b'{"same":0,"same":0,"__metadata__"')
        path.write_bytes(struct.pack("<Q", len(header)) + header + blob[8 + length :])
    with pytest.raises(cr.ModelFileError, match="the name 'same' stands twice in one object"):
        load_model(path)


def test_looking_for_repeated_names_takes_as_long_as_reading():
    names = ",".join(f'"{k}":0' for k in range(300_000))
    with pytest.raises(cr.ModelFileError, match="'299999' stands twice"):
        refuse_repeated_names("{" + names + ',"299999":1}')


def test_tensors_that_lack_or_belong_to_nothing(refused):
    assert "there is no tensor 'member0.theta'" in refused(lambda _, tensors: tensors.pop("member0.theta"))
    assert "'spare' belongs to nothing" in refused(lambda _, tensors: tensors.update(spare=np.zeros(1)))
    assert "floating-point" in refused(lambda _, t: t.update({"member0.theta": t["member0.theta"].astype(int)}))


@pytest.mark.parametrize(
    "target",
    [
        {"task": "binary", "classes": [["a", "b"]]},
        {"names": ["a", "b"]},
        {"names": ["a", "b"], "classes": [[], []], "center": [0.0, 0.0], "scale": [1.0, 1.0]},
        {"center": [None]},
        {"scale": [0.0]},
    ],
)
def test_targets_that_do_not_fit(refused, target):
    refused(lambda d, _: d.update(target=json.dumps({**json.loads(d["target"]), **target})))


def test_loading_takes_the_files_size_and_little_more(tmp_path, original):
    description, tensors = parts_of(original)
    description["facts"]["curve"] = [0.5 + k for k in range(300_000)]
    path = put_together(tmp_path / "large.chainrule", description, tensors)
    tracemalloc.start()
    try:
        load_model(path)
        assert tracemalloc.get_traced_memory()[1] < path.stat().st_size + 64 * 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("units", [1, 2, 64])
def test_small_networks_on_an_embedding_can_be_saved(tmp_path, units):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 6))
    options = {"embedding": "piecewise", "max_iter": 2, "n_members": 1, "random_state": 0}
    fitted = cr.FeedForwardRegressor((units,), **options).fit(x, x[:, 0])
    fitted.save(tmp_path / "m.chainrule")
    np.testing.assert_array_equal(load_model(tmp_path / "m.chainrule").predict(x).mean(), fitted.predict(x))
