"""The registry, records, options and targets of outputs, and outputs of one's own."""

import doctest
import importlib
import json
import pkgutil

import numpy as np
import pytest

import chainrule as cr
from chainrule import outputs
from chainrule.errors import OptionError, TableError
from chainrule.outputs import (
    OUTPUTS,
    Bernoulli,
    Categorical,
    Gaussian,
    GaussianMixture,
    Normal,
    Output,
    Poisson,
    Quantile,
    output_from_json,
    register,
)
from outputs.output_cases import ALL, REGISTERED, SMOOTHED, VARIANTS, target_of


def test_registry_holds_the_public_outputs_by_name():
    assert sorted(OUTPUTS) == sorted(
        ("bernoulli", "categorical", "gaussian", "gaussian_mixture", "laplace", "poisson", "quantile", "student_t")
    )
    assert all(OUTPUTS[output.name] is type(output) for output in REGISTERED)
    assert cr.GaussianMixture is OUTPUTS["gaussian_mixture"]


@pytest.mark.parametrize("output", [*REGISTERED, *VARIANTS, *SMOOTHED], ids=repr)
def test_records_survive_json(output):
    record = json.loads(json.dumps(output.to_json()))
    again = output_from_json(record)
    assert again == output
    assert hash(again) == hash(output)
    assert repr(again) == repr(output)
    assert type(output).from_json(record) == output


def test_outputs_are_equal_by_fields():
    assert GaussianMixture(3) == GaussianMixture(3) != GaussianMixture(4)
    assert Quantile([0.1, 0.9]) == Quantile((0.1, 0.9)) == Quantile(np.array([0.1, 0.9]))
    assert repr(GaussianMixture(3)) == "GaussianMixture(k=3)"


@pytest.mark.parametrize(
    "record",
    [
        None,
        [],
        {},
        {"name": 3},
        {"name": "cauchy"},
        {"name": "gaussian_mixture"},
        {"name": "gaussian_mixture", "k": 3, "extra": 1},
        {"name": "gaussian_mixture", "k": "3"},
        {"name": "gaussian_mixture", "k": True},
        {"name": "gaussian_mixture", "k": 0},
        {"name": "gaussian_mixture", "k": None},
        {"name": "gaussian_mixture", "k": [3]},
        {"name": "gaussian", "variance": "network", "fitted": [0.0]},
        {"name": "gaussian", "variance": "constant", "fitted": [-1.0]},
        {"name": "gaussian", "variance": "constant", "fitted": [[1.0]]},
        {"name": "gaussian", "variance": "constant", "fitted": 1.0},
        {"name": "gaussian", "variance": ["constant"], "fitted": []},
        {"name": "quantile", "levels": [], "fitted": []},
        {"name": "quantile", "levels": "0.5", "fitted": []},
        {"name": "quantile", "levels": None, "fitted": []},
        {"name": "quantile", "levels": {}, "fitted": []},
        {"name": "quantile", "levels": [[0.1], [0.2]], "fitted": []},
        {"name": "quantile", "levels": [0.5, 0.1], "fitted": []},
        {"name": "quantile", "levels": [0.5], "fitted": [float("nan")]},
        {"name": "categorical", "n_classes": 1.5, "label_smoothing": 0.0},
        {"name": "bernoulli", "label_smoothing": 1.0},
    ],
    ids=str,
)
def test_bad_records_are_refused(record):
    with pytest.raises(OptionError) as error:
        output_from_json(record)
    assert "\n" not in str(error.value)


def test_a_record_of_another_output_is_refused():
    with pytest.raises(OptionError, match="Gaussian"):
        Gaussian.from_json(Poisson().to_json())


@pytest.mark.parametrize(
    "make",
    [
        lambda: Gaussian(variance="learned"),
        lambda: Gaussian(fitted=(1e9,)),
        lambda: GaussianMixture(0),
        lambda: GaussianMixture(2.5),
        lambda: Quantile([0.0, 0.5]),
        lambda: Quantile([0.5, 0.5]),
        lambda: Quantile([0.5, 0.1]),
        lambda: Quantile([float("nan")]),
        lambda: Quantile([0.1, 0.5], fitted=(1.0,)),
        lambda: Categorical(1),
        lambda: Categorical().n_raw(1),
        lambda: Categorical(3).n_raw(2),
        lambda: Categorical(3).for_target(4),
        lambda: Bernoulli().for_target(3),
        lambda: Gaussian().for_target(2),
        lambda: Bernoulli(label_smoothing=-0.1),
        lambda: Categorical(3, label_smoothing=1.0),
        lambda: Poisson().distribution(np.zeros((2, 1)), location=1.0),
        lambda: Bernoulli().distribution(np.zeros((2, 1)), scale=[2.0]),
        lambda: Gaussian().distribution(np.zeros(2)),
        lambda: Gaussian("constant", (1.0, 2.0)).distribution(np.zeros((2, 1))),
        lambda: Quantile([0.5], (1.0, 2.0)).distribution(np.zeros((2, 1))),
    ],
)
def test_options_that_make_no_sense_are_refused_in_one_line(make):
    with pytest.raises(OptionError) as error:
        make()
    assert "\n" not in str(error.value)


