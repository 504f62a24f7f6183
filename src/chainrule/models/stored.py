"""What a model file may hold: the description's fields and types, and what its graph may cost to run.

A file may come from anyone. Nothing of it is used before it has the form that is declared here, fits together, and asks
for no more memory and time than networks of so many parameters and columns need.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
import numpy as np

from chainrule.errors import ModelFileError
from chainrule.graph.graph import Graph
from chainrule.graph.serial import Cost
from chainrule.networks import Maxout, Network, PiecewiseLinear

#: nodes of a stored graph; so many of them take less than 64 MB
MOST_NODES = 5_000
#: elements of all nodes' values, in elements of the parameters, columns, features and layers of a block of rows.
#: Networks of named units need 2 to 8; functions of one's own may have more steps
MOST_ELEMENTS, MOST_ELEMENTS_OF_OWN = 24, 96
#: and of the values that are alive at the same time; networks of named units need up to 2
MOST_ALIVE, MOST_ALIVE_OF_OWN = 4, 8
#: bytes of values that loading a file may take to try out the graph; larger ones are tried out by the first prediction
MOST_TRIED = 2**24
#: networks of an ensemble; more are refused when training, too
MOST_MEMBERS = 1_000
#: operations for each of these elements, besides the products of every row with every parameter
MOST_OPERATIONS = 6

_Text = Annotated[str, msgspec.Meta(max_length=10_000)]
#: what a file writer may have stored graphs for; this version only runs those of one size
_GRAPHS = Annotated[
    dict[Annotated[str, msgspec.Meta(pattern="^[1-9][0-9]{0,5}$")], dict[str, Any]], msgspec.Meta(max_length=8)
]


class InputsRecord(msgspec.Struct, forbid_unknown_fields=True):
    """See `Inputs.to_json`."""

    encoder: str
    named: bool


class NetworkRecord(msgspec.Struct, forbid_unknown_fields=True):
    """See `Network.to_json`."""

    layers: Annotated[list[dict[_Text, Any]], msgspec.Meta(max_length=MOST_NODES)]
    output: dict[_Text, Any]


class FactsRecord(msgspec.Struct):
    """What is known about the fit and read again; each may be missing, and there may be more."""

    estimator: str = ""
    columns: list[str] = []
    reason: str = ""
    diagnosis: str = ""
    epochs: int = 0
    best_epoch: int = 0
    training_loss: list[float] = []
    validation_loss: list[float] = []
    best_loss: float | None = None
    optimality_residual: float = 0.0
    converged: bool = False


class CalibrationRecord(msgspec.Struct, forbid_unknown_fields=True):
    """See `Calibration.to_json`."""

    spread: float
    levels: Annotated[list[list[float]], msgspec.Meta(max_length=10_000)]
    weights: list[float]


class Description(msgspec.Struct, forbid_unknown_fields=True):
    """See `Model.save`."""

    inputs: InputsRecord
    target: str
    output: dict[_Text, Any]
    network: NetworkRecord | None
    n_members: Annotated[int, msgspec.Meta(ge=1, le=MOST_MEMBERS)]
    buffers: list[_Text]
    graphs: _GRAPHS
    facts: dict[str, Any]
    calibration: CalibrationRecord | None = None

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Description:
        """The description of decoded JSON, every field of its type.

        Raises
        ------
        ModelFileError
            Naming the field.
        """
        try:
            description = msgspec.convert(data, cls)
            msgspec.convert(description.facts, FactsRecord)
            return description
        except msgspec.ValidationError as error:
            raise ModelFileError(f"the description is not as it must be ({str(error)[:200]})") from None


def check_numbers(what: str, values: np.ndarray) -> None:
    """Parameters and running statistics are finite floating-point numbers.

    Raises
    ------
    ModelFileError
    """
    if values.dtype.kind != "f":
        raise ModelFileError(f"{what} must be floating-point numbers, got {values.dtype}")
    if not np.isfinite(values).all():
        raise ModelFileError(f"{what} holds {np.count_nonzero(~np.isfinite(values))} numbers that are not finite")


def check_constants(graph: Graph) -> None:
    """No constant of a graph is NaN; infinities are, such as the start of a running maximum.

    Raises
    ------
    ModelFileError
        Naming the node.
    """
    for position, node in enumerate(graph.nodes):
        if node.primitive.name == "constant" and node.type.is_float and np.isnan(node.params["value"]).any():
            raise ModelFileError(f"constant {position} of the graph holds NaN")


def check_network(network: Network, n_features: int, n_targets: int, theta: np.ndarray) -> None:
    """The network has the parameters that are stored; before anything is made in its sizes.

    Raises
    ------
    ModelFileError
    """
    size = network.layout(n_features, n_targets).size
    if size != theta.size:
        raise ModelFileError(f"the network has {size} parameters, the file holds {theta.size}")


def most_cost(
    network: Network | None,
    n_rows: int,
    n_parameters: int,
    n_columns: int,
    n_features: int,
    n_targets: int,
    n_raw: int,
    itemsize: int,
) -> Cost:
    """What a graph of so many rows may cost: a multiple of what the described network is known to need.

    Parameters
    ----------
    network : Network or None
        Where its layers are not described, every second parameter may be a unit: each has a weight and a bias.
    n_parameters : int
        Parameters and running statistics.
    itemsize : int
        Bytes of a parameter.
    """
    around, units = n_columns + n_features + n_raw, 0
    if network is None:
        units = n_parameters // 2
        multiple, alive, nodes = MOST_ELEMENTS_OF_OWN, MOST_ALIVE_OF_OWN, MOST_NODES
    else:
        units = sum(p.size for p in network.layout(n_features, n_targets).pieces if p.shape[:-1] == ())
        # an embedding has no parameters, but as many values as the file lists intervals
        units += sum(len(layer.columns) for layer in network.layers if isinstance(layer, PiecewiseLinear))
        pieces = sum(layer.n_pieces for layer in network.layers if isinstance(layer, Maxout))
        multiple, alive, nodes = MOST_ELEMENTS, MOST_ALIVE, min(MOST_NODES, 200 + 40 * len(network.layers) + 8 * pieces)
    elements = multiple * (n_parameters + n_rows * (around + units) + 64)
    # columns are encoded in float64, whatever the parameters are
    values = alive * (max(itemsize, 4) * (n_parameters + n_rows * units) + 8 * (n_rows * around + 64))
    return Cost(nodes, elements, values, MOST_OPERATIONS * elements + 2 * n_rows * n_parameters)
