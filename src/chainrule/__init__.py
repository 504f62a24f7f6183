"""chainrule: deep feed-forward networks from the chain rule up.

Names are loaded on first use (PEP 562), so that ``import chainrule`` costs next to nothing.
"""

from importlib import import_module as _import_module

__version__ = "0.1.0"

# public name -> module that defines it
_HOME = {
    # calculus
    **dict.fromkeys(("grad", "value_and_grad", "vjp", "jvp", "jacobian", "hessian", "hvp"), "calculus"),
    **dict.fromkeys(("check_gradient", "GradientReport"), "calculus.check"),
    **dict.fromkeys(("trace", "stop_gradient"), "primitives"),
    "Graph": "graph.graph",
    "ArrayType": "graph.types",
    **dict.fromkeys(("minimize", "Result"), "learn.minimize"),
    "compile": "native.function",
    # networks
    **dict.fromkeys(("Network", "Dense", "Maxout", "Dropout", "BatchNorm", "PiecewiseLinear"), "networks"),
    **dict.fromkeys(
        ("Bernoulli", "Categorical", "Gaussian", "GaussianMixture", "Poisson", "Laplace", "StudentT", "Quantile"),
        "outputs",
    ),
    **dict.fromkeys(("L1", "L2", "GroupL1"), "learn.penalties"),
    **dict.fromkeys(("GD", "SGD", "Adam", "AdamW", "RMSProp", "LBFGS"), "learn.optimizers"),
    **dict.fromkeys(
        ("constant", "cosine", "exponential_decay", "inverse_time", "one_cycle", "step_decay"), "learn.schedules"
    ),
    # estimators and models
    **dict.fromkeys(
        ("FeedForwardClassifier", "FeedForwardRegressor", "LogisticRegression", "LinearRegression"), "estimators"
    ),
    **dict.fromkeys(("PathCV", "PenaltyPath", "penalty_path"), "estimators.path"),
    "SearchCV": "estimators.search",
    "load": "estimators",
    "summary": "models.summary",
    **dict.fromkeys(("to_onnx", "to_python", "to_c"), "models.export"),
    # pictures
    "draw": "show.drawing",
    # errors
    **dict.fromkeys(
        (
            "ChainruleError",
            "GraphError",
            "BoundsError",
            "TraceError",
            "DifferentiationError",
            "GradientError",
            "DivergenceError",
            "TableError",
            "ModelFileError",
            "CheckpointError",
            "TrainingStopped",
            "OptionError",
            "CompileError",
            "OutOfMemoryError",
        ),
        "errors",
    ),
}

__all__ = ["__version__", *sorted(_HOME)]


def __getattr__(name: str) -> object:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'chainrule' has no attribute {name!r}")
    value = getattr(_import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
