"""Feed-forward networks: units, layers, parameters, and their composition."""

import chainrule.primitives  # noqa: F401  fills the dispatch tables
from chainrule.networks.embeddings import PiecewiseLinear
from chainrule.networks.layers import BatchNorm, Dense, Dropout, Layer, Maxout, Pass, layer_from_json
from chainrule.networks.network import Network, hidden_layers
from chainrule.networks.parameters import Layout, Piece
from chainrule.networks.units import UNITS, Unit, as_unit

__all__ = [
    "UNITS",
    "BatchNorm",
    "Dense",
    "Dropout",
    "Layer",
    "Layout",
    "Maxout",
    "Network",
    "Pass",
    "Piece",
    "PiecewiseLinear",
    "Unit",
    "as_unit",
    "hidden_layers",
    "layer_from_json",
]
