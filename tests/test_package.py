"""The package from outside: public names, laziness, data, command-line start-up."""

import subprocess
import sys
from pathlib import Path

import pytest

import chainrule as cr

CONTRACT = [
    *("grad", "value_and_grad", "vjp", "jvp", "jacobian", "hessian", "hvp", "check_gradient", "trace", "minimize"),
    *("Network", "Dense", "Maxout", "Dropout", "BatchNorm", "Bernoulli", "Categorical", "Gaussian", "GaussianMixture"),
    *("Poisson", "Laplace", "StudentT", "Quantile", "L1", "L2", "GroupL1", "SGD", "Adam", "AdamW", "RMSProp", "LBFGS"),
    *("FeedForwardClassifier", "FeedForwardRegressor", "LogisticRegression", "LinearRegression", "load"),
]


@pytest.mark.parametrize("name", sorted(set(CONTRACT) | set(cr.__all__)))
def test_every_public_name_exists(name):
    assert getattr(cr, name) is not None
    assert name in dir(cr)


def test_a_typo_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'gradd'"):
        _ = cr.gradd


def modules_after(code):
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; {code}; print(*sorted(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_import_loads_next_to_nothing():
    loaded = modules_after("import chainrule")
    assert not loaded & {"numpy", "scipy", "sklearn", "polars", "llvmlite", "cyclopts"}


def test_calculus_loads_no_tables_and_no_estimators():
    loaded = modules_after("import chainrule; chainrule.grad")
    assert not loaded & {"sklearn", "polars", "llvmlite", "cyclopts", "scipy.optimize"}


def test_help_loads_no_numbers():
    loaded = modules_after("from chainrule.cli import run; run(['--help'])")
    assert not loaded & {"numpy", "scipy", "sklearn", "polars", "llvmlite"}


def test_data_and_types_are_shipped():
    folder = Path(cr.__file__).parent
    assert (folder / "py.typed").exists()
    assert len((folder / "data" / "penguins.csv").read_text().splitlines()) == 345
