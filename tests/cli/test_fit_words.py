"""What ``chainrule fit`` says: refusals name the command line's own options, and nothing is lost or glossed over."""

from pathlib import Path

import polars as pl
import pytest

import chainrule
from chainrule.cli import run

PENGUINS = Path(chainrule.__file__).parent / "data" / "penguins.csv"
QUICK = ["--epochs", "2", "--hidden", "4", "--members", "1", "--embedding", "none"]


def refused(capsys, *arguments):
    assert run(["fit", *map(str, arguments)]) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    return lines[0]


def said(capsys, *arguments):
    assert run(["fit", *map(str, arguments), *QUICK]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--epochs", 0),
        ("--members", 0),
        ("--starts", 0),
        ("--patience", 0),
        ("--batch-size", 0),
        ("--l1", -1),
        ("--l2", "nan"),
        ("--group-l1", -0.5),
        ("--seed", -1),
        ("--learning-rate", 0),
    ],
)
def test_numbers_out_of_range_are_named_by_their_option(capsys, option, value):
    line = refused(capsys, PENGUINS, "--target", "species", f"{option}={value}")
    assert line.startswith(f"chainrule: {option} must be")


def test_without_a_target_the_columns_are_listed(capsys):
    line = refused(capsys, PENGUINS)
    assert "--target" in line
    assert "'flipper_length_mm'" in line


def test_a_model_of_the_default_name_is_not_lost(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said(capsys, PENGUINS, "--target", "species")
    before = Path("species.chainrule").read_bytes()
    assert "--model species.chainrule" in refused(capsys, PENGUINS, "--target", "species", *QUICK)
    assert Path("species.chainrule").read_bytes() == before
    said(capsys, PENGUINS, "--target", "species", "--seed", "1", "--model", "species.chainrule")
    assert Path("species.chainrule").read_bytes() != before


def test_a_missing_header_is_suspected(capsys, tmp_path):
    lines = PENGUINS.read_text("utf-8").splitlines()[1:]
    (tmp_path / "headless.csv").write_text("\n".join([*lines, ""]), "utf-8")
    out = said(
        capsys, tmp_path / "headless.csv", "--target", lines[0].split(",")[0], "--model", tmp_path / "m.chainrule"
    )
    assert "is a header line missing?" in out
    out = said(capsys, PENGUINS, "--target", "species", "--model", tmp_path / "m.chainrule")
    assert "header line" not in out


def test_weights_are_called_what_they_are_and_count_rows(capsys, tmp_path):
    frame = pl.read_csv(PENGUINS, null_values="NA").with_columns(pl.lit(2).alias("count"))
    frame.write_csv(tmp_path / "twice.csv")
    place = ["--model", tmp_path / "m.chainrule"]
    out = said(capsys, tmp_path / "twice.csv", "--target", "species", "--weight", "count", *place)
    rows = next(line for line in out.splitlines() if line.startswith("rows: "))
    assert sum(int(word) for word in rows.replace(",", "").split() if word.isdigit()) == 2 * 344
    assert next(line for line in out.splitlines() if line.strip().startswith("count")).endswith("row weights")


def test_scores_on_rows_that_had_a_part_in_the_training_say_so(capsys, tmp_path):
    place = ["--model", tmp_path / "m.chainrule", "--test-fraction", "0"]
    out = said(capsys, PENGUINS, "--target", "species", *place)
    assert "which decided when to stop" in out
    out = said(capsys, PENGUINS, "--target", "species", "--validation-fraction", "0", *place)
    assert "which the models learned from" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--hidden", "64,0"], "--hidden takes numbers of units such as 64,64, or none; got '64,0'"),
        (["--activation", "foo"], "--activation takes one of elu, "),
        (["--optimizer", "foo"], "--optimizer"),
        (["--test-fraction", "1.5"], "--test-fraction must lie in [0, 1), got 1.5"),
        (["--output", "normal:3"], "normal takes nothing after the colon"),
        (["--output", "mixture:0"], "output 'mixture:0': "),
        (["--weight", "species"], "cannot be both the target and the weight"),
        (["--weight", "sexx"], "there is no column 'sexx'; did you mean 'sex'?"),
    ],
)
def test_options_that_make_no_sense(capsys, arguments, words):
    line = refused(capsys, PENGUINS, "--target", "species", *arguments)
    assert words in line
    assert "or give a" not in line  # what only Python takes


def test_an_argument_that_is_missing_is_named(capsys):
    assert "the argument DATA is missing" in refused(capsys)


def test_files_that_begin_otherwise(capsys, tmp_path):
    def told(text, *arguments):
        (tmp_path / "t.csv").write_text(text, "utf-8")
        return refused(capsys, tmp_path / "t.csv", "--target", "y", *arguments)

    assert "line 1 is 'sep=;', a word to Excel, not a header" in told("sep=;\na;y\n1;2\n2;3\n")
    assert "remove what stands above the header" in told("# on Monday\na,y\n1,2\n2,3\n")
    assert "is a header line missing?" in told("1,2\n2,3\n3,5\n")
    assert "the weight is missing" in told("a,y,w\n1,2,1\n2,3,\n", "--weight", "w")
    digits = "".join(f"{k},{k}{10**18}\n" for k in range(1, 40))
    assert "use --output gaussian" in told(f"a,y\n{digits}")


def test_a_hyphen_is_the_screen(capsys, tmp_path):
    model = tmp_path / "m.chainrule"
    said(capsys, PENGUINS, "--target", "species", "--model", model)
    assert run(["predict", str(model), str(PENGUINS), "-o", "-"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 345
