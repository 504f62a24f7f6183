"""A fitted model: input encoding, network, parameters of every member, output distribution and target scaling, as data.

The path from raw columns to raw outputs is one graph, preprocessing included. A saved model holds it; a loaded one runs
it and needs no code of the user's.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

import numpy as np

from chainrule.errors import ChainruleError, ModelFileError, OptionError
from chainrule.exchange.modelfile import read_model_file, write_model_file
from chainrule.graph.graph import Graph
from chainrule.graph.serial import graph_from_dict, graph_to_dict
from chainrule.graph.trace import label, scope, trace
from chainrule.graph.types import ArrayType
from chainrule.learn.blocks import BLOCK, BlockRunner
from chainrule.models.inputs import Inputs
from chainrule.networks import Network, Pass
from chainrule.outputs import Distribution, Output, mixture_of, output_from_json
from chainrule.passes import optimize
from chainrule.tables import TargetEncoder


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
    """

    inputs: Inputs
    target: TargetEncoder
    output: Output
    members: tuple[Member, ...]
    network: Network | None
    facts: dict[str, Any] = field(default_factory=dict)
    stored_graphs: Mapping[int, Graph] = field(default_factory=dict, repr=False)

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
        return BlockRunner(self.graph(BLOCK), 1 + len(self.members[0].buffers))

    def raw(self, columns: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Raw outputs of each member, (n_rows, n_raw) each, for the arrays of `Inputs.arrays`."""
        with np.errstate(all="ignore"):
            return [self._runner([m.theta, *m.buffers.values()], columns)[0] for m in self.members]

    def distribution(self, columns: Sequence[np.ndarray]) -> Distribution:
        """The predictive distribution of each row, in the target's own units; members are mixed with equal weights."""
        scaling = (
            {"location": np.array(self.target.center), "scale": np.array(self.target.scale)}
            if self.output.scales_target
            else {}
        )
        parts = [self.output.distribution(raw, **scaling) for raw in self.raw(columns)]
        return parts[0] if len(parts) == 1 else mixture_of(parts)

    def predict(self, table: Any) -> Distribution:
        """The predictive distribution of each row of a table or matrix."""
        return self.distribution(self.inputs.arrays(table))

    # -- files

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model file.

        Raises
        ------
        OptionError
            If the place cannot be written to, or the output is a class of one's own, which a file cannot describe.
        """
        graph, constants = graph_to_dict(self.graph(BLOCK))
        tensors = {f"graph{BLOCK}.{k}": value for k, value in enumerate(constants)}
        for k, member in enumerate(self.members):
            tensors[f"member{k}.theta"] = member.theta
            tensors |= {f"member{k}.buffer.{name}": value for name, value in member.buffers.items()}
        description = {
            "inputs": self.inputs.to_json(),
            "target": self.target.to_json().decode(),
            "output": self.output.to_json(),
            "network": _describe(self.network),
            "n_members": len(self.members),
            "buffers": list(self.members[0].buffers),
            "graphs": {str(BLOCK): graph},
            "facts": self.facts,
        }
        write_model_file(path, description, tensors)


def load_model(path: str | os.PathLike[str]) -> Model:
    """Read a model file written by `Model.save`.

    Raises
    ------
    ModelFileError
        In one line: what is wrong with which file.
    """
    name = os.fspath(path)
    description, tensors = read_model_file(path)
    try:
        graphs = {}
        for size, record in description["graphs"].items():
            prefix = f"graph{size}."
            count = sum(key.startswith(prefix) for key in tensors)
            graphs[int(size)] = graph_from_dict(record, [tensors[f"{prefix}{k}"] for k in range(count)])
        members = tuple(
            Member(
                tensors[f"member{k}.theta"],
                {key: tensors[f"member{k}.buffer.{key}"] for key in description["buffers"]},
            )
            for k in range(description["n_members"])
        )
        if not members:
            raise ModelFileError(f"{name}: the model has no members")
        network = None if description["network"] is None else Network.from_json(description["network"])
        model = Model(
            Inputs.from_json(description["inputs"]),
            TargetEncoder.from_json(description["target"]),
            output_from_json(description["output"]),
            members,
            network,
            description["facts"],
            graphs,
        )
        _check_fit(model)
        return model
    except ModelFileError:
        raise
    except (ChainruleError, KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        detail = " ".join(str(error).split())[:200] or type(error).__name__
        raise ModelFileError(
            f"{name}: the description does not fit together ({detail}); train the model again with chainrule fit"
        ) from None


def _check_fit(model: Model) -> None:
    """The stored graphs must take what the members, the inputs and the output say."""
    if BLOCK not in model.stored_graphs:
        raise ModelFileError(f"there is no graph for blocks of {BLOCK} rows")
    for size, graph in model.stored_graphs.items():
        given = [graph.nodes[i].type for i in graph.inputs]
        wanted = model.inputs.types(size)
        for member in model.members:
            own = [ArrayType.of(v) for v in (member.theta, *member.buffers.values())]
            if given != own + wanted:
                raise ModelFileError(f"the graph for {size} rows does not take this model's parameters and columns")
        out = [graph.nodes[i].type.shape for i in graph.outputs]
        if out != [(size, model.output.n_raw(len(model.target.names)))]:
            raise ModelFileError(f"the graph for {size} rows does not give what the output needs")


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
