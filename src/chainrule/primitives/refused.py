"""NumPy functions that cannot work on traced values, each with what to do instead."""

import numpy as np

from chainrule.graph.traced import REFUSED

_IN_PLACE = "it writes in place; use np.where, np.concatenate or np.stack"
_SHAPE = "the shape of its result depends on values; work with np.where and masks instead"

REFUSED.update(
    {
        **dict.fromkeys((np.copyto, np.fill_diagonal, np.place, np.put, np.put_along_axis, np.putmask), _IN_PLACE),
        **dict.fromkeys((np.unique, np.intersect1d, np.setdiff1d, np.union1d, np.histogram), _SHAPE),
        np.apply_along_axis: "write the function for whole arrays, with axis=",
        np.insert: "use np.concatenate of the parts",
        np.piecewise: "use np.where or np.select",
        np.linalg.pinv: "use np.linalg.solve of the normal equations",
        np.linalg.lstsq: "use np.linalg.solve of the normal equations",
        np.linalg.matrix_rank: "it counts singular values, which have no derivative; read .value first",
    }
)
