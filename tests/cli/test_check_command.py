"""``chainrule check``: what it prints of a right model, and how it refuses."""

import re
from pathlib import Path

import pytest

import chainrule
from chainrule.cli import run

PENGUINS = str(Path(chainrule.__file__).parent / "data" / "penguins.csv")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("check") / "mass.chainrule"
    options = [
        "--target",
        "body_mass_g",
        "--drop-missing-target",
        "--hidden",
        "4",
        "--epochs",
        "2",
        "--embedding",
        "none",
    ]
    assert run(["fit", PENGUINS, *options, "--model", str(path)]) == 0
    return str(path)


def test_every_parameter_operation_and_row(model, capsys):
    assert run(["check", model, PENGUINS, "--drop-missing-target", "--rows", "12", "--seed", "3"]) == 0
    out = capsys.readouterr().out
    assert "12 of 342 rows" in out
    assert "gradient of loss: right" in out
    assert re.fullmatch(r"the gradient is right|the gradients of all \d+ networks are right", out.splitlines()[-1])
    assert "layer1.weight" in out
    assert "rules of operations, worst:" in out
    worst = next(line for line in out.splitlines() if line.strip().startswith("worst:"))
    row, line = map(int, re.search(r"row (\d+) \(line (\d+)\)", worst).groups())
    assert line == row + 1  # the header is line 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--rows", "0"], "--rows must be at least 1"),
        ([], "--drop-missing-target"),
    ],
)
def test_refusals_are_one_line(model, capsys, arguments, words):
    assert run(["check", model, PENGUINS, *arguments]) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert words in lines[0]
