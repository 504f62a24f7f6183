"""A feed-forward network: layers composed, and an output distribution on top."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from chainrule.errors import OptionError
from chainrule.graph.graph import Graph
from chainrule.graph.trace import label, scope, trace
from chainrule.graph.types import ArrayType
from chainrule.networks.layers import Dense, Layer, Pass, layer_from_json
from chainrule.networks.parameters import Layout, Piece
from chainrule.outputs import Output, output_from_json

#: the last layer starts near the target's marginal distribution: its weights are drawn this much smaller
OUTPUT_WEIGHT_SCALE = 0.1
#: a deeper one is compiled for minutes and too large for a model file
MOST_LAYERS = 1_000


class Network:
    """Layers composed, ``f⁽ᴸ⁾ ∘ … ∘ f⁽¹⁾``, and an output distribution whose parameters the last affine layer gives.

    Parameters
    ----------
    layers : sequence of Layer or int
        Hidden layers, at most 1000; a number n means ``Dense(n)``. Empty: a (generalised) linear model.
    output : Output
        Such as ``cr.Gaussian()`` or ``cr.GaussianMixture(5)``.

    Examples
    --------
    >>> import chainrule as cr
    >>> net = cr.Network([cr.Dense(64, "relu"), cr.Maxout(32, pieces=3), cr.Dense(16, "linear")],
    ...                  output=cr.GaussianMixture(5))
    >>> net.layout(n_inputs=8).size
    7151
    """

    def __init__(self, layers: Sequence[Layer | int], output: Output | None = None) -> None:
        made = []
        if len(layers) > MOST_LAYERS:
            raise OptionError(f"a network has at most {MOST_LAYERS} layers, got {len(layers)}; use fewer, wider ones")
        for k, layer in enumerate(layers):
            if isinstance(layer, (int, np.integer)) and not isinstance(layer, bool):
                layer = Dense(int(layer))
            if not isinstance(layer, Layer):
                raise OptionError(
                    f"layer {k + 1} must be a layer such as Dense(64) or a number of units, got {layer!r}"
                )
            made.append(layer)
        if output is None:
            raise OptionError("a network needs an output, as in cr.Network([64], output=cr.Gaussian())")
        if not isinstance(output, Output):
            raise OptionError(f"output must be an output such as cr.Gaussian(), got {output!r}")
        self.layers: tuple[Layer, ...] = tuple(made)
        self.output = output

    def __repr__(self) -> str:
        return f"Network([{', '.join(map(repr, self.layers))}], output={self.output!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Network) and (self.layers, self.output) == (other.layers, other.output)

    def __hash__(self) -> int:
        return hash((self.layers, self.output))

    def with_output(self, output: Output) -> Network:
        """The same layers under another output."""
        return Network(self.layers, output)

    # -- parameters

    def layout(self, n_inputs: int, n_targets: int = 1) -> Layout:
        """Names, shapes and places of all parameters in the flat vector θ."""
        pieces: list[Piece] = []
        width = n_inputs
        for name, layer in self._named_layers():
            pieces += [replace(p, name=f"{name}.{p.name}") for p in layer.pieces(width)]
            width = layer.width(width)
        last = Dense(self.output.n_raw(n_targets), "linear").pieces(width)
        for p in last:
            pieces.append(replace(p, name=f"output.{p.name}", scale=p.scale * OUTPUT_WEIGHT_SCALE))
        return Layout(tuple(pieces))

    def buffers(self, n_inputs: int) -> dict[str, np.ndarray]:
        """Initial running statistics of layers that keep some, by name; in the order of names, as graphs take them."""
        found: dict[str, np.ndarray] = {}
        width = n_inputs
        for name, layer in self._named_layers():
            found |= {f"{name}.{key}": value for key, value in layer.buffers(width).items()}
            width = layer.width(width)
        return dict(sorted(found.items()))

    def hyper(self) -> dict[str, float]:
        """Hyper-parameters of the layers, by name."""
        return {f"{name}.{key}": value for name, layer in self._named_layers() for key, value in layer.hyper().items()}

    def initial(
        self, n_inputs: int, rng: np.random.Generator, initial_raw: np.ndarray | None = None, n_targets: int = 1
    ) -> np.ndarray:
        """Draw a flat vector θ of initial values (float64).

        Parameters
        ----------
        n_inputs : int
        rng : numpy.random.Generator
        initial_raw : array of shape (n_raw,), optional
            Biases of the last layer, so that training starts from the target's marginal distribution.
        """
        layout = self.layout(n_inputs, n_targets)
        theta = layout.draw(rng)
        if initial_raw is not None:
            layout.unflatten(theta)["output.bias"][:] = initial_raw
        return theta

    # -- what it computes

    def raw(self, parameters: Mapping[str, Any], x: Any, state: Pass | None = None) -> Any:
        """Forward propagation: rows (n, n_inputs) to the raw outputs (n, n_raw). Traceable."""
        h = self.features(parameters, x, state)
        with scope("output"):
            return label(h @ parameters["output.weight"] + parameters["output.bias"], "raw")

    def features(self, parameters: Mapping[str, Any], x: Any, state: Pass | None = None) -> Any:
        """The last hidden layer φ(x), the learned features."""
        return self.hidden(parameters, x, state)[-1]

    def hidden(self, parameters: Mapping[str, Any], x: Any, state: Pass | None = None) -> list[Any]:
        """The values of every layer, the input first."""
        state = state or Pass(training=False, buffers={})
        values = [x]
        for name, layer in self._named_layers():
            own = {key.removeprefix(name + "."): v for key, v in parameters.items() if key.startswith(name + ".")}
            with scope(name):
                values.append(label(layer.apply(own, values[-1], state, f"{name}."), name))
        return values

    def trace(self, n_inputs: int, n_rows: int = 1, n_targets: int = 1, dtype: Any = np.float64) -> Graph:
        """The forward graph of so many rows: ``(parameters, x, buffers) -> raw``."""
        dtype = np.dtype(dtype)
        layout = self.layout(n_inputs, n_targets)
        parameters = {p.name: ArrayType(p.shape, dtype) for p in layout.pieces}
        buffers = {k: ArrayType(v.shape, dtype) for k, v in self.buffers(n_inputs).items()}

        def network(parameters: Any, x: Any, buffers: Any) -> Any:
            return self.raw(parameters, x, Pass(training=False, buffers=buffers))

        return trace(network, parameters, ArrayType((n_rows, n_inputs), dtype), buffers)

    def _named_layers(self) -> list[tuple[str, Layer]]:
        return [(f"layer{k}", layer) for k, layer in enumerate(self.layers, start=1)]

    # -- as data

    def to_json(self) -> dict[str, Any]:
        """Layers and output as plain data, for a model file."""
        return {"layers": [layer.to_json() for layer in self.layers], "output": self.output.to_json()}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Network:
        """The network of `to_json`'s record."""
        return cls([layer_from_json(r) for r in record["layers"]], output_from_json(record["output"]))


