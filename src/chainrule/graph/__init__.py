"""The computational graph: values, what makes them, how they are recorded, printed, run, and kept as data."""
