"""All primitives, by family, and the meaning of NumPy's functions on traced values.

Importing this package fills the registry and the dispatch tables, which is why users find `trace` here. There is no
cycle to open: operators and methods of a traced value are NumPy functions, and reach the primitives through the tables
like every other NumPy function.
"""

from chainrule.graph.trace import trace
from chainrule.primitives import (
    analysis,
    choice,
    conversion,
    doors,
    einsum,
    elementwise,
    indexing,
    joining,
    linalg,
    pickling,
    product,
    random,
    reduction,
    refused,
    shape,
    softmax,
    special,
    statistics,
)
from chainrule.primitives.conversion import stop_gradient

__all__ = [
    "analysis",
    "choice",
    "conversion",
    "doors",
    "einsum",
    "elementwise",
    "indexing",
    "joining",
    "linalg",
    "pickling",
    "product",
    "random",
    "reduction",
    "refused",
    "shape",
    "softmax",
    "special",
    "statistics",
    "stop_gradient",
    "trace",
]
