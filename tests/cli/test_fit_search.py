"""``chainrule fit --search``: what was tried is said, the best is fitted, and the same command gives the same model."""

from pathlib import Path

import chainrule as cr
from chainrule.cli import run

PENGUINS = Path(cr.__file__).parent / "data" / "penguins.csv"
QUICK = ["--epochs", "6", "--hidden", "6", "--members", "2", "--embedding", "none", "--learning-rate", "0.0001"]


def test_search(tmp_path, capsys):
    command = ["fit", str(PENGUINS), "--target", "species", "--search", *QUICK]
    assert run([*command, "--model", str(tmp_path / "a.chainrule")]) == 0
    out = capsys.readouterr().out
    assert "search: 54 settings in " in out
    lines = out.splitlines()
    at = next(k for k, line in enumerate(lines) if line.startswith("search: "))
    assert lines[at + 1].split() == ["learning_rate", "l2", "layers", "batch_size", "loss", "epochs"]
    rate, l2, layers, batch = lines[at + 2].split()[:4]
    assert float(rate) == 0.0003  # six epochs are too few for less
    assert lines[at + 10].strip() == "and 46 more, left behind earlier"

    # the same as a fit with what was found
    found = [*QUICK[:2], "--hidden", layers, *QUICK[4:8], "--learning-rate", "0.00030000000000000003"]
    again = ["fit", str(PENGUINS), "--target", "species", *found, "--l2", l2, "--batch-size", batch]
    assert run([*again, "--model", str(tmp_path / "b.chainrule")]) == 0
    a, b = (cr.load(tmp_path / f"{name}.chainrule").model_ for name in "ab")
    assert [m.theta.tobytes() for m in a.members] == [m.theta.tobytes() for m in b.members]


def test_a_search_needs_validation_rows(tmp_path, capsys):
    command = ["fit", str(PENGUINS), "--target", "species", "--search", "--validation-fraction", "0", *QUICK]
    assert run([*command, "--model", str(tmp_path / "a.chainrule")]) == 1
    assert "--validation-fraction" in capsys.readouterr().err