def test_for_target():
    assert Categorical().for_target(5) == Categorical(5) == Categorical(5).for_target(5)
    assert Categorical(label_smoothing=0.1).for_target(5).label_smoothing == 0.1
    assert Bernoulli().for_target(2) == Bernoulli()


@pytest.mark.parametrize(("output", "t"), ALL)
def test_targets_within_the_support_pass(output, t):
    y = target_of(output, 20, t)
    output.check_target(y)
    output.check_target(y[:, 0])


@pytest.mark.parametrize(
    ("output", "y", "words"),
    [
        (Gaussian(), [1.0, np.nan, np.inf], ["gaussian", "finite", "nan", "row 1"]),
        (Poisson(), [1.0, 2.0, -1.0], ["poisson", "whole numbers", "-1", "row 2"]),
        (Poisson(), [[1.0, 1.0], [2.0, 2.5]], ["poisson", "2.5", "row 1"]),
        (Poisson(), [np.inf], ["inf", "row 0"]),
        (Bernoulli(), [0.0, 1.0, 2.0, 5.0], ["bernoulli", "0 and 1", "2", "row 2"]),
        (Categorical(3), [0.0, 3.0], ["categorical", "0 … 2", "3", "row 1"]),
        (Categorical(), [0.0, 0.5], ["0.5", "row 1"]),
        (Quantile(), [-np.inf], ["quantile", "-inf", "row 0"]),
    ],
)
def test_targets_outside_the_support_are_named(output, y, words):
    with pytest.raises(TableError) as error:
        output.check_target(np.array(y))
    assert all(word in str(error.value) for word in words)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("output", [o for o in REGISTERED if o.kind != "classes"], ids=repr)
def test_most_outputs_have_nothing_to_calibrate(output):
    raw, y = np.zeros((5, output.n_raw(1))), target_of(output, 5, 1)
    assert output.calibrated(raw, y) is output


class Shifted(Output):
    """The least a user writes: a normal distribution of variance 1."""

    def __init__(self, by: float = 0.0) -> None:
        self.by = by

    def n_raw(self, n_targets):
        return n_targets

    def nll(self, raw, y):
        return 0.5 * np.sum(np.square(y - raw - self.by), axis=1) + 0.5 * np.log(2 * np.pi)

    def standard_distribution(self, raw):
        return Normal(raw[:, 0] + self.by, np.ones(len(raw)))


def test_an_output_of_ones_own():
    output = Shifted(2.0)
    assert (output.name, output.kind, output.scales_target) == ("shifted", "numeric", False)
    assert output.n_raw(1) == 1
    np.testing.assert_array_equal(output.initial_raw(np.ones((3, 1))), [0.0])
    np.testing.assert_array_equal(output.distribution([[1.0]]).mean(), [3.0])
    assert output.calibrated(np.zeros((2, 1)), np.zeros((2, 1))) is output
    output.check_target([1.0])
    with pytest.raises(OptionError, match="register"):
        output.to_json()
    with pytest.raises(OptionError, match="kind"):
        type("Odd", (Shifted,), {"kind": "fuzzy"})


def test_registering_ones_own(monkeypatch):
    monkeypatch.setattr("chainrule.outputs.base.OUTPUTS", known := dict(OUTPUTS))

    @register
    class Mine(Shifted):
        pass

    assert known["mine"] is Mine
    assert isinstance(output_from_json(Mine().to_json()), Mine)
    with pytest.raises(OptionError, match="already"):
        register(type("Other", (Shifted,), {"name": "gaussian", "__module__": "elsewhere"}))
    assert known["gaussian"] is Gaussian


@pytest.mark.parametrize("module", [m.name for m in pkgutil.iter_modules(outputs.__path__)])
def test_examples_in_docstrings(module):
    result = doctest.testmod(importlib.import_module(f"chainrule.outputs.{module}"))
    assert result.failed == 0


def test_the_worked_example_is_there():
    assert doctest.testmod(outputs.base).attempted >= 5
