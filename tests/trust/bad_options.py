"""Options of every command that are wrong, contradictory or misspelled."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from trust.bad_case import Command, Content
from trust.bad_values import number, table

TABLE = table(number)
#: as fast as a fit can be
QUICK = "--epochs 2 --hidden 3 --members 1 --embedding none -q"


@cache
def model(target: str = "y") -> bytes:
    """A small model of the table, of numbers or (``target="b"``) of classes."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        made = Command(
            "",
            f"fit data.csv --target {target} --model m.chainrule --type b=categorical {QUICK}",
            (),
            {"data.csv": TABLE},
        )
        assert not made.problem(Path(folder))
        return (Path(folder) / "m.chainrule").read_bytes()


def write_model(path: Path, target: str = "y") -> None:
    path.write_bytes(model(target))


def fit(name: str, options: str, *says: str, files: dict[str, Content] | None = None) -> Command:
    arguments = f"fit data.csv --target y {QUICK if not says else ''} {options}"
    if "--model" not in options:
        arguments += " --model m.chainrule"
    return Command(f"fit {name}", arguments, says, {"data.csv": TABLE, **(files or {})})


def other(name: str, arguments: str, *says: str, target: str = "y", files: dict[str, Content] | None = None) -> Command:
    """A command on a good table and a good model."""
    made = {"data.csv": TABLE, "m.chainrule": lambda path: write_model(path, target)}
    return Command(name, arguments, says, made | (files or {}))


