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
    assert run(["check", model, PENGUINS, "--rows", "12", "--seed", "3"]) == 0
    out = capsys.readouterr().out
    assert "12 of 342 rows (2 without a target left out)" in out
    assert "gradient of loss: right" in out
    assert re.fullmatch(r"the gradient is right|the gradients of all \d+ networks are right", out.splitlines()[-1])
    assert "layer1.weight" in out
    assert "rules of operations, worst:" in out
    worst = next(line for line in out.splitlines() if line.strip().startswith("worst:"))
    row, line = map(int, re.search(r"row (\d+) \(line (\d+)\)", worst).groups())
    assert line == row + 1  # the header is line 1


def test_rows_with_their_targets_are_not_said_to_be_left_out(model, tmp_path, capsys):
    header, *rows = Path(PENGUINS).read_text().splitlines()
    (tmp_path / "some.csv").write_text("\n".join([header, *[row for row in rows if ",NA" not in row][:9]]))
    assert run(["check", model, str(tmp_path / "some.csv")]) == 0
    out = capsys.readouterr().out
    assert "9 of 9 rows, " in out


def test_refusals_are_one_line(model, tmp_path, capsys):
    header = Path(PENGUINS).read_text().splitlines()[0]
    (tmp_path / "none.csv").write_text(f"{header}\nAdelie,Torgersen,39.1,18.7,181,NA,male,2007\n")
    for table, arguments, words in (
        (PENGUINS, ["--rows", "0"], "--rows must be at least 1"),
        (str(tmp_path / "none.csv"), [], "the target is missing in every row"),
    ):
        assert run(["check", model, table, *arguments]) == 1
        lines = capsys.readouterr().err.strip().splitlines()
        assert len(lines) == 1
        assert words in lines[0]
