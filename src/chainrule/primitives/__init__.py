"""All primitives, by family, and the meaning of NumPy's functions on traced values.

Importing this package fills the registry and the dispatch tables. There is no cycle to open: operators and methods of
a traced value are NumPy functions, and reach the primitives through the tables like every other NumPy function.
"""

from chainrule.primitives import einsum, elementwise, indexing, linalg, product, random, reduction, shape, special
from chainrule.primitives.elementwise import stop_gradient

__all__ = [
    "einsum",
    "elementwise",
    "indexing",
    "linalg",
    "product",
    "random",
    "reduction",
    "shape",
    "special",
    "stop_gradient",
]
