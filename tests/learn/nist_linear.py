"""NIST's linear regression reference problems (all but Filip, which float64 gradients cannot resolve)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_NORRIS = """
0.1 0.2 338.8 337.4 118.1 118.2 888.0 884.6 9.2 10.1 228.1 226.5 668.5 666.3 998.5 996.3 449.1 448.6 778.9 777.0
559.2 558.2 0.3 0.4 0.1 0.6 778.1 775.5 668.8 666.9 339.3 338.0 448.9 447.5 10.8 11.6 557.7 556.0 228.3 228.1
998.0 995.8 888.8 887.6 119.6 120.2 0.3 0.3 0.6 0.3 557.6 556.8 339.3 339.1 888.0 887.2 998.5 999.0 778.9 779.0
10.2 11.1 117.6 118.3 228.9 229.2 668.4 669.1 449.2 448.9 0.2 0.5
"""
_PONTIUS = """
.11019 .21956 .32949 .43899 .54803 .65694 .76562 .87487 .98292 1.09146 1.20001 1.30822 1.41599 1.52399 1.63194 1.73947
1.84646 1.95392 2.06128 2.16844 .11052 .22018 .32939 .43886 .54798 .65739 .76596 .87474 .98300 1.09150 1.20004 1.30818
1.41613 1.52408 1.63159 1.73965 1.84696 1.95445 2.06177 2.16829
"""
_LONGLEY = """
60323 83.0 234289 2356 1590 107608 1947 61122 88.5 259426 2325 1456 108632 1948
60171 88.2 258054 3682 1616 109773 1949 61187 89.5 284599 3351 1650 110929 1950
63221 96.2 328975 2099 3099 112075 1951 63639 98.1 346999 1932 3594 113270 1952
64989 99.0 365385 1870 3547 115094 1953 63761 100.0 363112 3578 3350 116219 1954
66019 101.2 397469 2904 3048 117388 1955 67857 104.6 419180 2822 2857 118734 1956
68169 108.4 442769 2936 2798 120445 1957 66513 110.8 444546 4681 2637 121950 1958
68655 112.6 482704 3813 2552 123366 1959 69564 114.2 502601 3931 2514 125368 1960
69331 115.7 518173 4806 2572 127852 1961 70551 116.9 554894 4007 2827 130081 1962
"""
_DELTA = [759, -2048, 2048, -2048, 2523, -2048, 2048, -2048, 1838, -2048, 2048]


@dataclass(frozen=True)
class Linear:
    """``y = X b + e`` with NIST's certified b."""

    name: str
    x: np.ndarray
    y: np.ndarray
    certified: np.ndarray


def _numbers(text: str, columns: int) -> np.ndarray:
    return np.array(text.split(), float).reshape(-1, columns)


def problems() -> list[Linear]:
    """The problems, with design matrices as NIST states the models."""
    norris, longley = _numbers(_NORRIS, 2), _numbers(_LONGLEY, 7)
    x = np.tile(np.arange(1, 21) * 150000.0, 2)
    t = np.arange(21.0)
    powers = t[:, None] ** np.arange(6)
    delta = np.array(_DELTA + _DELTA[-2::-1])
    ones = np.ones(6)
    longley_certified = [
        *(-3482258.63459582, 15.0618722713733, -0.358191792925910e-01, -2.02022980381683),
        *(-1.03322686717359, -0.511041056535807e-01, 1829.15146461355),
    ]
    return [
        Linear(
            "Norris",
            np.column_stack([np.ones(36), norris[:, 1]]),
            norris[:, 0],
            np.array([-0.262323073774029, 1.00211681802045]),
        ),
        Linear(
            "Pontius",
            np.column_stack([np.ones(40), x, x**2]),
            _numbers(_PONTIUS, 1)[:, 0],
            np.array([0.673565789473684e-03, 0.732059160401003e-06, -0.316081871345029e-14]),
        ),
        Linear("NoInt1", np.arange(60.0, 71.0)[:, None], np.arange(130.0, 141.0), np.array([2.07438016528926])),
        Linear("NoInt2", np.array([[4.0], [5.0], [6.0]]), np.array([3.0, 4.0, 4.0]), np.array([0.727272727272727])),
        Linear(
            "Longley",
            np.column_stack([np.ones(16), longley[:, 1:]]),
            longley[:, 0],
            np.array(longley_certified),
        ),
        Linear("Wampler1", powers, powers @ ones, ones),
        Linear("Wampler2", powers, (0.1 * t)[:, None] ** np.arange(6) @ ones, 0.1 ** np.arange(6)),
        Linear("Wampler3", powers, powers @ ones + delta, ones),
        Linear("Wampler4", powers, powers @ ones + 100 * delta, ones),
        Linear("Wampler5", powers, powers @ ones + 10000 * delta, ones),
    ]
