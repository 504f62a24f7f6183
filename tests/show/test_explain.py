"""One row of a fitted model: the graph gives what the model predicts, its cost what scores say, in original units."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import Tab, chromium

import chainrule as cr
from chainrule.cli import run
from chainrule.errors import OptionError
from chainrule.models.model import load_model
from chainrule.show.explain import explain
from chainrule.show.page import page
from chainrule.tables import read_table

PENGUINS = Path(cr.__file__).parent / "data" / "penguins.csv"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("explain")
    common = ["--drop-missing-target", "--epochs", "3", "--members", "1", "--embedding", "none", "--quiet"]
    for target, *more in (["body_mass_g"], ["species"], ["sex"], ["body_mass_g", "--output", "mixture:3"]):
        name = "mixture" if more else target
        arguments = ["fit", str(PENGUINS), "--target", target, "--hidden", "6", *more, *common]
        assert run([*arguments, "--model", str(where / f"{name}.chainrule")]) == 0
    return where


def first_row(model: Any, row: int) -> tuple[np.ndarray, np.ndarray, Any]:
    frame = read_table(PENGUINS)[row : row + 1]
    return model.inputs.encoder.to_matrix(frame)[0], model.target.to_array(frame)[0], frame


@pytest.mark.parametrize("name", ["body_mass_g", "species", "sex", "mixture"])
@pytest.mark.parametrize("row", [0, 16])
def test_the_graph_predicts_what_the_model_predicts(folder: Path, name: str, row: int) -> None:
    model = load_model(folder / f"{name}.chainrule")
    cells, y, frame = first_row(model, row)
    story, show = explain(model, cells, y)
    expected = model.predict(frame)
    assert story.cost is not None
    np.testing.assert_allclose(story.value(story.cost), -expected.logpdf(y[0])[0], rtol=2e-5)
    prediction = show.readouts[0].position
    np.testing.assert_allclose(np.ravel(story.value(prediction)), np.ravel(expected.mean()), rtol=1e-5)
    called = story.graph.node_names
    assert set(model.inputs.columns) <= set(called)
    assert [c.label for c in show.controls][: len(cells)] == list(model.inputs.columns)


def test_without_an_observation_the_prediction_is_differentiated(folder: Path) -> None:
    model = load_model(folder / "body_mass_g.chainrule")
    cells, _, _ = first_row(model, 16)
    story, _ = explain(model, cells)
    column = model.inputs.columns.index("flipper_length_mm")
    position = story.graph.node_names.index("flipper_length_mm")
    step = 1e-3
    moved = [cells + sign * step * (np.arange(len(cells)) == column) for sign in (1, -1)]
    up, down = (explain(model, m)[0] for m in moved)
    slope = (up.value(up.cost) - down.value(down.cost)) / (2 * step)
    np.testing.assert_allclose(story.gradient(position), slope, rtol=1e-6)


def test_an_estimator_is_drawn(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3))
    fitted = cr.LogisticRegression().fit(X, np.where(X[:, 0] > 0, "up", "down"))
    drawing = cr.draw(fitted, X[3], "up", path=tmp_path / "row.html")
    p = fitted.predict_proba(X[3:4])[0]
    np.testing.assert_allclose(
        drawing.story.value(drawing.story.cost), -np.log(p[list(fitted.classes_).index("up")]), rtol=1e-6
    )
    with pytest.raises(OptionError, match="one row"):
        cr.draw(fitted, X[:2])
    with pytest.raises(OptionError, match="is one of down, up"):
        cr.draw(fitted, X[3], "sideways")


@pytest.mark.parametrize("name", ["body_mass_g", "species", "mixture"])
def test_the_page_computes_every_number_as_python_does(folder: Path, name: str) -> None:
    model = load_model(folder / f"{name}.chainrule")
    cells, y, _ = first_row(model, 16)
    story, show = explain(model, cells, y)
    with chromium() as browser:
        tab = Tab(browser, page(story, show))
        tab.page.evaluate("chainrule.state.rerun()")
        found = tab.page.evaluate("chainrule.state.numbers.map((x) => Array.from(x.data, Number))")
        tab.close()
    assert len(found) == len(story.numbers)
    for mine, theirs in zip(found, story.numbers, strict=True):
        scale = np.abs(theirs).max(initial=0.0)
        np.testing.assert_allclose(mine, np.ravel(theirs), rtol=1e-9, atol=1e-12 * scale + 1e-13)


@pytest.mark.parametrize(
    "output",
    [cr.Laplace(), cr.StudentT(), cr.Quantile([0.1, 0.5, 0.9]), cr.Poisson()],
    ids=lambda output: output.name,
)
def test_every_output_of_numbers(output: Any) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 2))
    y = np.round(np.exp(X[:, 0]) + 1.0)
    fitted = cr.FeedForwardRegressor(3, output=output, n_members=1, max_iter=2, random_state=0).fit(X, y)
    story = cr.draw(fitted, X[3], y[3]).story
    prediction = story.value(story.graph.node_names.index("prediction"))
    np.testing.assert_allclose(np.ravel(prediction), fitted.predict(X[3:4]), rtol=1e-5)
    distribution = fitted.model_.predict(X[3:4])
    if output.likelihood:
        expected = -distribution.logpdf(y[3:4])[0]
    else:  # the mean of the levels' check functions (Koenker & Bassett 1978), in the target's own units
        error = y[3] - distribution.quantiles([0.1, 0.5, 0.9])[0]
        expected = np.mean(np.maximum(np.array([0.1, 0.5, 0.9]) * error, np.array([-0.9, -0.5, -0.1]) * error))
    assert story.cost is not None
    assert float(story.value(story.cost)) == pytest.approx(float(expected), rel=1e-4)


def test_several_targets_at_once() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 2))
    Y = np.c_[X[:, 0], 100.0 * X[:, 1]]
    fitted = cr.FeedForwardRegressor(3, n_members=1, max_iter=2, random_state=0).fit(X, Y)
    story = cr.draw(fitted, X[3], Y[3]).story
    prediction = story.value(story.graph.node_names.index("prediction"))
    np.testing.assert_allclose(np.ravel(prediction), fitted.predict(X[3:4])[0], rtol=1e-5)


def test_what_if_in_original_units(folder: Path) -> None:
    model = load_model(folder / "body_mass_g.chainrule")
    cells, y, frame = first_row(model, 16)
    with chromium() as browser:
        tab = Tab(browser, page(*explain(model, cells, y)))
        column = model.inputs.columns.index("flipper_length_mm")
        tab.page.fill(f"#control{column} + input", "215")
        tab.page.keyboard.press("Enter")
        tab.page.select_option(f"#control{model.inputs.columns.index('sex')}", label="male")
        found = float(tab.page.inner_text("[data-part=results] output >> nth=0"))
        tab.close()
    import polars as pl

    changed = frame.with_columns(pl.lit(215).alias("flipper_length_mm"), pl.lit("male").alias("sex"))
    assert found == pytest.approx(float(model.predict(changed).mean()[0]), rel=1e-4)


def test_missing_values_in_the_page(folder: Path) -> None:
    model = load_model(folder / "species.chainrule")
    cells, y, frame = first_row(model, 3)  # a penguin that ran away before it was measured
    assert np.isnan(cells).sum() >= 4
    with chromium() as browser:
        tab = Tab(browser, page(*explain(model, cells, y)), "#step=1")
        assert "missing" in tab.page.inner_text("#narration")
        read = "Array.from(chainrule.state.value(chainrule.state.story.readouts[0].position).data)"
        np.testing.assert_allclose(tab.page.evaluate(read), model.predict(frame).mean()[0], rtol=1e-5)
        column = model.inputs.columns.index("flipper_length_mm")
        tab.page.fill(f"#control{column} + input", "200")
        tab.page.keyboard.press("Enter")
        given = tab.page.evaluate(read)
        tab.page.fill(f"#control{column} + input", "")
        tab.page.keyboard.press("Enter")
        np.testing.assert_allclose(tab.page.evaluate(read), model.predict(frame).mean()[0], rtol=1e-5)
        assert given != tab.page.evaluate(read)
        tab.close()


def test_command(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, out = str(folder / "body_mass_g.chainrule"), tmp_path / "row.html"
    assert run(["explain", model, str(PENGUINS), "--row", "17", "-o", str(out)]) == 0
    assert "body_mass_g of row 17" in capsys.readouterr().out
    assert "row 17" in out.read_text("utf-8")
    for arguments, words in [
        (["--row", "0"], "--row must lie between 1 and 344"),
        (["--member", "2"], "--member must lie between 1 and 1"),
        (["-o", model], "would be written over the input"),
    ]:
        assert run(["explain", model, str(PENGUINS), *arguments]) == 1
        assert words in capsys.readouterr().err
