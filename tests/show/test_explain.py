"""One row of a fitted model: the graph gives what the model predicts, its cost what scores say, in original units."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import Tab, chromium

import chainrule as cr
from chainrule.cli import run
from chainrule.errors import OptionError
from chainrule.models.model import Model, load_model
from chainrule.outputs.calibration import with_spread
from chainrule.outputs.normal import Normal
from chainrule.show.explain import explain
from chainrule.show.page import page
from chainrule.show.text import formula, names
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


@pytest.fixture(scope="module")
def ensembles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fits as anybody makes them: five networks, the embedding where it helps; and one with the embedding for sure."""
    where = tmp_path_factory.mktemp("ensembles")
    fits = {
        "species": ["species"],
        "body_mass_g": ["body_mass_g"],
        "sex": ["sex", "--epochs", "10"],
        "mixture": ["body_mass_g", "--output", "mixture", "--epochs", "30"],
        "poisson": ["body_mass_g", "--output", "poisson", "--epochs", "30"],
        "embedded": ["body_mass_g", "--embedding", "piecewise", "--epochs", "10"],
        "wide": ["species", "--hidden", "160,160", "--epochs", "3"],
        "quantile": ["body_mass_g", "--output", "quantile:0.1,0.5,0.9", "--epochs", "3"],
    }
    for name, (target, *more) in fits.items():
        arguments = ["fit", str(PENGUINS), "--target", target, *more, "--drop-missing-target", "--quiet"]
        assert run([*arguments, "--model", str(where / f"{name}.chainrule")]) == 0
    return where


CLASSES = ["Adelie", "Chinstrap", "Gentoo"]
WHOLE = ["species", "body_mass_g", "sex", "mixture", "poisson", "embedded"]


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


def test_an_output_whose_mean_cannot_be_recorded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's own may compute it as it likes: then the graph ends at the cost."""
    model = load_model(folder / "body_mass_g.chainrule")
    cells, y, frame = first_row(model, 16)
    expected = -model.predict(frame).logpdf(y[0])[0]
    monkeypatch.setattr(Normal, "mean", lambda self: np.asarray(self.loc))
    story, show = explain(model, cells, y)
    np.testing.assert_allclose(story.value(story.cost), expected, rtol=2e-5)
    assert story.graph.outputs == (story.cost,)
    assert all(r.position == story.cost for r in show.readouts)


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("row", [0, 16, 200])
def test_an_ensemble_predicts_what_the_model_predicts(ensembles: Path, name: str, row: int) -> None:
    model = load_model(ensembles / f"{name}.chainrule")
    assert len(model.members) == 5
    cells, y, frame = first_row(model, row)
    story, show = explain(model, cells, y)
    expected = model.predict(frame)
    assert story.cost is not None
    assert show.subtitle == "5 networks, mixed with equal weights"
    np.testing.assert_allclose(story.value(story.cost), -expected.logpdf(y[0])[0], rtol=2e-5, atol=1e-9)
    np.testing.assert_allclose(
        np.ravel(story.value(show.readouts[0].position)), np.ravel(expected.mean()), rtol=1e-5, atol=1e-9
    )
    moved = {story.graph.node_names[i] for i in show.parameters}
    for k in range(1, 6):  # the gradient step changes all of them
        assert f"net{k}.output.weight" in moved
    scopes = {node.scope.split("/")[0] for node in story.graph.nodes}
    assert {"preprocessing", "prediction", "cost", *show.folded} <= scopes
    assert show.folded == ("target", *(f"network {k}" for k in range(1, 6)))


def test_one_network_of_an_ensemble_beside_all(ensembles: Path) -> None:
    model = load_model(ensembles / "body_mass_g.chainrule")
    cells, y, frame = first_row(model, 16)
    story, show = explain(model, cells, y, member=2)
    alone = replace(model, members=model.members[2:3]).predict(frame)
    together = f"all 5 together: {model.predict(frame).mean()[0]:.5g}"
    assert show.subtitle == f"network 3 of 5; {together}"
    assert show.readouts[0].note == together
    assert show.readouts[1].note == f"all 5 together: {-model.predict(frame).logpdf(y)[0]:.5g}"
    np.testing.assert_allclose(story.value(show.readouts[0].position), alone.mean(), rtol=1e-5)
    np.testing.assert_allclose(story.value(story.cost or 0), -alone.logpdf(y[0])[0], rtol=1e-5)


