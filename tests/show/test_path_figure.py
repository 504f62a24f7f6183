"""The picture of a penalty path."""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes

import chainrule as cr

pytest.importorskip("matplotlib")

from chainrule.show.path_figure import path_cv_figure, path_figure
from chainrule.show.style import save


@pytest.fixture(scope="module")
def model():
    return cr.PathCV(cr.LinearRegression(), n_strengths=20, cv=3).fit(*load_diabetes(return_X_y=True, as_frame=True))


def test_lines_are_the_coefficients(model, tmp_path):
    figure = path_figure(model.path_, at=model.alpha_)
    lines = {line.get_label(): line for line in figure.axes[0].get_lines()}
    np.testing.assert_array_equal(lines["bmi"].get_ydata(), model.path_.coef[:, 2])
    np.testing.assert_array_equal(lines["bmi"].get_xdata(), model.alphas_)
    assert figure.axes[0].get_legend().get_texts()[0].get_text() == model.path_.entered[0][0]
    save(figure, tmp_path / "path.png")
    assert (tmp_path / "path.png").stat().st_size > 5000


def test_both_choices_are_marked(model, tmp_path):
    figure = path_cv_figure(model)
    texts = [t.get_text() for t in figure.axes[1].get_legend().get_texts()]
    assert texts[0].startswith(f"best: {model.alpha_best_:.3g}")
    assert texts[1].startswith(f"one standard error: {model.alpha_one_se_:.3g}")
    save(figure, tmp_path / "cv.svg")


def test_several_classes_are_drawn_by_size():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 4))
    path = cr.penalty_path(cr.LogisticRegression(), X, np.digitize(X[:, 0], [-0.5, 0.5]), n_strengths=5)
    assert "4 features enter" in path_figure(path).axes[0].get_title() or path.coef.shape == (5, 3, 4)
