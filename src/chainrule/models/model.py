"""A fitted model: input encoding, network, parameters of every member, output distribution and target scaling, as data.

The path from raw columns to raw outputs is one graph, preprocessing included. A saved model holds it; a loaded one runs
it and needs no code of the user's.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any

import numpy as np

from chainrule.errors import ChainruleError, GraphError, ModelFileError, OptionError, OutOfMemoryError
from chainrule.exchange.modelfile import one_line, read_model_file, refuse_repeated_names, write_model_file
from chainrule.graph.graph import Graph
from chainrule.graph.serial import Cost, cost, graph_from_dict, graph_to_dict
from chainrule.graph.trace import label, scope, trace
from chainrule.graph.types import ArrayType
from chainrule.learn.blocks import BLOCK, BlockRunner
from chainrule.memory import check_room, machine_memory
from chainrule.models.calibration import Calibration
from chainrule.models.inputs import Inputs
from chainrule.models.stored import MOST_TRIED, Description, check_constants, check_network, check_numbers, most_cost
from chainrule.networks import Network, Pass
from chainrule.outputs import Distribution, Output, mixture_of, output_from_json
from chainrule.passes import optimize
from chainrule.tables import TargetEncoder

#: predictions beyond this, in the target's own units, are no numbers to work with; calibration may make a spread a
#: thousand times as wide, and a Poisson rate grows by 10^13 for each raw number
LARGEST = 1e290
#: raw outputs held at a time where only numbers made of them are asked for
_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class Member:
    """One trained network of an ensemble.

    Parameters
    ----------
    theta : array of shape (n_parameters,)
    buffers : dict of arrays
        Running statistics of batch normalisation, by name.
    """

    theta: np.ndarray
    buffers: dict[str, np.ndarray]


@dataclass(frozen=True)
class Model:
    """A fitted model.

    Parameters
    ----------
    inputs : Inputs
        From raw columns to network inputs.
    target : TargetEncoder
        From raw target to what the network is trained on, and back.
    output : Output
        The distribution, calibrated.
    members : tuple of Member
    network : Network or None
        ``None`` after loading a model with functions of one's own: its graphs are all that is needed.
    facts : dict
        Plain data about the fit: rows, seed, curves, versions, command.
    source : str
        The file it was loaded from, for messages; empty for a model made here.
    calibration : Calibration, optional
        What validation rows taught about the spread.
    """

    inputs: Inputs
    target: TargetEncoder
    output: Output
    members: tuple[Member, ...]
    network: Network | None
    facts: dict[str, Any] = field(default_factory=dict)
    stored_graphs: Mapping[int, Graph] = field(default_factory=dict, repr=False)
    source: str = field(default="", repr=False)
    calibration: Calibration | None = None

    def __getstate__(self) -> dict[str, Any]:  # runners are made again where they are needed
        return {f.name: getattr(self, f.name) for f in fields(self)}

    # -- prediction

    def graph(self, n_rows: int) -> Graph:
        """The graph ``(theta, buffers, *columns) -> raw`` for so many rows."""
        if n_rows in self.stored_graphs:
            return self.stored_graphs[n_rows]
        if self.network is None:
            raise ModelFileError(f"the model file holds no graph for blocks of {n_rows} rows")
        return model_graph(self.network, self.inputs, self.members[0], len(self.target.names), n_rows)

    @cached_property
    def _runner(self) -> BlockRunner:
        graph = self.graph(BLOCK)
        needed, there = cost(graph).bytes, machine_memory()
        if there is not None and needed > there // 2:
            raise OutOfMemoryError(
                f"{self.source or 'the model'}: predicting {BLOCK} rows takes {needed / 2**30:.3g} GB, more than there "
                "is memory for; use a machine with more"
            )
        return BlockRunner(graph, 1 + len(self.members[0].buffers))

    def raw(self, columns: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Raw outputs of each member, (n_rows, n_raw) each, for the arrays of `Inputs.arrays`.

        Raises
        ------
        ModelFileError or GraphError
            For a model from a file or made here, if its graph cannot be run or gives numbers that are not finite.
            Encoded inputs are bounded, so that this is the model's fault.
        """
        try:
            with np.errstate(all="ignore"):
                raw = [self._runner([m.theta, *m.buffers.values()], columns)[0] for m in self.members]
            self._check_raw(raw)
        except (ValueError, IndexError, ArithmeticError) as error:  # such as an index out of bounds, a singular matrix
            what = f"the model cannot predict: {one_line(error)}"
            if self.source:
                raise ModelFileError(f"{self.source}: {what}; {_AGAIN}") from None
            raise GraphError(f"{what}; train the model again") from None
        return raw

    def _check_raw(self, raw: Sequence[np.ndarray]) -> None:
        """Refuse raw outputs that are not finite, or so large that predictions would not be."""
        for values in raw:
            if not np.abs(values).max(initial=0.0) <= self._largest:  # NaN is not smaller
                row, column = np.argwhere(~(np.abs(values) <= self._largest))[0]
                raise GraphError(f"the network gives {values[row, column]} for row {row} (from 0)")

    @cached_property
    def _largest(self) -> float:
        kind = self.members[0].theta.dtype
        return min(LARGEST / max(1.0, *self.target.scale), float(np.finfo(kind).max))

    def distribution(self, columns: Sequence[np.ndarray]) -> Distribution:
        """The predictive distribution of each row, in the target's own units; members are mixed with equal weights.

        Raises
        ------
        OutOfMemoryError
            If its numbers, those of every member for every row, are more than there is memory for; `read` needs less.
        """
        n_rows, n_members = len(columns[0]), len(self.members)
        numbers = n_rows * n_members * self.output.n_raw(len(self.target.names))
        check_room(numbers, f"the distribution of {n_rows:,} rows by {n_members:,} networks")
        return self._mixed(self.raw(columns))

    def _mixed(self, raw: Sequence[np.ndarray]) -> Distribution:
        scaling = (
            {"location": np.array(self.target.center), "scale": np.array(self.target.scale)}
            if self.output.scales_target
            else {}
        )
        parts = [self.output.distribution(each, **scaling) for each in raw]
        mixed = parts[0] if len(parts) == 1 else mixture_of(parts)
        return mixed if self.calibration is None else self.calibration.distribution(mixed)

    def read(self, columns: Sequence[np.ndarray], value: Callable[[Distribution], np.ndarray]) -> np.ndarray:
        """Numbers of each row's predictive distribution, ``value(distribution)`` with the rows first.

        Of many rows and members the distributions are made part by part: memory goes with the numbers asked for.
        """
        n_rows = len(columns[0])
        n_raw = self.output.n_raw(len(self.target.names))
        step = max(1, _AT_ONCE // (len(self.members) * n_raw * BLOCK)) * BLOCK
        if n_rows <= step:
            return np.asarray(value(self.distribution(columns)))
        parts = [[c[first : first + step] for c in columns] for first in range(0, n_rows, step)]
        return np.concatenate([np.asarray(value(self.distribution(part))) for part in parts])

    def middle(self, predicted: Distribution) -> np.ndarray:
        """What is predicted where one number is asked for: the mean; the median where only quantiles are known."""
        return predicted.median() if self.output.name == "quantile" else predicted.mean()

    def interval(self, predicted: Distribution, coverage: float) -> np.ndarray:
        """Central intervals of predictions, (n, 2) or (n, n_targets, 2); conformal where it was so calibrated."""
        if self.calibration is None:
            return np.asarray(predicted.interval(coverage))
        return self.calibration.interval(predicted, coverage)

    def predict(self, table: Any) -> Distribution:
        """The predictive distribution of each row of a table or matrix."""
        return self.distribution(self.inputs.arrays(table))

    # -- files

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model file.

        Raises
        ------
        OptionError
            If the place cannot be written to, the output is a class of one's own, which a file cannot describe, or
            the model is one that `load_model` would refuse.
        """
        network = _describe(self.network)
        try:
            _check_numbers(self.members)
            cost(self.graph(BLOCK)).refuse_more(self._most_cost(None if network is None else self.network))
        except ChainruleError as error:
            raise OptionError(f"cannot write {os.fspath(path)}: {error}") from None
        graph, constants = graph_to_dict(self.graph(BLOCK))
        tensors = {f"graph{BLOCK}.{k}": value for k, value in enumerate(constants)}
        for k, member in enumerate(self.members):
            tensors[f"member{k}.theta"] = member.theta
            tensors |= {f"member{k}.buffer.{name}": value for name, value in member.buffers.items()}
        description = {
            "inputs": self.inputs.to_json(),
            "target": self.target.to_json().decode(),
            "output": self.output.to_json(),
            "network": network,
            "n_members": len(self.members),
            "buffers": list(self.members[0].buffers),
            "graphs": {str(BLOCK): graph},
            "facts": self.facts,
            "calibration": None if self.calibration is None else self.calibration.to_json(),
        }
        write_model_file(path, description, tensors)

    def _most_cost(self, network: Network | None) -> Cost:
        member, n_targets = self.members[0], len(self.target.names)
        return most_cost(
            network,
            n_rows=BLOCK,
            n_parameters=sum(v.size for v in (member.theta, *member.buffers.values())),
            n_columns=len(self.inputs.columns),
            n_features=self.inputs.n_features,
            n_targets=n_targets,
            n_raw=self.output.n_raw(n_targets),
            itemsize=member.theta.dtype.itemsize,
        )


def load_model(path: str | os.PathLike[str]) -> Model:
    """Read a model file written by `Model.save`.

    Nothing in the file is believed: see ``docs/model-file.md`` for what is checked.

    Raises
    ------
    ModelFileError
        In one line: what is wrong with which file.
    """
    data, tensors = read_model_file(path)
    name = os.fspath(path)
    try:
        return _model_of(Description.of(data), tensors, name)
    except KeyError as error:
        detail = f"there is no tensor {error}"
    except (
        ChainruleError,
        TypeError,
        ValueError,
        AttributeError,
        IndexError,
        ArithmeticError,
        RecursionError,
    ) as error:
        detail = one_line(error) or type(error).__name__
    raise ModelFileError(f"{name}: the description does not fit together: {detail}; {_AGAIN}")


_AGAIN = "train the model again with chainrule fit, or restore the file from a copy"


def _model_of(description: Description, tensors: dict[str, np.ndarray], source: str) -> Model:
    """The model of a description and all of the tensors, each step checked before the next relies on it."""
    refuse_repeated_names(description.inputs.encoder)
    refuse_repeated_names(description.target)
    inputs = Inputs.from_json({"encoder": description.inputs.encoder, "named": description.inputs.named})
    target = TargetEncoder.from_json(description.target)
    output = output_from_json(description.output)
    if len(set(description.buffers)) < len(description.buffers):
        raise ModelFileError("two buffers have the same name")
    members = tuple(
        Member(
            tensors.pop(f"member{k}.theta"),
            {key: tensors.pop(f"member{k}.buffer.{key}") for key in description.buffers},
        )
        for k in range(description.n_members)
    )
    _check_numbers(members)
    network = None
    if description.network is not None:
        network = Network.from_json({"layers": description.network.layers, "output": description.network.output})
        check_network(network, inputs.n_features, len(target.names), members[0].theta)
    adjusted = Calibration.from_json(description.calibration, len(target.names))
    model = Model(inputs, target, output, members, network, description.facts, source=source, calibration=adjusted)
    # other versions store graphs of other sizes besides, which are left alone
    constants = {size: _taken(tensors, f"graph{size}.") for size in description.graphs}
    if tensors:
        raise ModelFileError(f"tensor {next(iter(tensors))[:60]!r} belongs to nothing")
    if str(BLOCK) not in description.graphs:
        raise ModelFileError(f"there is no graph for blocks of {BLOCK} rows")
    graph = graph_from_dict(description.graphs[str(BLOCK)], constants[str(BLOCK)], model._most_cost(network))
    if network is not None:  # functions of one's own may use NaN; what is predicted is checked
        check_constants(graph)
    model = replace(model, stored_graphs={BLOCK: graph})
    _check_fit(model, graph)
    return model


def _taken(tensors: dict[str, np.ndarray], prefix: str) -> list[np.ndarray]:
    """Take out the tensors of a prefix and the numbers 0, 1, …."""
    count = sum(key.startswith(prefix) for key in tensors)
    return [tensors.pop(f"{prefix}{k}") for k in range(count)]


def _check_numbers(members: Sequence[Member]) -> None:
    for k, member in enumerate(members):
        check_numbers(f"member{k}.theta", member.theta)
        for key, value in member.buffers.items():
            check_numbers(f"member{k}.buffer.{key}", value)


def _check_fit(model: Model, graph: Graph) -> None:
    """The graph takes what the members and the inputs say and gives what the output needs, and predicts empty rows."""
    n_raw = model.output.n_raw(len(model.target.names))
    if n_raw > model.members[0].theta.size:  # every raw output has a bias; more would be made of nothing
        raise ModelFileError(
            f"the output has {n_raw} raw numbers per row, the file {model.members[0].theta.size} parameters"
        )
    given = [graph.nodes[i].type for i in graph.inputs]
    wanted = model.inputs.types(BLOCK)
    for member in model.members:
        own = [ArrayType.of(v) for v in (member.theta, *member.buffers.values())]
        if given != own + wanted:
            raise ModelFileError(f"the graph for {BLOCK} rows does not take this model's parameters and columns")
    out = [graph.nodes[i].type for i in graph.outputs]
    if [t.shape for t in out] != [(BLOCK, n_raw)] or not out[0].is_float:
        raise ModelFileError(f"the graph for {BLOCK} rows does not give what the output needs")
    if (model.target.task == "numeric") != (model.output.kind in ("numeric", "count")):
        raise ModelFileError(f"output {model.output.name} is not for a {model.target.task} target")
    for classes in model.target.classes if model.output.kind in ("binary", "classes") else ():
        model.output.for_target(len(classes))
    if cost(graph).bytes > MOST_TRIED:
        return
    member, nothing = model.members[0], [np.full(t.shape, np.nan, t.dtype) for t in wanted]
    with np.errstate(all="ignore"):
        raw = graph.run(member.theta, *member.buffers.values(), *nothing)
        model._check_raw(raw)
        model._mixed(raw).mean()


def model_graph(network: Network, inputs: Inputs, member: Member, n_targets: int, n_rows: int) -> Graph:
    """The graph ``(theta, buffers, *columns) -> raw`` of so many rows, encoding included.

    It computes in the parameters' dtype, as training did.
    """

    def model(theta: Any, buffers: Any, *columns: Any) -> Any:
        with scope("preprocessing"):
            x = label(inputs.encode(columns, member.theta.dtype), "x")
        layout = network.layout(inputs.n_features, n_targets)
        return network.raw(layout.unflatten(theta), x, Pass(training=False, buffers=buffers))

    buffers = {k: ArrayType.of(v) for k, v in member.buffers.items()}
    return optimize(trace(model, ArrayType.of(member.theta), buffers, *inputs.types(n_rows)))


def _describe(network: Network | None) -> dict[str, Any] | None:
    """A network of named parts as data; one with functions of one's own lives on in its graphs alone."""
    if network is None:
        return None
    try:
        return network.to_json()
    except OptionError:
        return None
