"""``chainrule export``: a model file as ONNX, Python or C, for programs without chainrule."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def export(
    model: Path,
    *,
    onnx: Annotated[Path | None, Parameter(help="ONNX file to write: columns in, distribution out.")] = None,
    python: Annotated[Path | None, Parameter(help="Python file to write, which needs NumPy alone.")] = None,
    c: Annotated[Path | None, Parameter(help="C99 file to write, which needs nothing.")] = None,
) -> None:
    """Write a model for programs without chainrule: preprocessing, networks and predictive distribution in one file.

    Parameters
    ----------
    model
        Model file.
    """
    from itertools import combinations

    from chainrule.cli.terminal import named, say
    from chainrule.errors import OptionError
    from chainrule.files import check_writable, refuse_same_file, write_atomically
    from chainrule.models.export import FORMATS, predictor_of
    from chainrule.models.model import load_model

    wanted = {name: path for name, path in (("onnx", onnx), ("python", python), ("c", c)) if path is not None}
    if not wanted:
        raise OptionError("say what to write: --onnx model.onnx, --python model.py or --c model.c")
    for path in wanted.values():
        refuse_same_file(path, model)
        check_writable(path)
    for (one, first), (other, second) in combinations(wanted.items(), 2):
        if first.resolve() == second.resolve():
            raise OptionError(f"--{one} and --{other} would both write {first}; name two files")
    fitted = load_model(model)
    written = {path: FORMATS[name](fitted) for name, path in wanted.items()}  # all, before any is written
    predictor = predictor_of(fitted)
    for path, content in written.items():
        write_atomically(path, content)
        columns = "1 column" if len(predictor.encodings) == 1 else f"{len(predictor.encodings)} columns"
        say(f"{named(path)}: from {columns} to {', '.join(predictor.outputs)}")
    if predictor.conformal:
        print("conformal intervals are central ones of another probability; the notes in each file say which")