FIT = [
    # -- out of range
    fit("--epochs 0", "--epochs 0", "--epochs must be", "at least 1", "got 0"),
    fit("--epochs -5", "--epochs -5", "--epochs must be", "got -5"),
    fit("--epochs 1.5", "--epochs 1.5", "--epochs", "1.5", "--help"),
    fit("--epochs many", "--epochs many", "--epochs", "many"),
    fit("--epochs without a value", "--epochs", "--epochs"),
    fit("--members 0", "--members 0", "--members must be"),
    fit("--members 100000000", "--members 100000000", "--members must be at most"),
    fit("--starts 0", "--starts 0", "--starts must be"),
    fit("--starts 100000000", "--starts 100000000", "--starts must be at most"),
    fit("--patience 0", "--patience 0", "--patience must be"),
    fit("--batch-size 0", "--batch-size 0", "--batch-size must be"),
    fit("--batch-size larger than the table", "--batch-size 1000000"),
    fit("--l1 -1", "--l1=-1", "--l1 must be"),
    fit("--l1 nan", "--l1 nan", "--l1 must be"),
    fit("--l2 inf", "--l2 inf", "--l2 must be"),
    fit("--l2 1e300", "--l2 1e300", "l2", "1e+300"),
    fit("--group-l1 -1", "--group-l1=-1", "--group-l1 must be"),
    fit("--seed -1", "--seed=-1", "--seed must be"),
    fit("--seed of a hundred digits", "--seed " + "9" * 100),
    fit("--learning-rate 0", "--learning-rate 0", "--learning-rate must be"),
    fit("--learning-rate nan", "--learning-rate nan", "--learning-rate must be"),
    fit("--learning-rate 1e300", "--learning-rate 1e300", "learning rate", "1e+300"),
    fit("--learning-rate 1e6", "--learning-rate 1e6 --optimizer sgd", "diverged", "learning rate"),
    fit("--learning-rate 1, halved", "--learning-rate 1 --optimizer sgd --on-divergence halve"),
    fit("--test-fraction 1", "--test-fraction 1", "--test-fraction must lie in [0, 1), got 1"),
    fit("--test-fraction -0.1", "--test-fraction=-0.1", "--test-fraction must lie"),
    fit("--test-fraction nan", "--test-fraction nan", "--test-fraction must lie"),
    fit("--test-fraction 0.99", "--test-fraction 0.99", "--test-fraction"),
    fit("--validation-fraction 1", "--validation-fraction 1", "--validation-fraction must lie"),
    fit("--validation-fraction 0.999", "--validation-fraction 0.999", "'y'", "1 would be left to train on"),
    fit("--validation-fraction 1e-9", "--validation-fraction 1e-9"),
    fit("--checkpoint-every -1", "--checkpoint c --checkpoint-every=-1", "seconds between two checkpoints", "got -1"),
    fit("--checkpoint-every nan", "--checkpoint c --checkpoint-every nan", "seconds between two checkpoints"),
    # -- words
    fit("--hidden 64,x", "--hidden 64,x", "--hidden takes numbers of units such as 64,64", "'64,x'"),
    fit("--hidden 64,,64", "--hidden 64,,64", "--hidden takes"),
    fit("--hidden -3", "--hidden=-3", "--hidden takes"),
    fit("--hidden 1e3", "--hidden 1e3", "--hidden takes"),
    fit("--hidden ²", "--hidden ²", "--hidden takes"),
    fit("--hidden of a billion units", "--hidden 1000000000", "not enough memory", "parameters; use smaller"),
    fit("--hidden beyond memory", "--hidden 10000000,10000000", "parameters", "smaller"),
    fit(
        "--hidden of 10 000 layers", "--hidden " + ",".join(["2"] * 10_000), "at most 1000 layers, got 10000; use fewer"
    ),
    fit("--activation relo", "--activation relo", "--activation takes one of", "relu", "'relo'"),
    fit("--optimizer adan", "--optimizer adan", '"adan" for --optimizer', 'Did you mean "adam"?'),
    fit("--output gausian", "--output gausian", "'gausian'", "gaussian"),
    fit("--output mixture:0", "--output mixture:0", "output 'mixture:0'"),
    fit("--output mixture:x", "--output mixture:x", "output 'mixture:x'"),
    fit("--output mixture:1000000000", "--output mixture:1000000000", "not enough memory", "parameters"),
    fit("--output gaussian:3", "--output gaussian:3", "nothing after the colon"),
    fit("--output quantile:2", "--output quantile:2", "output 'quantile:2'"),
    fit("--output quantile:", "--output quantile:0.1,,0.9", "output 'quantile:0.1,,0.9'"),
    fit("--output quantile backwards", "--output quantile:0.9,0.1", "quantile:0.9,0.1"),
    fit("--calibrate yes", "--calibrate yes", "--calibrate", "conformal"),
    fit("--embedding linear", "--embedding linear", "--embedding", "piecewise"),
    fit("--on-divergence stop", "--on-divergence stop", "--on-divergence", "halve"),
    fit("--type a", "--type a", "--type takes COLUMN=numeric, categorical or boolean", "'a'"),
    fit("--type a=float", "--type a=float", "--type takes", "'a=float'"),
    fit("--type =numeric", "--type =numeric", "''"),
    # -- misspelled, with a suggestion
    fit("--epoch", "--epoch 3", "--epoch", "Did you mean", "--epochs"),
    fit("--hiden", "--hiden 3", "--hiden", "Did you mean", "--hidden"),
    fit("--learning_rates", "--learning-rates 3", "--learning-rates", "Did you mean", "--learning-rate"),
    fit("--lr", "--lr 3", "--lr"),
    fit("-x", "-x 3", "-x"),
    fit("a second table", "more.csv", "'more.csv'"),
    Command("fti", "fti data.csv", ["fti", "Did you mean", "fit"]),
    Command("a word that is no command", "xyzzy", ["xyzzy"]),
    Command("an option before the command", "--epochs 3 fit data.csv", ["--epochs"], {"data.csv": TABLE}),
    Command("fit without a table", "fit --target y", ["the argument DATA is missing"]),
    Command("fit without a target", "fit data.csv", ["--target", "data.csv has 'a', 'b', 'y'"], {"data.csv": TABLE}),
    # -- contradictory
    fit(
        "--calibrate without validation rows",
        "--calibrate scale --validation-fraction 0",
        "--calibrate scale",
        "leave it a --validation-fraction",
    ),
    fit(
        "--search without validation rows",
        "--search --validation-fraction 0",
        "a search",
        "leave it a --validation-fraction",
    ),
    fit("--model and --report the same", "--report m.chainrule", "both the model file and the report"),
    fit("--model over the table", "--model data.csv", "written over the input"),
    fit("--checkpoint over the table", "--checkpoint data.csv", "written over"),
    fit("--checkpoint over the model", "--checkpoint m.chainrule", "cannot be both the checkpoint and another file"),
    fit("--resume from nothing", "--resume c", "c: there is no such file"),
    fit("--resume from a table", "--resume data.csv", "data.csv"),
    fit("--resume from a model", "--resume o.chainrule", "o.chainrule", files={"o.chainrule": write_model}),
    # -- places
    fit("--model in no folder", "--model no/m.chainrule", "cannot write no/m.chainrule", "no folder no"),
    fit("--model a folder", "--model .", "is a directory"),
    fit("--model where nothing can be written", "--model /proc/m.chainrule", "cannot write /proc/m.chainrule"),
    fit("--model a device", "--model /dev/full", "not a regular file"),
    fit("--model a pipe", "--model pipe", "not a regular file", files={"pipe": os.mkfifo}),
    fit("--report in no folder", "--report no/r.html", "cannot write no/r.html"),
    fit("--checkpoint in no folder", "--checkpoint no/c", "cannot write no/c"),
    Command(
        "fit, the default model is there",
        "fit data.csv --target y",
        ["y.chainrule exists", "--model y.chainrule"],
        {"data.csv": TABLE, "y.chainrule": "mine"},
    ),
]

