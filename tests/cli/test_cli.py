"""The command line as a user meets it: fit, predict, score, and every refusal in one line."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import chainrule
from chainrule.cli import run
from chainrule.cli.terminal import number, score_lines

PENGUINS = Path(chainrule.__file__).parent / "data" / "penguins.csv"
FAST = ["--epochs", "30", "--hidden", "16"]


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A model of the shipped table, and what `fit` printed."""
    folder = tmp_path_factory.mktemp("fit")
    model = folder / "penguins.chainrule"
    done = subprocess.run(
        [sys.executable, "-m", "chainrule", "fit", str(PENGUINS), "--target", "species", "--model", str(model)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return model, done.stdout, done.stderr


def refusal(capsys, *arguments):
    """Run a command that must be refused; its one line."""
    assert run([str(a) for a in arguments]) == 1
    captured = capsys.readouterr()
    lines = captured.err.strip().splitlines()
    assert len(lines) == 1, captured.err
    assert lines[0].startswith("chainrule: ")
    return lines[0]


def test_fit_says_what_it_inferred_and_beats_the_baselines(fitted):
    model, out, err = fitted
    assert model.exists()
    assert "species            target, classes  3 classes: 'Adelie', 'Chinstrap', 'Gentoo'" in out
    assert "bill_length_mm     numeric" in out
    assert "2 missing" in out
    assert "stopped because" in out
    assert "diagnosis: " in out
    assert "scores on the test rows" in out
    rows = {line.split("  ")[1].strip(): line for line in out.splitlines() if "0." in line and "loss" not in line}
    network = next(line for line in out.splitlines() if line.strip().startswith("network  "))
    constant = next(line for line in out.splitlines() if line.strip().startswith("most common class"))
    accuracy = [float(line.split()[-2].rstrip("*")) for line in (network, constant)]
    assert accuracy[0] > 0.95 > accuracy[1], rows
    assert "repeat:  chainrule fit" in out
    assert "--seed 0" in out
    assert "epoch" in err  # plain progress lines where there is no terminal


def test_the_repeat_command_gives_the_same_bits(fitted, tmp_path):
    model, out, _ = fitted
    again = tmp_path / "again.chainrule"
    command = next(line for line in out.splitlines() if line.startswith("repeat:")).split()[2:]
    command[command.index("--model") + 1] = str(again)
    assert run([*command, "--quiet"]) == 0
    first, second = (chainrule.load(path).model_.members[0].theta for path in (model, again))
    np.testing.assert_array_equal(first, second)


def test_predict_gives_one_row_per_row(fitted, tmp_path, capsys):
    model, _, _ = fitted
    for name in ("predictions.csv", "predictions.parquet"):
        place = tmp_path / name
        assert run(["predict", str(model), str(PENGUINS), "-o", str(place)]) == 0
        table = pl.read_csv(place) if name.endswith("csv") else pl.read_parquet(place)
        assert table.columns == ["prediction", "p_Adelie", "p_Chinstrap", "p_Gentoo"]
        assert table.height == 344
        np.testing.assert_allclose(table.select(pl.sum_horizontal(pl.selectors.starts_with("p_"))).to_series(), 1.0)
        truth = pl.read_csv(PENGUINS)["species"]
        assert (table["prediction"] == truth).mean() > 0.97
    assert "344 predictions" in capsys.readouterr().out


def test_predict_to_the_screen(fitted, capsys):
    model, _, _ = fitted
    assert run(["predict", str(model), str(PENGUINS)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "prediction,p_Adelie,p_Chinstrap,p_Gentoo"
    assert len(lines) == 345


def test_estimator_and_command_line_share_the_model_file(fitted):
    model, _, _ = fitted
    estimator = chainrule.load(model)
    assert isinstance(estimator, chainrule.FeedForwardClassifier)
    frame = pl.read_csv(PENGUINS, null_values=["NA"])
    assert estimator.score(frame.drop("species"), frame["species"].to_numpy()) > 0.97
    assert list(estimator.classes_) == ["Adelie", "Chinstrap", "Gentoo"]


def test_score(fitted, capsys):
    model, _, _ = fitted
    assert run(["score", str(model), str(PENGUINS)]) == 0
    out = capsys.readouterr().out
    assert "344 rows" in out
    assert "accuracy" in out
    assert "log-loss" in out


def test_unseen_categories_and_missing_columns(fitted, tmp_path, capsys):
    model, _, _ = fitted
    frame = pl.read_csv(PENGUINS, null_values=["NA"])
    frame.with_columns(island=pl.lit("Atlantis")).write_csv(tmp_path / "unseen.csv")
    capsys.readouterr()
    assert run(["predict", str(model), str(tmp_path / "unseen.csv"), "-o", str(tmp_path / "p.csv")]) == 0
    (said,) = capsys.readouterr().err.splitlines()
    assert (
        "unseen.csv: column 'island': 344 cells of categories that training did not have, first 'Atlantis' in" in said
    )
    assert run(["score", str(model), str(tmp_path / "unseen.csv")]) == 0
    assert "'Atlantis'" in capsys.readouterr().err
    assert run(["score", str(model), str(PENGUINS)]) == 0
    assert capsys.readouterr().err == ""
    frame.drop("body_mass_g").write_csv(tmp_path / "less.csv")
    message = refusal(capsys, "predict", model, tmp_path / "less.csv", "-o", tmp_path / "q.csv")
    assert "less.csv" in message
    assert "body_mass_g" in message
    assert not (tmp_path / "q.csv").exists()


def write(tmp_path, frame, name="data.csv"):
    frame.write_csv(tmp_path / name)
    return tmp_path / name


def simulated(n=600, seed=0):
    rng = np.random.default_rng(seed)
    return rng, pl.DataFrame({"a": rng.normal(size=n), "b": rng.normal(size=n)})


def test_numeric_target_with_interval_and_quantiles(tmp_path, capsys):
    rng, frame = simulated(1500)
    sigma = np.exp(0.5 * frame["b"].to_numpy())
    frame = frame.with_columns(price=100 + 20 * frame["a"].to_numpy() + 5 * sigma * rng.normal(size=1500))
    data, model = write(tmp_path, frame), tmp_path / "m.chainrule"
    assert run(["fit", str(data), "--target", "price", "--model", str(model), "--epochs", "80"]) == 0
    assert "CRPS" in capsys.readouterr().out
    place = tmp_path / "p.csv"
    arguments = ["--interval", "0.9", "--quantiles", "0.1,0.5,0.9"]
    assert run(["predict", str(model), str(data), "-o", str(place), *arguments]) == 0
    table = pl.read_csv(place)
    assert table.columns == ["prediction", "lower", "upper", "q0.1", "q0.5", "q0.9"]
    inside = (table["lower"] <= frame["price"]) & (frame["price"] <= table["upper"])
    assert 0.85 < inside.mean() < 0.95
    width = (table["upper"] - table["lower"]).to_numpy()
    assert np.corrcoef(np.log(width), frame["b"].to_numpy())[0, 1] > 0.9


def test_vector_of_binary_targets(tmp_path, capsys):
    _, frame = simulated()
    a, b = frame["a"].to_numpy(), frame["b"].to_numpy()
    frame = frame.with_columns(u=(a + b > 0).astype(int), v=np.where(a > 0.3, "yes", "no"))
    data, model = write(tmp_path, frame), tmp_path / "m.chainrule"
    assert run(["fit", str(data), "--target", "u", "--target", "v", "--model", str(model), *FAST, "-q"]) == 0
    assert run(["predict", str(model), str(data), "-o", str(tmp_path / "p.csv")]) == 0
    table = pl.read_csv(tmp_path / "p.csv")
    assert {"prediction_u", "prediction_v", "p_1_u", "p_yes_v"} <= set(table.columns)
    assert (table["prediction_u"] == frame["u"]).mean() > 0.9
    assert run(["score", str(model), str(data)]) == 0


def test_columns_of_classes_that_would_have_the_same_name(tmp_path, monkeypatch):
    """Class b_c of a target a, and class b of a target c_a: one column was lost."""
    monkeypatch.chdir(tmp_path)
    rows = [f"{k},{'no' if k % 2 else 'b_c'},{'no' if k % 3 else 'b'}" for k in range(40)]
    Path("t.csv").write_text("x,a,c_a\n" + "\n".join(rows) + "\n")
    assert run(["fit", "t.csv", "--target", "a", "--target", "c_a", "--epochs", "1", "--model", "m.chainrule"]) == 0
    assert run(["predict", "m.chainrule", "t.csv", "-o", "p.csv"]) == 0
    found = pl.read_csv("p.csv")
    assert found.columns[2:] == ["p_'b_c'_'a'", "p_'no'_'a'", "p_'b'_'c_a'", "p_'no'_'c_a'"]
    np.testing.assert_allclose(found.select(found.columns[2:4]).sum_horizontal(), 1.0)


def test_poisson_target(tmp_path, capsys):
    rng, frame = simulated(1000)
    rate = np.exp(0.5 + 0.7 * frame["a"].to_numpy())
    frame = frame.with_columns(n=rng.poisson(rate))
    data, model = write(tmp_path, frame), tmp_path / "m.chainrule"
    assert run(["fit", str(data), "--target", "n", "--model", str(model), "--epochs", "1"]) == 0
    assert "--output poisson" in capsys.readouterr().out  # counts: it is suggested
    fit = ["fit", str(data), "--target", "n", "--model", str(model), "--output", "poisson", "--epochs", "60", "-q"]
    assert run(fit) == 0
    assert run(["predict", str(model), str(data), "-o", str(tmp_path / "p.csv")]) == 0
    predicted = pl.read_csv(tmp_path / "p.csv")["prediction"].to_numpy()
    assert np.corrcoef(np.log(predicted), np.log(rate))[0, 1] > 0.97


def test_two_numeric_targets(tmp_path):
    rng, frame = simulated()
    a, b = frame["a"].to_numpy(), frame["b"].to_numpy()
    frame = frame.with_columns(u=10 * a + b, v=1000 * b + rng.normal(size=len(a)))
    data, model = write(tmp_path, frame), tmp_path / "m.chainrule"
    assert run(["fit", str(data), "--target", "u", "--target", "v", "--model", str(model), "--epochs", "60", "-q"]) == 0
    arguments = ["predict", str(model), str(data), "-o", str(tmp_path / "p.csv"), "--interval", "0.5"]
    assert run(arguments) == 0
    table = pl.read_csv(tmp_path / "p.csv")
    assert table.columns == ["prediction_u", "prediction_v", "lower_u", "lower_v", "upper_u", "upper_v"]
    for name in "uv":
        assert np.corrcoef(table[f"prediction_{name}"], frame[name])[0, 1] > 0.98


def test_quantile_output(tmp_path):
    rng, frame = simulated(1500)
    frame = frame.with_columns(t=frame["a"].to_numpy() + rng.normal(size=1500))
    data, model = write(tmp_path, frame), tmp_path / "m.chainrule"
    output = ["--output", "quantile:0.1,0.5,0.9", "--epochs", "80"]
    assert run(["fit", str(data), "--target", "t", "--model", str(model), "-q", *output]) == 0
    arguments = ["predict", str(model), str(data), "-o", str(tmp_path / "p.csv"), "--quantiles", "0.1,0.5,0.9"]
    assert run(arguments) == 0
    table = pl.read_csv(tmp_path / "p.csv")
    for level in (0.1, 0.5, 0.9):
        share = (frame["t"] <= table[f"q{level}"]).mean()
        assert abs(share - level) < 0.05


# -- refusals


@pytest.mark.parametrize(
    ("content", "arguments", "pieces"),
    [
        (None, [], ["none.csv", "no such file"]),
        ("", [], ["data.csv", "empty"]),
        ("a,y\n", [], ["data.csv", "header"]),
        ("a,b\n1,2\n3,4\n", [], ["'y'", "a"]),
        ("a,y\n" + "1,x\n" * 30, [], ["'y'", "one"]),
        (
            "a,y\n" + "".join(f"{k},{k % 2}\n" for k in range(30)) + "31,\n",
            [],
            ["'y'", "row 31", "--drop-missing-target"],
        ),
        ("a,y\n" + "".join(f"{k},{k * 1.5}\n" for k in range(30)) + "inf,3\n", [], ["'a'", "row 31", "infinite"]),
        ("a,y\n" + "".join(f"{k}.5,{k * 1.5}\n" for k in range(40)) + "oops,3\n", [], ["'a'", "row 41", "'oops'"]),
        ("a,y\n" + "1,2\n" * 10 + "1,2,3\n", [], ["data.csv", "line 12"]),
        ("a,y\n1,2\n", ["--hiden", "3"], ["--hiden"]),
        ("a,y\n1,2\n", ["--epochs", "zero"], ["epochs"]),
        ("a,y\n1,2\n", ["--hidden", "64,x"], ["--hidden"]),
        ("a,y\n1,2\n", ["--optimizer", "adan"], ['"adan"', "adam"]),
        ("a,y\n1,2\n", ["--activation", "relo"], ["'relo'", "relu"]),
        ("a,y\n1,2\n", ["--output", "gausian"], ["'gausian'", "gaussian"]),
        ("a,y\n1,2\n", ["--type", "a"], ["--type", "'a'"]),
        ("a,y\n1,2\n", ["--epochs", "0"], ["epochs", "at least 1"]),
        ("a,y\n1,2\n", ["--l2", "-1"], ["l2", "-1"]),
        ("a,y\n1,2\n", ["--test-fraction", "1.5"], ["fraction", "1.5"]),
        ("a,y\n1,2\n", ["--model", "/nonexistent/m.chainrule"], ["/nonexistent", "folder"]),
        ("a,y\n1,2\n", ["--weight", "w"], ["'w'"]),
    ],
)
def test_refusals_of_fit(tmp_path, capsys, monkeypatch, content, arguments, pieces):
    monkeypatch.chdir(tmp_path)
    data = tmp_path / ("none.csv" if content is None else "data.csv")
    if content is not None:
        data.write_text(content)
    message = refusal(capsys, "fit", data, "--target", "y", *arguments)
    for piece in pieces:
        assert piece in message, message
    assert not list(tmp_path.glob("*.chainrule"))
    assert not list(tmp_path.glob(".*"))


def test_refusals_of_predict(fitted, tmp_path, capsys):
    model, _, _ = fitted
    assert "no such file" in refusal(capsys, "predict", tmp_path / "no.chainrule", PENGUINS)
    assert "no such file" in refusal(capsys, "predict", model, tmp_path / "no.csv")
    assert "folder" in refusal(capsys, "predict", model, PENGUINS, "-o", tmp_path / "no" / "p.csv")
    assert "--interval" in refusal(capsys, "predict", model, PENGUINS, "--interval", "1.5")
    assert "--quantiles" in refusal(capsys, "predict", model, PENGUINS, "--quantiles", "0.1;0.2")
    assert "p_<class>" in refusal(capsys, "predict", model, PENGUINS, "--interval", "0.9")


@pytest.mark.parametrize("damage", ["truncated", "flipped", "text", "pickle", "empty"])
def test_damaged_model_files(fitted, tmp_path, capsys, damage):
    import pickle

    model, _, _ = fitted
    blob = bytearray(model.read_bytes())
    if damage == "truncated":
        blob = blob[: len(blob) // 2]
    elif damage == "flipped":
        blob[-100] ^= 1
    elif damage == "text":
        blob = bytearray(b"hello world, this is not a model")
    elif damage == "pickle":
        blob = bytearray(pickle.dumps({"a": 1}))
    else:
        blob = bytearray()
    place = tmp_path / "bad.chainrule"
    place.write_bytes(bytes(blob))
    message = refusal(capsys, "predict", place, PENGUINS)
    assert "bad.chainrule" in message


def test_no_command_and_help(capsys):
    assert run(["--help"]) == 0
    out = capsys.readouterr().out
    assert "fit" in out
    assert "predict" in out
    assert run(["fit", "--help"]) == 0
    assert "--target" in capsys.readouterr().out
    assert run(["--version"]) == 0
    assert chainrule.__version__ in capsys.readouterr().out


def test_predict_never_imports_scikit_learn(fitted):
    model, _, _ = fitted
    code = (
        "import sys; from chainrule.cli import run;"
        f"assert run(['predict', {str(model)!r}, {str(PENGUINS)!r}]) == 0;"
        "assert 'sklearn' not in sys.modules and 'scipy.optimize' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_an_input_is_never_written_over(fitted, tmp_path, capsys):
    model, _, _ = fitted
    data = tmp_path / "data.csv"
    data.write_bytes(PENGUINS.read_bytes())
    before = data.read_bytes()
    assert "written over the input" in refusal(capsys, "fit", data, "--target", "species", "--model", data)
    assert "written over the input" in refusal(capsys, "predict", model, data, "-o", data)
    assert data.read_bytes() == before


def test_a_useless_network_is_called_so(tmp_path, capsys):
    rng, frame = simulated(300)
    data = write(tmp_path, frame.with_columns(y=rng.normal(size=300)))
    arguments = ["--target", "y", "--model", str(tmp_path / "m.chainrule"), "--epochs", "3", "--learning-rate", "30"]
    assert run(["fit", str(data), *arguments]) == 0
    assert "warning: by NLL the network is no better than a model that ignores its inputs" in capsys.readouterr().out


def test_several_targets_are_scored_one_by_one(tmp_path, capsys):
    _, frame = simulated(300)
    data = write(tmp_path, frame.with_columns(u=pl.col("a") * 2, v=pl.col("b") * 1e6))
    arguments = ["--target", "u", "--target", "v", "--model", str(tmp_path / "m.chainrule"), *FAST]
    assert run(["fit", str(data), *arguments]) == 0
    out = capsys.readouterr().out
    assert "network, u" in out
    assert "linear model, v" in out
    assert run(["score", str(tmp_path / "m.chainrule"), str(data)]) == 0
    out = capsys.readouterr().out
    names = out.splitlines()[1].split()
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines()[2:4]}
    errors = [float(rows[each][names.index("RMSE")]) for each in "uv"]
    assert errors[0] < 2.0 < 1e4 < errors[1]  # each in its own units
    assert "*" not in out


def test_a_model_named_by_us_is_named_in_the_command_to_repeat(tmp_path, capsys, monkeypatch):
    _, frame = simulated(60)
    write(tmp_path, frame.with_columns(y=pl.col("a")))
    monkeypatch.chdir(tmp_path)
    given = ["fit", "data.csv", "--target", "y", *FAST]
    monkeypatch.setattr(sys, "argv", ["chainrule", *given])
    assert run(given) == 0
    command = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("repeat:")).split()[2:]
    assert command[-4:] == ["--model", "y.chainrule", "--seed", "0"]
    first = chainrule.load("y.chainrule").model_.members[0].theta
    assert run(command) == 0  # written over: it was named
    np.testing.assert_array_equal(chainrule.load("y.chainrule").model_.members[0].theta, first)


@pytest.mark.parametrize(("option", "value"), [("--members", "100000000"), ("--starts", "1001"), ("--l2", "inf")])
def test_numbers_beyond_reason_are_refused_at_once(tmp_path, capsys, option, value):
    _, frame = simulated(60)
    data = write(tmp_path, frame.with_columns(y=pl.col("a")))
    message = refusal(capsys, "fit", data, "--target", "y", "--model", tmp_path / "m", option, value)
    assert option in message
    assert not (tmp_path / "m").exists()


def test_the_best_is_marked_for_each_target():
    scored = {
        "network, u": {"RMSE": 3.0},
        "network, v": {"RMSE": 100.0},
        "linear model, u": {"RMSE": 2.0},
        "linear model, v": {"RMSE": 200.0},
    }
    marked = [line.split()[-1] for line in score_lines(scored)[1:]]
    assert marked == ["3.0000", "100.000*", "2.0000*", "200.000"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.86471, "0.8647"), (-0.0038, "-0.0038"), (12.34567, "12.3457"), (123.45678, "123.457"), (9876.543, "9876.54")],
)
def test_numbers_are_rounded(value, text):
    assert number(value) == text


def test_a_linear_model_that_is_likelier_is_told(tmp_path, capsys):
    rng, frame = simulated(200)
    data = write(tmp_path, frame.with_columns(y=3.0 * pl.col("a") + 0.01 * rng.normal(size=200)))
    assert run(["fit", str(data), "--target", "y", "--model", str(tmp_path / "m"), "--epochs", "2"]) == 0
    assert "note: by NLL the linear model is better" in capsys.readouterr().out


def test_targets_that_the_output_cannot_give_are_refused_when_scoring(tmp_path, capsys):
    rng, frame = simulated(100)
    counts = frame.with_columns(y=pl.Series(rng.poisson(3.0, 100)))
    place = str(tmp_path / "m")
    data = str(write(tmp_path, counts))
    assert run(["fit", data, "--target", "y", "--output", "poisson", "--model", place, *FAST, "-q"]) == 0
    data = write(tmp_path, counts.with_columns(y=pl.col("y") - 0.5))
    message = refusal(capsys, "score", place, data)
    assert "data.csv" in message
    assert "whole numbers >= 0" in message


def test_errors_in_the_validation_table_name_it(tmp_path, capsys):
    _, frame = simulated(100)
    data = write(tmp_path, frame.with_columns(y=pl.col("a")))
    held = write(tmp_path, frame, "held.csv")
    message = refusal(capsys, "fit", data, "--target", "y", "--validation", held, "--model", tmp_path / "m", "-q")
    assert "held.csv" in message


def test_a_full_screen_is_one_line(fitted):
    model, _, _ = fitted
    done = subprocess.run(
        f"{sys.executable} -m chainrule predict {model} {PENGUINS} > /dev/full",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.strip() == "chainrule: cannot write the output: No space left on device"


@pytest.mark.parametrize(("option", "value"), [("--batch-size", "10"), ("--learning-rate", "0.1")])
def test_options_without_effect_are_refused(tmp_path, capsys, option, value):
    _, frame = simulated(60)
    data = write(tmp_path, frame.with_columns(y=pl.col("a")))
    given = ["--target", "y", "--model", tmp_path / "m", "--optimizer", "lbfgs", option, value]
    assert f"leave {option} out" in refusal(capsys, "fit", data, *given)
