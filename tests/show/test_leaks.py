"""Columns that know the target: how well one column alone predicts it, and the warning in the terminal."""

import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from scipy.stats import spearmanr

from chainrule.cli import run
from chainrule.show.leaks import one_column_skill, rank_correlation


def test_skill_of_one_column():
    rng = np.random.default_rng(0)
    x, x_new = rng.uniform(-1, 1, 4000), rng.uniform(-1, 1, 4000)
    noise, noise_new = rng.normal(size=4000), rng.normal(size=4000)
    y, y_new = np.sin(3 * x) + 0.5 * noise, np.sin(3 * x_new) + 0.5 * noise_new
    best = 1.0 - np.mean((0.5 * noise_new) ** 2) / np.mean((y_new - y.mean()) ** 2)  # R² of the truth
    plain = {"categorical": False, "classes": False}
    assert one_column_skill(x, y, x_new, y_new, **plain) == pytest.approx(best, abs=0.02)
    assert one_column_skill(noise, y, noise_new, y_new, **plain) < 0.5
    assert one_column_skill(rng.normal(size=4000), y, x_new, y_new, **plain) == pytest.approx(0.0, abs=0.05)


def test_skill_of_missing_and_unseen_values():
    x, y = np.array([np.nan, np.nan, 1.0, 1.0, 0.0, 0.0]), np.array([5.0, 5.0, 1.0, 1.0, 0.0, 0.0])
    assert one_column_skill(x, y, x, y, categorical=True, classes=False) == 1.0
    codes = np.array([2.0, 2.0, 1.0, 1.0, 0.0, 0.0])
    assert one_column_skill(x, codes, x, codes, categorical=True, classes=True) == 1.0
    unseen = one_column_skill(x, codes, np.array([-1.0, 1.0]), np.array([0.0, 1.0]), categorical=True, classes=True)
    assert unseen == 1.0  # an unseen category is guessed as the commonest class, here the first


def test_rank_correlation_is_spearmans():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 9, 100).astype(float), rng.normal(size=100)
    x[:10] = np.nan
    assert rank_correlation(x, y) == pytest.approx(spearmanr(x[10:], y[10:]).statistic)
    assert rank_correlation(np.ones(9), y[:9]) == 0.0


def test_fit_warns_in_the_terminal(tmp_path, capsys):
    rng = np.random.default_rng(0)
    a, noise = rng.normal(size=(2, 120))
    table = tmp_path / "table.csv"
    pl.DataFrame({"a": a, "price tag": 3.0 * (a + noise), "y": a + noise}).write_csv(table)
    options = ["--target", "y", "--hidden", "none", "--epochs", "2", "--members", "1"]
    assert run(["fit", str(table), *options, "--model", str(tmp_path / "a.chainrule")]) == 0
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "almost perfectly" in line)
    assert line.startswith("warning: price tag alone predicts y almost perfectly")
    assert line.endswith("leave it out: --drop 'price tag'")
    assert run(["fit", str(table), *options, "--drop", "price tag", "--model", str(tmp_path / "b.chainrule")]) == 0
    assert "almost perfectly" not in capsys.readouterr().out
    assert run(["fit", str(table), *options, "--quiet", "--model", str(tmp_path / "c.chainrule")]) == 0
    assert not capsys.readouterr().out


def test_the_warning_takes_no_scikit_learn():
    code = "import sys, chainrule.show.leaks; print('sklearn' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