@pytest.mark.parametrize("name", ["species", "body_mass_g"])
def test_a_model_that_adjusts_its_distribution_is_quoted(
    folder: Path, ensembles: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model_of, told = Model.distribution, "as the model is calibrated: "
    for model in (load_model(folder / f"{name}.chainrule"), load_model(ensembles / f"{name}.chainrule")):
        cells, y, frame = first_row(model, 250)
        assert [r.note for r in explain(model, cells, y)[1].readouts] == ["", ""]
        with monkeypatch.context() as patched:
            patched.setattr(Model, "distribution", lambda self, columns: with_spread(model_of(self, columns), 3.0))
            expected = model.predict(frame)
            predicted, cost = (r.note for r in explain(model, cells, y)[1].readouts)
        assert cost == f"{told}{-expected.logpdf(y)[0]:.5g}"
        share = np.ravel(expected.mean())
        assert predicted == ("" if name == "body_mass_g" else f"{told}{CLASSES[np.argmax(share)]} {share.max():.4g}")


@pytest.mark.parametrize("name", ["wide", "quantile"])
def test_the_nearest_network_stands_for_an_ensemble_that_is_too_large_or_no_likelihood(
    ensembles: Path, name: str
) -> None:
    model = load_model(ensembles / f"{name}.chainrule")
    cells, y, frame = first_row(model, 16)
    story, show = explain(model, cells, y)

    def middle(members: Any) -> np.ndarray:
        made = replace(model, members=members).predict(frame)
        return np.ravel(made.median() if name == "quantile" else made.mean())

    whole = middle(model.members)
    alone = np.array([middle((m,)) for m in model.members])
    nearest = int(np.argmin(np.linalg.norm(alone - whole, axis=1)))
    best = f"{model.target.classes[0][np.argmax(whole)]} {whole.max():.4g}" if name == "wide" else f"{whole[0]:.5g}"
    assert show.subtitle == f"network {nearest + 1} of 5; all 5 together: {best}"
    np.testing.assert_allclose(np.ravel(story.value(show.readouts[0].position)), alone[nearest], rtol=1e-5)
    assert len(page(story, show)) <= 500_000


def test_no_more_nodes_than_a_page_can_step_through(ensembles: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_model(ensembles / "species.chainrule")
    cells, y, _ = first_row(model, 16)
    monkeypatch.setattr("chainrule.show.explain.MAX_NODES", 100)
    assert "all 5 together" in explain(model, cells, y)[1].subtitle


def test_the_embedding_by_name(ensembles: Path) -> None:
    model = load_model(ensembles / "embedded.chainrule")
    cells, y, _ = first_row(model, 16)
    for member, prefix in ((None, "net2."), (1, "")):
        graph = explain(model, cells, y, member=member)[0].graph
        place = {name: k for k, name in enumerate(graph.node_names)}
        knots = graph.nodes[place[f"{prefix}knots"]]
        assert knots.primitive.name == graph.nodes[place[f"{prefix}widths"]].primitive.name == "constant"
        np.testing.assert_array_equal(knots.params["value"], model.members[1].buffers["layer1.low"])
        whole = place[f"{prefix}embedding"]
        called = names(graph)
        assert formula(graph, whole, called) == f"concatenate(x, {prefix}inside)"
        assert graph.nodes[whole].scope.split("/")[-1] == "embedding"


def test_labels_are_not_smoothed_in_the_cost_of_a_row() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3))
    y = np.array(["a", "b", "c"])[rng.integers(3, size=40)]
    output = cr.Categorical(label_smoothing=0.2)
    fitted = cr.FeedForwardClassifier(3, output=output, n_members=2, max_iter=3, random_state=0).fit(X, y)
    story = cr.draw(fitted, X[3], y[3]).story
    p = fitted.predict_proba(X[3:4])[0][list(fitted.classes_).index(y[3])]
    assert story.cost is not None
    np.testing.assert_allclose(story.value(story.cost), -np.log(p), rtol=1e-5)


def test_an_ensemble_without_an_observation_and_with_several_targets() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 2))
    Y = np.c_[X[:, 0], 100.0 * X[:, 1]]
    fitted = cr.FeedForwardRegressor(3, n_members=3, max_iter=2, random_state=0).fit(X, Y)
    story, show = explain(fitted.model_, X[3], Y[3])
    np.testing.assert_allclose(np.ravel(story.value(show.readouts[0].position)), fitted.predict(X[3:4])[0], rtol=1e-5)
    np.testing.assert_allclose(
        story.value(story.cost or 0), -np.ravel(fitted.predict_dist(X[3:4]).log_score(Y[3:4]))[0], rtol=1e-5
    )
    one = cr.FeedForwardRegressor(3, n_members=3, max_iter=2, random_state=0).fit(X, Y[:, 0])
    story = cr.draw(one, X[3]).story
    np.testing.assert_allclose(story.value(story.cost or 0), one.predict(X[3:4])[0], rtol=1e-5)