OTHERS = [
    other("predict --interval 0", "predict m.chainrule data.csv --interval 0", "--interval must lie between 0 and 1"),
    other("predict --interval 1", "predict m.chainrule data.csv --interval 1", "--interval must lie"),
    other("predict --interval nan", "predict m.chainrule data.csv --interval nan", "--interval must lie"),
    other("predict --interval 90%", "predict m.chainrule data.csv --interval 90%", "--interval", "90%"),
    other("predict --quantiles 0", "predict m.chainrule data.csv --quantiles 0,0.5", "--quantiles must lie"),
    other("predict --quantiles nan", "predict m.chainrule data.csv --quantiles nan", "--quantiles must lie"),
    other("predict --quantiles x", "predict m.chainrule data.csv --quantiles x", "--quantiles takes numbers"),
    other(
        "predict --quantiles twice the same", "predict m.chainrule data.csv --quantiles 0.5,0.5", "--quantiles", "0.5"
    ),
    other(
        "predict --quantiles near one another", "predict m.chainrule data.csv --quantiles 0.5,0.50000001", "--quantiles"
    ),
    other("predict --quantil", "predict m.chainrule data.csv --quantil 0.5", "Did you mean", "--quantiles"),
    other(
        "predict --interval of classes",
        "predict m.chainrule data.csv --interval 0.9",
        "--interval is for numbers",
        target="b",
    ),
    other("predict without a table", "predict m.chainrule", "the argument DATA is missing"),
    other("predict with files exchanged", "predict data.csv m.chainrule", "data.csv"),
    other(
        "predict to no folder", "predict m.chainrule data.csv -o no/p.csv", "no/p.csv: there is no folder", "create it"
    ),
    other("predict to a folder", "predict m.chainrule data.csv -o .", "."),
    other("predict to a strange format", "predict m.chainrule data.csv -o p.xlsx", "p.xlsx", ".csv"),
    other("predict over the table", "predict m.chainrule data.csv -o data.csv", "written over the input"),
    other("predict over the model", "predict m.chainrule data.csv -o m.chainrule", "m.chainrule"),
    other(
        "predict to a full device",
        "predict m.chainrule data.csv -o full.csv",
        "full.csv",
        files={"full.csv": lambda p: p.symlink_to("/dev/full")},
    ),
    other(
        "predict over a link to the table",
        "predict m.chainrule data.csv -o p.csv",
        "written over the input",
        files={"p.csv": lambda p: p.symlink_to("data.csv")},
    ),
    other("score without the target", "score m.chainrule t.csv", "t.csv", "'y'", files={"t.csv": "a,b\n1,2\n"}),
    other(
        "score, a target missing",
        "score m.chainrule t.csv",
        "t.csv: column 'y', row 2",
        "--drop-missing-target",
        files={"t.csv": "a,b,y\n1,2,3\n1,2,\n"},
    ),
    other(
        "score, a target of text",
        "score m.chainrule t.csv",
        "t.csv: column 'y', row 1",
        "'x'",
        files={"t.csv": "a,b,y\n1,2,x\n"},
    ),
    other(
        "score, a target infinite",
        "score m.chainrule t.csv",
        "t.csv: column 'y', row 1",
        files={"t.csv": "a,b,y\n1,2,inf\n"},
    ),
    other(
        "score, a target of 1e300",
        "score m.chainrule t.csv",
        "t.csv: column 'y', row 1 (line 2)",
        "targets beyond 1e+150",
        "correct the cell",
        files={"t.csv": "a,b,y\n1,2,1e300\n"},
    ),
    other(
        "score, another class",
        "score m.chainrule t.csv",
        "t.csv: column 'b', row 1",
        "class",
        target="b",
        files={"t.csv": "a,b,y\n1,w,1\n"},
    ),
    other("score, a weight below zero", "score m.chainrule data.csv --weight c", "no column 'c'"),
    other("score, no model", "score none.chainrule data.csv", "none.chainrule: there is no such file"),
    other("check --rows 0", "check m.chainrule data.csv --rows 0", "--rows must be at least 1"),
    other("check --rows x", "check m.chainrule data.csv --rows x", "--rows"),
    other("check --seed -1", "check m.chainrule data.csv --seed=-1", "--seed"),
    other("explain --row 0", "explain m.chainrule data.csv --row 0", "--row must lie between 1 and 60"),
    other("explain --row 61", "explain m.chainrule data.csv --row 61", "--row must lie between 1 and 60"),
    other("explain --member 2", "explain m.chainrule data.csv --member 2", "--member must lie between 1 and 1"),
    other("explain to no folder", "explain m.chainrule data.csv -o no/e.html", "cannot write no/e.html"),
    other("explain over the model", "explain m.chainrule data.csv -o m.chainrule", "written over the input"),
    other("summary of a table", "summary data.csv", "data.csv"),
    other("summary of a folder", "summary .", "is a directory"),
    other("export to nothing", "export m.chainrule", "say what to write"),
    other("export over the model", "export m.chainrule --c m.chainrule", "written over the input"),
    other("export twice to one file", "export m.chainrule --c m.x --python m.x", "both write m.x"),
    other("export to no folder", "export m.chainrule --c no/m.c", "cannot write no/m.c"),
    Command("demo of another name", "demo gradient", ["demo"]),
    Command("demo --seed -1", "demo xor --seed=-1", ["--seed"]),
    Command("demo --seed of text", "demo xor --seed x", ["--seed"]),
    Command("play on a file that is not there", "play none.csv", ["none.csv: there is no such file"]),
    Command("play with another target", "play data.csv --target z", ["no column 'z'"], {"data.csv": TABLE}),
    Command("play with a strange port", "play --port 99999999", ["--port"]),
    Command("play looking at one column twice", "play data.csv --axes a,a", ["--axes"], {"data.csv": TABLE}),
    Command("bench of another kind", "bench speed", ["speed", "training"]),
    Command("bench of another network", "bench --case giant", ["--case takes", "'giant'"]),
    Command("bench to no folder", "bench --json no/x.json", ["cannot write no/x.json"]),
]

OPTIONS = [*FIT, *OTHERS]
