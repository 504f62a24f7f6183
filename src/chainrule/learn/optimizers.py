"""Optimisers: how a gradient becomes a step.

A first-order optimiser is two pure functions in plain NumPy over one flat parameter vector θ: ``init`` makes its state
buffers, ``update`` takes the gradient, θ, the state and the step number ``t = 1, 2, …`` and returns the new θ, the new
state and the *step size*, one number or one per element. Traced together with the loss, its gradient and the penalty,
``update`` becomes the end of the training step's graph. Hyper-parameters are inputs of that graph, by the names in
``hyper``.

The step size is what a proximal penalty needs (see `chainrule.learn.penalties`). It is scaled so that θ is left where
it is exactly if the gradient and the penalty balance: with ``s`` the step size and ``ḡ`` the gradient once it no
longer changes, θ_new = θ − s·ḡ.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np

from chainrule.errors import OptionError
from chainrule.learn.records import Record, number
from chainrule.learn.schedules import Schedule

State = dict[str, Any]


class Optimizer(Record, ABC, kind="optimizer"):
    """Base of all optimisers.

    Attributes
    ----------
    full_batch : bool
        Whether it needs the objective as a whole (all rows) and runs its own iteration, as L-BFGS does. All others
        are `FirstOrder` and take any gradient, of a mini-batch too.
    """

    full_batch: ClassVar[bool]


class FirstOrder(Optimizer, abstract=True):
    """Base of the optimisers that are expressed as one update of θ from one gradient.

    Every one has a learning rate ``lr``, a number or a `Schedule`.
    """

    full_batch = False
    lr: float | Schedule

    def hyper(self) -> dict[str, float]:
        """The numbers that become inputs of the training step's graph, by name; a schedule's as ``lr.<name>``."""
        values: dict[str, float] = {}
        for field in fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if isinstance(value, Schedule):
                values |= {f"lr.{key}": x for key, x in value.hyper().items()}
            elif not isinstance(value, bool):
                values[field.name] = value
        return values

    @abstractmethod
    def init(self, theta: Any) -> State:
        """State buffers of θ's shape and dtype, by name.

        Parameters
        ----------
        theta : array, shape (n,)
        """

    @abstractmethod
    def update(
        self, grad: Any, theta: Any, state: State, hyper: Mapping[str, Any], t: Any, mask: Any = None
    ) -> tuple[Any, State, Any]:
        """One step.

        Parameters
        ----------
        grad, theta : array, shape (n,)
            Plain or traced.
        state : dict
            As `init` or the previous update returned it.
        hyper : mapping
            A number or a traced scalar of θ's dtype for every name in `hyper`.
        t : number, array or traced scalar
            Step number, 1 for the first; of any dtype.
        mask : array of 0 and 1, shape (n,), optional
            Which elements weight decay applies to (biases are usually spared); all by default.

        Returns
        -------
        theta : array, shape (n,)
        state : dict
        step : scalar or array, shape (n,)
            The step size: θ stays where it is exactly if ``grad + ∂penalty/∂θ = 0`` and the penalty is applied as a
            proximal step of this size.
        """

    def learning_rate(self, hyper: Mapping[str, Any], t: Any) -> Any:
        """η of step t."""
        if isinstance(self.lr, Schedule):
            return self.lr.rate(t, {key: hyper[f"lr.{key}"] for key in self.lr.hyper()})
        return hyper["lr"]

    def _check_rate(self) -> None:
        if not isinstance(self.lr, Schedule):
            number(self, "lr", 0, open_low=True)

    @classmethod
    def read_fields(cls, values: dict[str, Any]) -> dict[str, Any]:
        lr = values.get("lr")
        return values | {"lr": Schedule.from_json(lr)} if isinstance(lr, Mapping) else values


@dataclass(frozen=True)
class GD(FirstOrder):
    """Gradient descent: ``θ ← θ − η ∇J(θ)``.

    With ``weight_decay = λ`` it is the shrinkage form of an L2 penalty, ``θ ← (1 − ηλ) θ − η ∇J(θ)``: in exact
    arithmetic the same numbers as descending ``J(θ) + (λ/2) θᵀθ``, and in floating point the same to the rounding of
    one addition.

    Parameters
    ----------
    lr : float or Schedule
        Learning rate η.
    weight_decay : float
        λ of the shrinkage.

    References
    ----------
    Cauchy (1847), "Méthode générale pour la résolution des systèmes d'équations simultanées".
    Goodfellow, Bengio & Courville (2016), Deep Learning, §4.3 and §7.1.1 (the two forms).
    """

    lr: float | Schedule = 0.1
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        self._check_rate()
        number(self, "weight_decay", 0)

    def init(self, theta: Any) -> State:
        return {}

    def update(
        self, grad: Any, theta: Any, state: State, hyper: Mapping[str, Any], t: Any, mask: Any = None
    ) -> tuple[Any, State, Any]:
        lr = self.learning_rate(hyper, _as_number(t, theta))
        if self.weight_decay:
            theta = _shrink(theta, lr * hyper["weight_decay"], mask)
        return theta - lr * grad, state, lr


@dataclass(frozen=True)
class SGD(FirstOrder):
    """Stochastic gradient descent, with momentum if asked.

    ``b ← μ b + g``, then ``θ ← θ − η b``; Nesterov's form looks ahead: ``θ ← θ − η (g + μ b)``. Without momentum
    ``θ ← θ − η g``. A constant gradient builds up to ``b = g/(1−μ)``, so the step size is ``η/(1−μ)``.

    Parameters
    ----------
    lr : float or Schedule
        Learning rate η.
    momentum : float
        μ in [0, 1).
    nesterov : bool
        Needs ``momentum > 0``.

    References
    ----------
    Polyak (1964), "Some methods of speeding up the convergence of iteration methods".
    Nesterov (1983), "A method of solving a convex programming problem with convergence rate O(1/k²)"; the form used
    here is that of Sutskever, Martens, Dahl & Hinton (2013), "On the importance of initialization and momentum in deep
    learning".
    """

    lr: float | Schedule = 0.01
    momentum: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        self._check_rate()
        number(self, "momentum", 0, 1)
        if not isinstance(self.nesterov, (bool, np.bool_)):
            raise OptionError(f"SGD: nesterov must be True or False, got {self.nesterov!r}")
        if self.nesterov and not self.momentum:
            raise OptionError("SGD: nesterov=True looks ahead along the momentum; give momentum > 0, such as 0.9")

    def init(self, theta: Any) -> State:
        return {"velocity": np.zeros_like(theta)} if self.momentum else {}

    def update(
        self, grad: Any, theta: Any, state: State, hyper: Mapping[str, Any], t: Any, mask: Any = None
    ) -> tuple[Any, State, Any]:
        lr = self.learning_rate(hyper, _as_number(t, theta))
        if not self.momentum:
            return theta - lr * grad, state, lr
        momentum = hyper["momentum"]
        velocity = momentum * state["velocity"] + grad
        direction = grad + momentum * velocity if self.nesterov else velocity
        return theta - lr * direction, {"velocity": velocity}, lr / (1.0 - momentum)


@dataclass(frozen=True)
class RMSProp(FirstOrder):
    """Divide by a running root mean square of the gradient: ``v ← ρ v + (1−ρ) g²``, ``θ ← θ − η g / (√v + ε)``.

    Parameters
    ----------
    lr : float or Schedule
        Learning rate η.
    decay : float
        ρ in [0, 1).
    eps : float
        ε.

    References
    ----------
    Tieleman & Hinton (2012), Neural Networks for Machine Learning, lecture 6.5.
    """

    lr: float | Schedule = 1e-3
    decay: float = 0.9
    eps: float = 1e-8

    def __post_init__(self) -> None:
        self._check_rate()
        number(self, "decay", 0, 1)
        number(self, "eps", 0, open_low=True)

    def init(self, theta: Any) -> State:
        return {"second": np.zeros_like(theta)}

    def update(
        self, grad: Any, theta: Any, state: State, hyper: Mapping[str, Any], t: Any, mask: Any = None
    ) -> tuple[Any, State, Any]:
        lr, decay = self.learning_rate(hyper, _as_number(t, theta)), hyper["decay"]
        second = decay * state["second"] + (1.0 - decay) * np.square(grad)
        step = lr / (np.sqrt(second) + hyper["eps"])
        return theta - step * grad, {"second": second}, step


class _AdamFamily(FirstOrder, abstract=True):
    """What `Adam` and `AdamW` share: moments of the gradient and the step they give.

    Written so that an element costs one square root and one division: with ``c₁ = 1 − β₁ᵗ`` and ``c₂ = 1 − β₂ᵗ``,
    ``η m̂ / (√v̂ + ε) = (η √c₂/c₁) m / (√v + ε √c₂)``, and both corrections are numbers of the step.
    """

    def _check_moments(self) -> None:
        self._check_rate()
        number(self, "beta1", 0, 1)
        number(self, "beta2", 0, 1)
        number(self, "eps", 0, open_low=True)

    def init(self, theta: Any) -> State:
        return {"first": np.zeros_like(theta), "second": np.zeros_like(theta)}

    def _move(
        self, grad: Any, theta: Any, state: State, hyper: Mapping[str, Any], t: Any, lr: Any
    ) -> tuple[Any, State, Any]:
        beta1, beta2 = hyper["beta1"], hyper["beta2"]
        first = beta1 * state["first"] + (1.0 - beta1) * grad
        second = beta2 * state["second"] + (1.0 - beta2) * np.square(grad)
        root = np.sqrt(1.0 - np.power(beta2, t))
        scale = lr * root
        denominator = np.sqrt(second) + hyper["eps"] * root
        moved = theta - (scale / (1.0 - np.power(beta1, t))) * first / denominator
        return moved, {"first": first, "second": second}, scale / denominator


@dataclass(frozen=True)
class Adam(_AdamFamily):
    """Adaptive moments: ``θ ← θ − η m̂ / (√v̂ + ε)``.

    ``m ← β₁ m + (1−β₁) g`` and ``v ← β₂ v + (1−β₂) g²`` start at zero; ``m̂ = m/(1−β₁ᵗ)`` and ``v̂ = v/(1−β₂ᵗ)``
    take the bias of that start out again. The step size of an element is ``η / (√v̂ + ε)``.

    Parameters
    ----------
    lr : float or Schedule
        Learning rate η.
    beta1, beta2 : float
        In [0, 1).
    eps : float
        ε.

    References
    ----------
    Kingma & Ba (2015), "Adam: a method for stochastic optimization", ICLR, algorithm 1.
    """

    lr: float | Schedule = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8

    def __post_init__(self) -> None:
        self._check_moments()

    def update(
        self, grad: Any, theta: Any, state: State, hyper: Mapping[str, Any], t: Any, mask: Any = None
    ) -> tuple[Any, State, Any]:
        t = _as_number(t, theta)
        return self._move(grad, theta, state, hyper, t, self.learning_rate(hyper, t))


@dataclass(frozen=True)
class AdamW(_AdamFamily):
    """Adam with decoupled weight decay: ``θ ← (1 − η λ) θ − η m̂ / (√v̂ + ε)``.

    The decay does not pass through the moments, so unlike with plain gradient descent it is *not* an L2 penalty: every
    weight shrinks at the same rate, whatever the size of its gradients. For an L2 penalty use `Adam` with `L2`.

    Parameters
    ----------
    lr : float or Schedule
        Learning rate η.
    weight_decay : float
        λ.
    beta1, beta2 : float
        In [0, 1).
    eps : float
        ε.

    References
    ----------
    Loshchilov & Hutter (2019), "Decoupled weight decay regularization", ICLR, algorithm 2 with its schedule multiplier
    in η.
    """

    lr: float | Schedule = 1e-3
    weight_decay: float = 1e-2
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8

    def __post_init__(self) -> None:
        self._check_moments()
        number(self, "weight_decay", 0)

    def update(
        self, grad: Any, theta: Any, state: State, hyper: Mapping[str, Any], t: Any, mask: Any = None
    ) -> tuple[Any, State, Any]:
        t = _as_number(t, theta)
        lr = self.learning_rate(hyper, t)
        return self._move(grad, _shrink(theta, lr * hyper["weight_decay"], mask), state, hyper, t, lr)


@dataclass(frozen=True)
class LBFGS(Optimizer):
    """Limited-memory BFGS with a line search, on the whole objective at once (SciPy's L-BFGS-B).

    Builds an approximation of the inverse Hessian from the last few changes of θ and of the gradient, and searches
    along the direction it gives for a point that satisfies the strong Wolfe conditions.

    Parameters
    ----------
    memory : int
        Pairs of changes kept.

    References
    ----------
    Liu & Nocedal (1989), "On the limited memory BFGS method for large scale optimization".
    Zhu, Byrd, Lu & Nocedal (1997), "Algorithm 778: L-BFGS-B".
    """

    full_batch = True
    memory: int = 10

    def __post_init__(self) -> None:
        number(self, "memory", 1)
        object.__setattr__(self, "memory", int(self.memory))


def _shrink(theta: Any, amount: Any, mask: Any) -> Any:
    """(1 − amount) θ, where the mask is 1."""
    return theta * (1.0 - (amount if mask is None else amount * mask))


def _as_number(t: Any, theta: Any) -> Any:
    """The step number in θ's dtype, so that an integer counter does not widen the arithmetic."""
    return t if isinstance(t, (int, float)) else t.astype(theta.dtype)


def optimizer_of_name(name: str, lr: float | None = None) -> Optimizer:
    """The optimiser of a short name, as command lines and scikit-learn users write it.

    Parameters
    ----------
    name : {"adam", "adamw", "sgd", "rmsprop", "gd", "lbfgs"}
        ``sgd`` has Nesterov momentum 0.9.
    lr : float, optional
        Learning rate; the optimiser's own by default.

    Raises
    ------
    OptionError
        If there is none of that name.
    """
    rate = {} if lr is None else {"lr": float(lr)}
    made: dict[str, Callable[[], Optimizer]] = {
        "adam": lambda: Adam(**rate),
        "adamw": lambda: AdamW(**rate),
        "sgd": lambda: SGD(**rate, momentum=0.9, nesterov=True),
        "rmsprop": lambda: RMSProp(**rate),
        "gd": lambda: GD(**rate),
        "lbfgs": lambda: LBFGS(),
    }
    if name not in made:
        raise OptionError(f"there is no optimizer {name!r}; choose one of {', '.join(made)}, or give an object")
    return made[name]()


#: every optimiser by name
OPTIMIZERS = Optimizer.registry

__all__ = [
    "GD",
    "LBFGS",
    "OPTIMIZERS",
    "SGD",
    "Adam",
    "AdamW",
    "FirstOrder",
    "Optimizer",
    "RMSProp",
    "optimizer_of_name",
]
