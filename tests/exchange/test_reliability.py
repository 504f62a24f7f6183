"""A short campaign of damaged and hostile model files; ``python -m benchmarks.reliability`` runs longer ones."""

import random
import sys
import time
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks import reliability_files
from benchmarks.reliability import SECTIONS
from benchmarks.reliability_files import MUTATIONS

import chainrule as cr
from chainrule.models.model import load_model


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return [path.read_bytes() for path in reliability_files._models(folder)]


def test_the_section_is_entered():
    assert SECTIONS["model-file mutations and truncations"].run is reliability_files.model_files


@pytest.mark.parametrize("name", MUTATIONS)
@pytest.mark.filterwarnings("ignore")
def test_a_short_campaign(name, originals, tmp_path):
    path = tmp_path / "tried.chainrule"
    refused = []
    for k in range(40):
        path.write_bytes(MUTATIONS[name](originals[k % len(originals)], random.Random(f"{name}/{k}")))
        start = time.perf_counter()
        try:
            model = load_model(path)
            matrix = np.random.default_rng(0).normal(size=(40, len(model.inputs.columns)))
            assert np.isfinite(model.distribution([matrix]).mean()).all(), k
        except cr.ModelFileError as error:
            refused.append(str(error))
        assert time.perf_counter() - start < 30, k
    assert refused
    for line in refused:
        assert line.startswith(f"{path}: ")
        assert "\n" not in line