def hidden_layers(sizes: Any, activation: Any = "relu") -> tuple[Layer, ...]:
    """Layers of scikit-learn's ``hidden_layer_sizes`` and ``activation``.

    Parameters
    ----------
    sizes : int, Layer, or sequence of them
    activation : name, Unit or callable, or a sequence of them, one per number in ``sizes``
    """
    items = list(sizes) if isinstance(sizes, (Sequence, np.ndarray)) and not isinstance(sizes, str) else [sizes]
    for k, size in enumerate(items, start=1):
        whole = isinstance(size, (int, np.integer)) and not isinstance(size, bool)
        if not isinstance(size, Layer) and not (whole and size >= 1):
            raise OptionError(
                f"hidden layer {k} must be a whole number of units >= 1, or a layer such as cr.Maxout(32), "
                f"got {size!r} (a linear model has no hidden layers at all)"
            )
    numbers = [s for s in items if not isinstance(s, Layer)]
    several = isinstance(activation, (list, tuple))
    units: list[str | Callable[[Any], Any]] = list(activation) if several else [activation] * len(numbers)
    if len(units) != len(numbers):
        raise OptionError(f"activation has {len(units)} entries for {len(numbers)} hidden layers; give one each")
    remaining = iter(units)
    return tuple(s if isinstance(s, Layer) else Dense(s, next(remaining)) for s in items)
