"""Contours of cost, penalty and sum; planes through many parameters; files."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.show.paths import descend
from chainrule.show.style import save
from chainrule.show.surfaces import contour_levels, slice_plane, surface

pytest.importorskip("matplotlib")


def bowl(x):
    return (x[0] - 1.0) ** 2 + 3.0 * (x[1] - 0.2) ** 2


def stars(ax):
    return [tuple(np.round(line.get_xydata()[0], 6)) for line in ax.get_lines() if line.get_marker() == "*"]


def test_each_panel_has_its_own_minimum():
    path = descend(bowl, np.array([-1.0, 1.0]), cr.GD(0.05), steps=40, penalty=cr.L1(2.0), name="descent")
    figure = surface(bowl, penalty=cr.L1(2.0), paths=[path])
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["cost $J$", "penalty", "cost + penalty"]
    assert [stars(ax) for ax in figure.axes] == [[(1.0, 0.2)], [(0.0, 0.0)], [(0.0, 0.0)]]
    assert "descent" in [t.get_text() for t in figure.legends[0].get_texts()]
    (one,) = surface(bowl, paths=[descend(bowl, np.zeros(2), cr.GD(0.05))]).axes
    assert stars(one) == [(1.0, 0.2)]


def test_levels_span_what_is_finite_and_are_closest_at_the_bottom():
    heights = contour_levels(np.array([[2.0, np.nan], [6.0, 3.0]]), 9)
    assert (heights[0], heights[-1]) == (2.0, 6.0)
    assert (np.diff(heights, 2) > 0.0).all()
    assert (np.diff(contour_levels(np.ones((2, 2)), 5)) > 0.0).all()  # a flat cost has contours to draw too
    with pytest.raises(cr.OptionError, match="another extent"):
        contour_levels(np.full((2, 2), np.inf), 5)


def test_planes_through_many_parameters():
    def cost(p):
        return np.sum((p["w"] - 1.0) ** 2) + np.sum((p["b"] + 2.0) ** 2)

    path = descend(cost, {"w": np.zeros((2, 3)), "b": np.zeros(2)}, cr.Adam(0.1), steps=60)
    x = {"w": np.ones((2, 3)), "b": np.full(2, -2.0)}
    (ax,) = slice_plane(cost, x, path=path.theta).axes
    assert ax.get_xlabel().startswith("principal direction 1 (")
    course = next(line.get_xydata() for line in ax.get_lines() if len(line.get_xydata()) == 61)
    # distances within the plane are distances in parameter space, as far as the plane holds the path
    middle = np.concatenate([x["b"], x["w"].ravel()])  # a dictionary's leaves are sorted by key
    full = np.linalg.norm(path.theta - middle, axis=1)
    assert (np.linalg.norm(course, axis=1) <= full + 1e-9).all()
    np.testing.assert_allclose(np.linalg.norm(course, axis=1)[0], full[0], rtol=0.05)
    (ax,) = slice_plane(cost, x).axes
    assert ax.get_ylabel() == "random direction 2"
    with pytest.raises(cr.OptionError, match="two parameters"):
        slice_plane(lambda x: x**2, 1.0)
    with pytest.raises(cr.OptionError, match="surface is of two parameters"):
        surface(bowl, paths=[path])


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_files_are_the_same_bytes_again(tmp_path, kind):
    for name in ("a", "b"):
        save(surface(bowl), tmp_path / f"{name}.{kind}")
    assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()


def test_refused_places(tmp_path):
    figure = surface(bowl)
    with pytest.raises(cr.OptionError, match="a figure is written as"):
        save(figure, tmp_path / "a.txt")
    with pytest.raises(cr.OptionError, match="cannot be written"):
        save(figure, tmp_path / "none" / "a.png")