@pytest.mark.parametrize("name", ["species", "body_mass_g", "mixture", "poisson", "embedded"])
def test_the_page_of_an_ensemble_in_a_browser(ensembles: Path, name: str) -> None:
    model = load_model(ensembles / f"{name}.chainrule")
    cells, y, frame = first_row(model, 16)
    story, show = explain(model, cells, y)
    text = page(story, show)
    assert len(text.encode()) <= 500_000
    expected = model.predict(frame)
    with chromium() as browser:
        tab = Tab(browser, text)
        assert tab.page.evaluate("chainrule.state.opened.has('network 1')") is False
        read = "chainrule.state.story.readouts.map((r) => Array.from(chainrule.state.value(r.position).data, Number))"
        for _ in range(2):  # as Python computed it, then as the page does
            predicted, cost = tab.page.evaluate(read)
            np.testing.assert_allclose(predicted, np.ravel(expected.mean()), rtol=1e-5, atol=1e-9)
            np.testing.assert_allclose(cost, -expected.logpdf(y[0]), rtol=2e-5, atol=1e-9)
            tab.page.evaluate("chainrule.state.rerun()")
        found = tab.page.evaluate("chainrule.state.numbers.map((x) => Array.from(x.data, Number))")
        for mine, theirs in zip(found, story.numbers, strict=True):
            scale = np.abs(theirs).max(initial=0.0)
            np.testing.assert_allclose(mine, np.ravel(theirs), rtol=1e-9, atol=1e-12 * scale + 1e-13)
        rate = 1e-7 if name == "poisson" else 1e-3  # a count of thousands curves as much
        tab.page.evaluate(f"chainrule.state.rate = {rate}")
        biases = [f"net{k}.output.bias" for k in range(1, 6)]
        read = f"""{biases}.map((name) => chainrule.state.story.nodes.findIndex((node) => node.name === name))
            .map((node) => Array.from(chainrule.state.value(node).data))"""
        before, weights = tab.page.evaluate("chainrule.state.cost()"), tab.page.evaluate(read)
        tab.page.click("#take-step")
        assert tab.page.evaluate("chainrule.state.cost()") < before
        assert all(a != b for a, b in zip(weights, tab.page.evaluate(read), strict=True))  # every network has moved
        tab.close()


def test_what_all_predict_is_said_of_the_row_as_given(ensembles: Path) -> None:
    model = load_model(ensembles / "body_mass_g.chainrule")
    cells, y, _ = first_row(model, 16)
    story, show = explain(model, cells, y, member=0)
    with chromium() as browser:
        tab = Tab(browser, page(story, show))
        assert tab.page.inner_text("[data-part=results] .note >> nth=0") == show.readouts[0].note
        column = model.inputs.columns.index("flipper_length_mm")
        tab.page.fill(f"#control{column} + input", "215")
        tab.page.keyboard.press("Enter")
        assert (
            tab.page.inner_text("[data-part=results] .note >> nth=0") == f"{show.readouts[0].note}, of the row as given"
        )
        tab.close()


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
        tab.page.keyboard.press("ArrowRight")
        said = tab.page.locator('.box[aria-label^="island, "]').get_attribute("aria-label")
        tab.close()
    assert said == "island, input, number, value Torgersen"  # not its code
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


def test_a_category_has_no_derivative(folder: Path) -> None:
    model = load_model(folder / "body_mass_g.chainrule")
    cells, y, _ = first_row(model, 16)
    with chromium() as browser:
        tab = Tab(browser, page(*explain(model, cells, y)))
        tab.page.keyboard.press("End")
        given = tab.page.evaluate("""() => chainrule.state.given.map((k) => {
            chainrule.state.select(k);
            return [chainrule.state.story.nodes[k].name, document.querySelector("[data-part=node]").innerText];
        })""")
        tab.close()
    words = {name: text for name, text in given if name in model.inputs.columns}
    assert "A category has no derivative" in words["sex"]
    assert "A category has no derivative" not in words["flipper_length_mm"]
    assert "GRADIENT" in words["flipper_length_mm"].upper()


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
        (["--member", "2"], "--member must lie between 1 and 1, the model's networks, got 2"),
        (["--member", "0"], "got 0"),
        (["-o", model], "would be written over the input"),
    ]:
        assert run(["explain", model, str(PENGUINS), *arguments]) == 1
        assert words in capsys.readouterr().err


def test_command_with_an_ensemble(ensembles: Path, tmp_path: Path) -> None:
    model, out = str(ensembles / "species.chainrule"), tmp_path / "row.html"
    assert run(["explain", model, str(PENGUINS), "--row", "17", "-o", str(out)]) == 0
    assert "5 networks, mixed with equal weights" in out.read_text("utf-8")
    assert run(["explain", model, str(PENGUINS), "--row", "17", "--member", "4", "-o", str(out)]) == 0
    assert "network 4 of 5; all 5 together: Adelie " in out.read_text("utf-8")
