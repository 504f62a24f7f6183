"""``python -m chainrule.native.products [float32|float64]``: measured speed of matrix products, NumPy's beside ours."""

import sys

from chainrule.native.products.measure import table

for line in table(dtype=sys.argv[1] if len(sys.argv) > 1 else "float32"):
    print(line, flush=True)
