"""A fitted model for programs without chainrule: ONNX, Python that needs NumPy alone, C that needs nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from chainrule.errors import ChainruleError, OptionError
from chainrule.exchange.predictor import Predictor
from chainrule.exchange.row_graph import row_graph
from chainrule.learn.blocks import BLOCK
from chainrule.models.model import Model, load_model
from chainrule.models.prediction import prediction_graph

if TYPE_CHECKING:
    import onnx


@runtime_checkable
class Fitted(Protocol):
    """Whatever holds a model: every fitted estimator."""

    model_: Model


#: operations of all members together; so many take ten seconds to write
MOST_NODES = 20_000
#: of their values, besides so many copies of all parameters
_MOST_BYTES, _COPIES = 1 << 28, 16
#: for which files say what conformal intervals are
COVERAGES = (0.5, 0.8, 0.9, 0.95, 0.99)
AnyModel = Model | Fitted | str | os.PathLike[str]


def predictor_of(model: AnyModel) -> Predictor:
    """What is exported of a model.

    Parameters
    ----------
    model : Model, fitted estimator, or path of a model file

    Raises
    ------
    OptionError
        If it is none of these, or its operations cannot be followed row by row.
    """
    if isinstance(model, (str, os.PathLike)):
        model = load_model(model)
    if isinstance(model, Fitted):
        model = model.model_
    if not isinstance(model, Model):
        raise OptionError(f"only a fitted model can be exported, got {type(model).__name__}; call fit first")
    size = len(model.members) * len(model.graph(BLOCK).nodes)
    if size > MOST_NODES:
        raise OptionError(
            f"the {len(model.members)} networks have {size:,} operations, of which {MOST_NODES:,} can be exported; "
            "train fewer members"
        )
    values = len(model.members) * sum(n.type.size * n.type.dtype.itemsize for n in model.graph(BLOCK).nodes)
    parameters = sum(member.theta.nbytes for member in model.members)
    if values > _MOST_BYTES + _COPIES * parameters:  # what does not depend on the row is computed now, and kept
        raise OptionError(
            f"{model.source or 'the model'}: the values of {size:,} operations are {values / 2**30:.3g} GB, more than "
            f"can be exported with {parameters / 2**20:.3g} MB of parameters"
        )
    graph = prediction_graph(model)
    encoder = model.inputs.encoder
    names = tuple(str(key) for key in graph.output_tree.keys)
    adjusted = model.calibration
    return Predictor(
        row_graph(graph),
        encoder.encodings,
        model.inputs.named,
        names,
        model.target.names,
        model.target.classes,
        tuple((c, tuple(adjusted.nominal(c))) for c in COVERAGES) if adjusted and adjusted.levels.size else (),
    )


def to_onnx(model: AnyModel) -> onnx.ModelProto:
    """A fitted model as an ONNX model; see `chainrule.exchange.onnx.onnx_model` for its inputs and outputs.

    Parameters
    ----------
    model : Model, fitted estimator, or path of a model file

    Raises
    ------
    OptionError
        If the package onnx is not there, or an operation of the model has no translation.
    """
    from chainrule.exchange.onnx import onnx_model

    return _refusing(model, "ONNX", onnx_model)


def _refusing(model: AnyModel, what: str, make: Any) -> Any:
    try:
        return make(predictor_of(model))
    except ChainruleError as error:
        if isinstance(error, OptionError):
            raise
        raise OptionError(f"cannot export the model as {what}: {error}") from None


def to_python(model: AnyModel) -> str:
    """A fitted model as the source of a Python module that needs NumPy alone, with ``predict(columns) -> dict``.

    Parameters
    ----------
    model : Model, fitted estimator, or path of a model file

    Raises
    ------
    OptionError
        If an operation of the model has no translation.
    """
    from chainrule.exchange.numpy_source import python_source

    return _refusing(model, "Python", python_source)


def to_c(model: AnyModel) -> str:
    """A fitted model as C99 source without dependencies, with ``void predict(const double *row, double *out)``.

    Parameters
    ----------
    model : Model, fitted estimator, or path of a model file

    Raises
    ------
    OptionError
        If an operation of the model has no translation.
    """
    from chainrule.exchange.c_source import c_source

    return _refusing(model, "C", c_source)


#: format -> the bytes of a file
FORMATS: dict[str, Callable[[AnyModel], bytes]] = {
    "onnx": lambda model: to_onnx(model).SerializeToString(),
    "python": lambda model: to_python(model).encode("ascii"),
    "c": lambda model: to_c(model).encode("ascii"),
}
