"""Output distributions: how the raw numbers of a network's last layer are read as a distribution of the target.

`Output` objects give the negative log-likelihood that training minimises; `Distribution` objects are what a fitted
model predicts, with the methods of SciPy's frozen distributions.
"""

from chainrule.outputs.base import OUTPUTS, Output, output_from_json, register
from chainrule.outputs.bernoulli import Bernoulli
from chainrule.outputs.categorical import Categorical
from chainrule.outputs.distribution import Distribution
from chainrule.outputs.ensemble import mixture_of
from chainrule.outputs.gaussian import Gaussian
from chainrule.outputs.laplace import Laplace
from chainrule.outputs.mixture import GaussianMixture
from chainrule.outputs.poisson import Poisson
from chainrule.outputs.quantile import Quantile
from chainrule.outputs.student_t import StudentT

__all__ = [
    "OUTPUTS",
    "Bernoulli",
    "Categorical",
    "Distribution",
    "Gaussian",
    "GaussianMixture",
    "Laplace",
    "Output",
    "Poisson",
    "Quantile",
    "StudentT",
    "mixture_of",
    "output_from_json",
    "register",
]
