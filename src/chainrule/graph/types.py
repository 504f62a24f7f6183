"""The type of a value in a graph: a shape and a dtype."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

#: dtypes a graph may hold, by the name used in text and in model files
DTYPES: dict[str, np.dtype] = {
    name: np.dtype(name) for name in ("bool", "int32", "int64", "uint32", "uint64", "float32", "float64")
}


@dataclass(frozen=True, slots=True)
class ArrayType:
    """Shape and dtype of an array; ``()`` is a scalar.

    Parameters
    ----------
    shape : tuple of int
    dtype : numpy.dtype
    """

    shape: tuple[int, ...]
    dtype: np.dtype

    def __post_init__(self) -> None:  # people write lists, np.float64 and "float64" too
        if type(self.shape) is not tuple:
            object.__setattr__(self, "shape", tuple(self.shape))
        if not isinstance(self.dtype, np.dtype):
            object.__setattr__(self, "dtype", np.dtype(self.dtype))

    @classmethod
    def of(cls, value: object) -> ArrayType:
        """Type of an array, a number or a traced value."""
        shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
        if shape is None or dtype is None:
            array = np.asarray(value)
            shape, dtype = array.shape, array.dtype
        return cls(tuple(shape), np.dtype(dtype))

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return prod(self.shape)

    @property
    def is_float(self) -> bool:
        """Whether derivatives with respect to such a value exist."""
        return self.dtype.kind == "f"

    def __str__(self) -> str:
        return f"{self.dtype}[{','.join(map(str, self.shape))}]"
