"""Tables: from a file or data frame to the numbers a network takes, and back to a file.

The flow, in the order in which a table passes through it::

    read_table(path)                  file -> polars frame: each cell missing, a number or text  (read, lines, cells)
    frame_from_any(X)                 or: arrays, data frames -> polars frame                    (frames)
    infer_schema(frame, target=...)   what each column is, why, how to override it -> Schema;    (infer, schema)
                                      values nobody can use are refused here, with their row     (kinds, tasks)
    complete_rows(frame, targets)     rows without a target: refused, or left out                (target)
    fit_encoder(schema, rows)         learned from training rows only -> Encoder                 (encode, statistics)
    fit_target_encoder(schema, rows)  the same for targets -> TargetEncoder                      (target)
    matrix_encoder(x)                 or: of a matrix of numbers                                 (encode)
    encoder.to_matrix(frame)          any later table -> raw float64 matrix, cells checked
    encoder.encode_matrix(raw)        raw matrix -> network inputs: plain NumPy, part of the model's graph
    write_table(frame, path)          predictions -> file, all of it or nothing                  (write, place)

`Schema`, `Encoder` and `TargetEncoder` are frozen plain data, the encoders with strict JSON (stored). In messages *row*
counts data rows from 1 and *line* lines of the file from 1, header included. Missing cells are empty or one of the
words that `read_table` lists; in frames they are null or NaN.
"""

from chainrule.tables.encode import Boolean, Categorical, Encoder, Numeric, fit_encoder, matrix_encoder, raw_columns
from chainrule.tables.frames import frame_from_any
from chainrule.tables.infer import infer_schema
from chainrule.tables.read import read_table
from chainrule.tables.schema import Column, Schema, Task
from chainrule.tables.statistics import robust_scaling, standard_scaling
from chainrule.tables.target import TargetEncoder, complete_rows, fit_target_encoder
from chainrule.tables.write import check_writable, write_table

__all__ = [
    "Boolean",
    "Categorical",
    "Column",
    "Encoder",
    "Numeric",
    "Schema",
    "TargetEncoder",
    "Task",
    "check_writable",
    "complete_rows",
    "fit_encoder",
    "fit_target_encoder",
    "frame_from_any",
    "infer_schema",
    "matrix_encoder",
    "raw_columns",
    "read_table",
    "robust_scaling",
    "standard_scaling",
    "write_table",
]
