"""Output distributions: how the raw numbers of a network's last layer are read as a distribution of the target.

`Output` objects give the negative log-likelihood that training minimises; `Distribution` objects are what a fitted
model predicts, with the methods of SciPy's frozen distributions.
"""

from chainrule.outputs.base import OUTPUTS, Output, output_from_json, register
from chainrule.outputs.bernoulli import Bernoulli, BernoulliDistribution
from chainrule.outputs.categorical import Categorical, CategoricalDistribution
from chainrule.outputs.distribution import Distribution
from chainrule.outputs.ensemble import Mixture, mixture_of
from chainrule.outputs.gaussian import Gaussian
from chainrule.outputs.laplace import Laplace, LaplaceDistribution
from chainrule.outputs.mixture import GaussianMixture
from chainrule.outputs.normal import Normal, NormalMixture
from chainrule.outputs.poisson import Poisson, PoissonDistribution
from chainrule.outputs.quantile import Quantile, QuantileDistribution
from chainrule.outputs.student_t import StudentT, StudentTDistribution

__all__ = [
    "OUTPUTS",
    "Bernoulli",
    "BernoulliDistribution",
    "Categorical",
    "CategoricalDistribution",
    "Distribution",
    "Gaussian",
    "GaussianMixture",
    "Laplace",
    "LaplaceDistribution",
    "Mixture",
    "Normal",
    "NormalMixture",
    "Output",
    "Poisson",
    "PoissonDistribution",
    "Quantile",
    "QuantileDistribution",
    "StudentT",
    "StudentTDistribution",
    "mixture_of",
    "output_from_json",
    "register",
]
