"""Every error chainrule raises on purpose. Each message is one line: what, where, and what to do about it."""

import sys
import warnings


class ChainruleError(Exception):
    """Base of all errors raised on purpose by chainrule."""


class GraphError(ChainruleError, ValueError):
    """A graph is not well formed: wrong shape, dtype, order or unknown primitive."""


class BoundsError(GraphError, IndexError):
    """An index lies outside of its array."""


class TraceError(ChainruleError, TypeError):
    """A traced value was used in a way that cannot be recorded in a graph."""


class DifferentiationError(ChainruleError, TypeError):
    """A derivative was asked of an operation that has none."""


class GradientError(ChainruleError, AssertionError):
    """A derivative disagrees with finite differences (raised by ``check_gradient(strict=True)``)."""


class DivergenceError(ChainruleError, ArithmeticError):
    """Training or minimisation left the finite numbers."""


class TableError(ChainruleError, ValueError):
    """A table cannot be used: names the file, the column and the row."""


class ModelFileError(ChainruleError, ValueError):
    """A model file is damaged, truncated, of another format or version."""


class CheckpointError(ChainruleError, ValueError):
    """A checkpoint is damaged, of another version, or of another training."""


class TrainingStopped(ChainruleError):
    """Training was asked to stop, by a signal: says how to go on.

    Parameters
    ----------
    message : str
    signal : int
        Number of the signal.
    """

    def __init__(self, message: str, signal: int) -> None:
        super().__init__(message, signal)
        self.signal = signal

    def __str__(self) -> str:
        return str(self.args[0])


class OptionError(ChainruleError, ValueError):
    """An option or parameter has a value that makes no sense."""


class CompileError(ChainruleError, RuntimeError):
    """Native code cannot be made or loaded: invalid code, a missing symbol, a target that cannot run here."""


class OutOfMemoryError(ChainruleError, MemoryError):
    """There is not enough memory for the intermediate values of a graph; names the largest."""


def warn_caller(message: str) -> None:
    """Warn at the user's own line, whatever of ours and scikit-learn's lies between."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_globals["__name__"].partition(".")[0] in ("chainrule", "sklearn"):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, stacklevel=level)
