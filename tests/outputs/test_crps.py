"""Closed forms of the CRPS against adaptive quadrature of its definition, and sums for whole numbers, to 1e-8."""

import itertools

import numpy as np
import pytest
from scipy.integrate import quad

from chainrule.outputs import CategoricalDistribution, StudentT, mixture_of, normal, quadrature
from chainrule.outputs.laplace import LaplaceDistribution
from chainrule.outputs.normal import NormalMixture
from chainrule.outputs.student_t import StudentTDistribution
from outputs.output_cases import ORDERED, raw_of, target_of

CUTS = [
    1e-14,
    1e-10,
    1e-6,
    1e-4,
    1e-2,
    0.05,
    0.1,
    0.2,
    0.3,
    0.4,
    0.5,
    0.6,
    0.7,
    0.8,
    0.9,
    0.95,
    0.99,
    1 - 1e-4,
    1 - 1e-6,
]


def by_definition(d, y):
    """∫ (F(x) - 1{x >= y})² dx of one distribution."""
    if d.discrete:
        ends = np.unique(np.append(np.arange(-20.0, 2000.0), y))
        f = d.cdf(ends[:-1, None])[:, 0]
        return np.sum(np.diff(ends) * np.square(f - (ends[:-1] >= y)))
    far = d.ppf(np.array([[1e-15], [1 - 1e-15]]))[:, 0]
    cuts = np.sort(np.concatenate([far, d.ppf(np.array(CUTS)[:, None])[:, 0], [y, y - 1e-3, y + 1e-3]]))

    def left(x):
        return d.cdf(np.array([x]))[0] ** 2

    def right(x):
        return d.sf(np.array([x]))[0] ** 2

    pieces = [
        quad(left if b <= y else right, a, b, epsabs=1e-13, epsrel=1e-12)[0]
        for a, b in itertools.pairwise(cuts)
        if b > a
    ]
    return sum(pieces)


@pytest.mark.parametrize(("output", "t"), [c for c in ORDERED if c.values[1] == 1])
def test_closed_forms(output, t):
    d = output.distribution(raw_of(output, 2, t, seed=5))
    near = target_of(output, 2, t, seed=6)[:, 0]
    for away in (0.0, 2.5, -4.0):
        for k in range(2):
            y = near[k] + away
            assert d[[k]].crps(y)[0] == pytest.approx(by_definition(d[[k]], y), rel=1e-8, abs=1e-11)


def test_of_an_ensemble_of_mixtures():
    from chainrule.outputs import GaussianMixture

    d = mixture_of([GaussianMixture(3).distribution(raw_of(GaussianMixture(3), 1, 1, seed=s)) for s in range(5)])
    for y in (-2.0, 0.1, 5.0):
        assert d.crps(y)[0] == pytest.approx(by_definition(d, y), rel=1e-8)


def students(n, kind):
    """Ensembles of five: close to each other, far apart, of heavy tails and different widths, as good as normal."""
    rng = np.random.default_rng(0)
    base = rng.normal(size=(n, 3))
    raws = {
        "close": lambda: base + 0.3 * rng.normal(size=(n, 3)),
        "apart": lambda: base + 2.0 * rng.normal(size=(n, 3)),
        "heavy": lambda: rng.normal(size=(n, 3)) * np.array([1.0, 2.0, 1.0]) - np.array([0.0, 0.0, 6.0]),
        "light": lambda: rng.normal(size=(n, 3)) + np.array([0.0, 0.0, 100.0]),
    }
    return [StudentT().distribution(raws[kind]()) for _ in range(5)]


@pytest.mark.parametrize("kind", ["close", "apart", "heavy", "light"])
@pytest.mark.filterwarnings("ignore::scipy.integrate.IntegrationWarning")  # of its last digits, in heavy tails
def test_of_an_ensemble_of_students(kind):
    members = students(4, kind)
    d = mixture_of(members)
    for k, y in itertools.product(range(4), (0.1, -5.0)):
        assert d[[k]].crps(y)[0] == pytest.approx(by_definition(d[[k]], y), rel=1e-6)


def test_of_students_it_takes_few_evaluations(monkeypatch):
    evaluated = []
    cdf = StudentTDistribution.cdf
    monkeypatch.setattr(StudentTDistribution, "cdf", lambda d, y: (evaluated.append(np.size(y)), cdf(d, y))[1])
    d = mixture_of(students(2000, "close"))
    assert np.isfinite(d.crps(np.zeros(2000))).all()
    assert sum(evaluated) < 5 * 50 * 2000  # 50 per member and row; between quantiles it was 460


def test_of_students_of_any_scale():
    members = students(20, "close")
    for scale in (1e-200, 1e-6, 1e6, 1e200):
        scaled = mixture_of([m.affine(3.0 * scale, scale) for m in members]).crps(3.5 * scale)
        np.testing.assert_allclose(scaled, scale * mixture_of(members).crps(0.5), rtol=1e-6)
    far = mixture_of(
        [StudentTDistribution(np.array([m]), np.array([s]), np.array([3.0])) for m, s in ((0, 1e-6), (1, 1))]
    )
    assert far.crps(0.3)[0] == pytest.approx(by_definition(far, 0.3), rel=1e-6)
    same = mixture_of([members[0], members[0]])
    np.testing.assert_allclose(same.crps(1.0), members[0].crps(1.0), rtol=1e-12)


def test_of_classes_it_is_half_the_brier_score():
    d = CategoricalDistribution(np.log([[0.2, 0.3, 0.5]]))
    assert d.crps(1.0)[0] == pytest.approx(0.5 * (0.04 + 0.49 + 0.25), rel=1e-14)


@pytest.mark.parametrize(
    ("far", "spans", "tolerance"), [(0.1, 0.0, 1e-7), (1.0, 0.3, 1e-9), (3.0, 3.0, 1e-4), (10.0, 6.0, 2e-3)]
)
def test_mixtures_of_very_many_components(far, spans, tolerance, monkeypatch):
    """Quadrature in the place of all pairs of components."""
    rng = np.random.default_rng(0)
    shape = (3, 2, 400)
    weights = rng.dirichlet(np.ones(400), shape[:2])
    mixture = NormalMixture(np.log(weights), far * rng.normal(size=shape), np.exp(spans * rng.normal(size=shape)))
    y = rng.normal(size=shape[:2])
    exact = mixture.crps(y)
    monkeypatch.setattr(normal, "_MOST_PAIRED", 399)
    found = mixture.crps(y)
    assert not np.array_equal(found, exact)
    np.testing.assert_allclose(found, exact, rtol=0, atol=tolerance * np.max(mixture.std()))


def test_ensembles_of_very_many_members(monkeypatch):
    rng = np.random.default_rng(0)
    members = [LaplaceDistribution(rng.normal(size=5), np.exp(0.5 * rng.normal(size=5))) for _ in range(60)]
    thinned = quadrature.disagreement(members)
    monkeypatch.setattr(quadrature, "MOST_CUTS", 10**6)
    exact = quadrature.disagreement(members)
    assert not np.array_equal(thinned, exact)
    np.testing.assert_allclose(thinned, exact, rtol=1e-5)
