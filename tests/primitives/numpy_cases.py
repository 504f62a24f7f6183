"""Calls of NumPy and SciPy on arrays: for every supported function the forms in which people call it."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.special as sp


@dataclass(frozen=True)
class Call:
    """A call of ``target`` inside ``f``, on arrays of these shapes.

    ``kind``: dtype kind of the inputs. ``low``, ``high``: where their values lie. ``smooth``: whether it is
    differentiable at random inputs. ``values``: whether the result's shape depends on values.
    """

    target: Any
    f: Callable[..., Any]
    shapes: tuple[tuple[int, ...], ...]
    kind: str = "f"
    low: float = -2.0
    high: float = 2.0
    smooth: bool = True
    values: bool = False

    def inputs(self, seed: int = 0) -> list[np.ndarray]:
        rng = np.random.default_rng(seed)
        if self.kind == "b":
            return [np.asarray(rng.random(shape) < 0.5) for shape in self.shapes]
        if self.kind == "i":
            return [rng.integers(int(self.low), int(self.high) + 1, size=shape) for shape in self.shapes]
        if self.kind == "spd":
            draws = [rng.normal(size=shape) for shape in self.shapes]
            return [a @ np.swapaxes(a, -1, -2) + 2.0 * np.eye(a.shape[-1]) for a in draws]
        if self.kind == "nan":
            draws = [rng.normal(size=shape) for shape in self.shapes]
            return [np.where(rng.random(a.shape) < 0.2, np.nan, a) for a in draws]
        return [np.asarray(rng.uniform(self.low, self.high, size=shape)) for shape in self.shapes]


AXES: tuple[Any, ...] = (None, 0, -1, 1, (0, 2), (-1, 0), ())
S: tuple[int, ...] = (2, 3, 4)


def reductions() -> Iterator[Call]:
    for function in (np.sum, np.prod, np.max, np.min, np.mean, np.var, np.std, np.ptp, np.any, np.all, np.median):
        for axis in AXES:
            if axis == () and function in (np.var, np.std, np.median):
                continue
            for keepdims in (False, True):
                yield Call(function, lambda x, f=function, a=axis, k=keepdims: f(x, axis=a, keepdims=k), (S,))
        yield Call(function, lambda x, f=function: f(x, 1), (S,))
        yield Call(function, lambda x, f=function: f(x), ((),))
        yield Call(function, lambda x, f=function: f(x, axis=0), ((1, 3),), smooth=function not in (np.std,))
    for function in (np.sum, np.prod, np.any, np.all):
        yield Call(function, lambda x, f=function: f(x, axis=0), ((0, 3),))
        yield Call(function, lambda x, f=function: f(x, axis=1), ((0, 3),))
        yield Call(function, lambda x, f=function: f(x, axis=1), ((2, 3),), kind="b")
        yield Call(function, lambda x, f=function: f(x, axis=1), ((2, 3),), kind="i")
    for function in (np.max, np.min, np.mean, np.var):
        yield Call(function, lambda x, f=function: f(x, axis=1), ((2, 3),), kind="i")
    for function in (np.var, np.std):
        for ddof in (0, 1, 2):
            yield Call(function, lambda x, f=function, d=ddof: f(x, axis=1, ddof=d), (S,))
            yield Call(function, lambda x, f=function, d=ddof: f(x, 1, None, None, d), (S,))
        yield Call(function, lambda x, f=function: f(x, axis=-1, correction=1, keepdims=True), (S,))
        yield Call(function, lambda x, f=function: f(x, axis=0, mean=np.mean(x, axis=0, keepdims=True)), (S,))
    yield Call(np.sum, lambda x: np.sum(x, 0, None, None, True), (S,))
    yield Call(np.sum, lambda x: np.sum(x, axis=1, dtype=np.float32), (S,), smooth=False)
    yield Call(np.sum, lambda x: x.sum(0) + x.mean(axis=0) - x.std(0) * x.var(0), ((3, 2),))
    yield Call(np.max, lambda x: x.max(-1) * x.min(-1) + x.prod(1), ((3, 2),))
    yield Call(np.count_nonzero, lambda x: np.count_nonzero(x > 0, axis=1), (S,))
    yield Call(np.count_nonzero, lambda x: np.count_nonzero(x), (S,))
    for function in (np.cumsum, np.cumprod):
        for axis in (None, 0, 1, -1):
            yield Call(function, lambda x, f=function, a=axis: f(x, axis=a), (S,))
        yield Call(function, lambda x, f=function: f(x), ((0,),))
        yield Call(function, lambda x, f=function: f(x), ((5,),), kind="i")
    for function in (np.cumulative_sum, np.cumulative_prod):
        yield Call(function, lambda x, f=function: f(x, axis=1), (S,))
        yield Call(function, lambda x, f=function: f(x, axis=-1, include_initial=True), (S,))
        yield Call(function, lambda x, f=function: f(x), ((3,),))
    for function in (np.argmax, np.argmin):
        for axis in (None, 0, -1):
            yield Call(function, lambda x, f=function, a=axis: f(x, axis=a), (S,))
            yield Call(function, lambda x, f=function, a=axis: f(x, axis=a, keepdims=True), (S,))
    for axis in (None, 0, 1, -1):
        yield Call(np.sort, lambda x, a=axis: np.sort(x, axis=a), (S,))
        yield Call(np.argsort, lambda x, a=axis: np.argsort(x, axis=a), (S,))
    yield Call(np.sort, lambda x: np.sort(x, kind="stable"), ((4,),), kind="i")
    yield Call(np.partition, lambda x: np.partition(x, 2)[..., 2], ((3, 5),))
    yield Call(np.average, lambda x: np.average(x), (S,))
    yield Call(np.average, lambda x: np.average(x, axis=1), (S,))
    yield Call(np.average, lambda x, w: np.average(x, weights=w), (S, S), low=0.5)
    yield Call(np.average, lambda x, w: np.average(x, axis=1, weights=w), (S, (3,)), low=0.5)
    yield Call(np.average, lambda x, w: np.average(x, axis=(2, 0), weights=w), (S, (4, 2)), low=0.5)
    yield Call(np.average, lambda x, w: np.average(x, axis=0, weights=w, returned=True), (S, S), low=0.5)
    for q in (0.0, 0.3, 1.0, [0.1, 0.5], [[0.25], [0.75]]):
        yield Call(np.quantile, lambda x, q=q: np.quantile(x, q), (S,))
        yield Call(np.quantile, lambda x, q=q: np.quantile(x, q, axis=1), (S,))
        yield Call(np.quantile, lambda x, q=q: np.quantile(x, q, axis=(0, 2), keepdims=True), (S,))
    yield Call(np.quantile, lambda x: np.quantile(x, 0.3, axis=0), ((1, 3),))
    yield Call(np.percentile, lambda x: np.percentile(x, 30, axis=1), (S,))
    yield Call(np.percentile, lambda x: np.percentile(x, [5, 95]), (S,))
    yield Call(np.median, lambda x: np.median(x), ((5,),))
    yield Call(np.cov, lambda x: np.cov(x), ((3, 5),))
    yield Call(np.cov, lambda x, y: np.cov(x, y, bias=True), ((5,), (5,)))
    yield Call(np.cov, lambda x: np.cov(x, rowvar=False, ddof=0), ((5, 2),))
    yield Call(np.cov, lambda x: np.cov(x), ((4,),))
    yield Call(np.corrcoef, lambda x: np.corrcoef(x)[0, 1], ((3, 5),))
    yield Call(np.corrcoef, lambda x, y: np.corrcoef(x, y)[0, 1], ((5,), (5,)))
    for function in (np.nansum, np.nanmean, np.nanvar, np.nanstd, np.nanmax, np.nanmin):
        for axis in (None, 1, -1):
            yield Call(function, lambda x, f=function, a=axis: f(x, axis=a), ((2, 4, 9),), kind="nan")
        yield Call(function, lambda x, f=function: f(x, axis=0, keepdims=True), ((9, 2),), kind="nan")


def shapes() -> Iterator[Call]:
    yield Call(np.reshape, lambda x: np.reshape(x, (4, 6)), (S,))
    yield Call(np.reshape, lambda x: np.reshape(x, (-1, 2)), (S,))
    yield Call(np.reshape, lambda x: x.reshape(3, -1), (S,))
    yield Call(np.reshape, lambda x: x.reshape((3, 8)), (S,))
    yield Call(np.reshape, lambda x: x.reshape(-1), ((0, 3),))
    yield Call(np.reshape, lambda x: np.reshape(x, 24), (S,))
    yield Call(np.ravel, lambda x: np.ravel(x) + x.ravel() + x.flatten(), (S,))
    yield Call(np.transpose, lambda x: np.transpose(x), (S,))
    yield Call(np.transpose, lambda x: x.T, (S,))
    yield Call(np.transpose, lambda x: np.transpose(x, (1, -1, 0)), (S,))
    yield Call(np.transpose, lambda x: x.transpose(1, 0, 2), (S,))
    yield Call(np.transpose, lambda x: x.transpose([2, 0, 1]), (S,))
    yield Call(np.permute_dims, lambda x: np.permute_dims(x, (2, 1, 0)), (S,))
    yield Call(np.matrix_transpose, lambda x: np.matrix_transpose(x), (S,))
    yield Call(np.linalg.matrix_transpose, lambda x: np.linalg.matrix_transpose(x), (S,))
    yield Call(np.matrix_transpose, lambda x: x.mT, (S,))
    yield Call(np.swapaxes, lambda x: np.swapaxes(x, 0, -1), (S,))
    yield Call(np.swapaxes, lambda x: x.swapaxes(1, 2), (S,))
    for source, target in ((0, -1), (-1, 0), ((0, 1), (-1, -2)), ([2, 0], [0, 1])):
        yield Call(np.moveaxis, lambda x, s=source, t=target: np.moveaxis(x, s, t), (S,))
    for axis, start in ((2, 0), (0, 3), (1, 2), (2, -2)):
        yield Call(np.rollaxis, lambda x, a=axis, s=start: np.rollaxis(x, a, s), (S,))
    yield Call(np.squeeze, lambda x: np.squeeze(x), ((1, 3, 1),))
    yield Call(np.squeeze, lambda x: np.squeeze(x, axis=-1), ((1, 3, 1),))
    yield Call(np.squeeze, lambda x: x.squeeze((0, 2)), ((1, 3, 1),))
    yield Call(np.expand_dims, lambda x: np.expand_dims(x, 1), ((2, 3),))
    yield Call(np.expand_dims, lambda x: np.expand_dims(x, (0, -1)), ((2, 3),))
    for function in (np.atleast_1d, np.atleast_2d, np.atleast_3d):
        for shape in ((), (3,), (2, 3), S):
            yield Call(function, lambda x, f=function: f(x), (shape,))
        yield Call(function, lambda x, y, f=function: f(x, y, 1.0), ((), (2,)))
    yield Call(np.broadcast_to, lambda x: np.broadcast_to(x, (4, 2, 3)), ((2, 1),))
    yield Call(np.broadcast_to, lambda x: np.broadcast_to(x, 3), ((),))
    yield Call(np.broadcast_arrays, lambda x, y: np.broadcast_arrays(x, y, 1.0), ((2, 1), (3,)))
    for axis in (None, 0, -1, (0, 2)):
        yield Call(np.flip, lambda x, a=axis: np.flip(x, a), (S,))
    yield Call(np.fliplr, np.fliplr, (S,))
    yield Call(np.flipud, np.flipud, (S,))
    for k in (-1, 0, 1, 2, 3, 5):
        yield Call(np.rot90, lambda x, k=k: np.rot90(x, k), (S,))
        yield Call(np.rot90, lambda x, k=k: np.rot90(x, k, (2, 0)), (S,))
    for indexing in ("xy", "ij"):
        for sparse in (False, True):
            yield Call(
                np.meshgrid,
                lambda x, y, z, i=indexing, s=sparse: np.meshgrid(x, y, z, indexing=i, sparse=s),
                ((2,), (3,), (4,)),
            )
    yield Call(np.meshgrid, lambda x: np.meshgrid(x), ((2,),))
    yield Call(np.shape, lambda x: np.zeros(np.shape(x)) + x, (S,))
    yield Call(np.ndim, lambda x: x * np.ndim(x), (S,))
    yield Call(np.size, lambda x: x * np.size(x) + np.size(x, 1), (S,))
    yield Call(np.zeros_like, lambda x: np.zeros_like(x) + x, (S,))
    yield Call(np.empty_like, lambda x: np.empty_like(x).shape + x.shape, (S,))
    yield Call(np.ones_like, lambda x: np.ones_like(x, dtype=np.int64) * x, (S,))
    yield Call(np.full_like, lambda x: np.full_like(x, 3) * x, (S,))
    yield Call(np.full_like, lambda x, y: np.full_like(x, y) * x, ((3,), ()))
    yield Call(np.copy, lambda x: np.copy(x) * x.copy(), (S,))
    yield Call(np.astype, lambda x: np.astype(x, np.float32), (S,), smooth=False)
    yield Call(np.astype, lambda x: x.astype(int) * x, (S,), high=1.9)
    yield Call(np.astype, lambda x: x.astype(float), (S,), kind="i")
    yield Call(np.iscomplexobj, lambda x: x * (1 + np.iscomplexobj(x)), (S,))
    yield Call(np.isrealobj, lambda x: x * (1 + np.isrealobj(x)), (S,))
    yield Call(np.real, lambda x: np.real(x) + x.real, (S,))
    yield Call(np.real_if_close, np.real_if_close, (S,))
    yield Call(np.imag, lambda x: x + np.imag(x) + x.imag, (S,))
    yield Call(np.result_type, lambda x: x.astype(np.result_type(x, np.float32)), (S,))


def joining() -> Iterator[Call]:
    for axis in (0, 1, -1, None):
        yield Call(np.concatenate, lambda x, y, a=axis: np.concatenate([x, y], axis=a), ((2, 3), (2, 3)))
        yield Call(np.append, lambda x, y, a=axis: np.append(x, y, axis=a), ((2, 3), (2, 3)))
    yield Call(np.concatenate, lambda x: np.concatenate((x, [1.0, 2.0], x)), ((3,),))
    yield Call(np.concatenate, lambda x: np.concatenate([x, np.arange(2)]), ((3,),))
    yield Call(np.concatenate, lambda x: np.concatenate([x, x], dtype=np.float64), ((3,),))
    for axis in (0, 1, -1):
        yield Call(np.stack, lambda x, y, a=axis: np.stack([x, y, np.ones(3)], axis=a), ((3,), (3,)))
    yield Call(np.stack, lambda x: np.stack([x, 1.0, x * x]), ((),))
    yield Call(np.stack, lambda x: np.stack(x), ((2, 3),))
    for function in (np.vstack, np.hstack, np.dstack, np.column_stack):
        for shape in ((3,), (3, 2), (3, 2, 2)):
            if not (function is np.column_stack and len(shape) == 3):
                yield Call(function, lambda x, y, f=function: f((x, y)), (shape, shape))
    yield Call(np.block, lambda x, y: np.block([[x, np.ones((2, 1))], [np.zeros((1, 2)), y]]), ((2, 2), (1, 1)))
    yield Call(np.block, lambda x: np.block([x, 1.0]), ((3,),))
    yield Call(np.block, lambda x: np.block([[[x]], [[x]]]), ((2, 2),))
    yield Call(np.split, lambda x: np.split(x, 3), ((6, 2),))
    yield Call(np.split, lambda x: np.split(x, [1, 4], axis=-1), ((2, 6),))
    yield Call(np.array_split, lambda x: np.array_split(x, 4, axis=1), ((2, 6),))
    yield Call(np.array_split, lambda x: np.array_split(x, np.array([2, 2, 9])), ((6,),))
    yield Call(np.hsplit, lambda x: np.hsplit(x, 2), ((3, 4),))
    yield Call(np.hsplit, lambda x: np.hsplit(x, 2), ((4,),))
    yield Call(np.vsplit, lambda x: np.vsplit(x, 3), ((3, 4),))
    yield Call(np.dsplit, lambda x: np.dsplit(x, 2), ((2, 3, 4),))
    yield Call(np.unstack, lambda x: np.unstack(x, axis=1), (S,))
    for reps in (2, (2,), (2, 3), (2, 1, 2), (0,)):
        yield Call(np.tile, lambda x, r=reps: np.tile(x, r), ((2, 3),))
    yield Call(np.tile, lambda x: np.tile(x, 3), ((),))
    for axis in (None, 0, 1):
        yield Call(np.repeat, lambda x, a=axis: np.repeat(x, 2, axis=a), ((2, 3),))
    yield Call(np.repeat, lambda x: np.repeat(x, [1, 0, 2], axis=1), ((2, 3),))
    yield Call(np.repeat, lambda x: x.repeat(2), ((2,),))
    for shift, axis in ((1, None), (-2, 0), (5, 1), ((1, 2), (0, 1)), (1, (0, 1)), ((1, 1), 0), (0, None)):
        yield Call(np.roll, lambda x, s=shift, a=axis: np.roll(x, s, a), ((3, 4),))
    for mode in ("constant", "edge", "reflect", "symmetric", "wrap"):
        for width in (1, (1, 2), ((1, 0), (2, 1)), ((0, 0), (0, 0))):
            yield Call(np.pad, lambda x, m=mode, w=width: np.pad(x, w, mode=m), ((3, 4),))
    yield Call(np.pad, lambda x: np.pad(x, 5, mode="reflect"), ((3,),))
    yield Call(np.pad, lambda x: np.pad(x, 1, constant_values=7.0), ((2, 2),))
    yield Call(np.pad, lambda x: np.pad(x, ((1, 2), (0, 1)), constant_values=((1, 2), (3, 4))), ((2, 2),))
    yield Call(np.pad, lambda x: np.pad(x, 1), ((2, 2),), kind="i")
    yield Call(np.resize, lambda x: np.resize(x, (3, 5)), ((2, 2),))
    yield Call(np.delete, lambda x: np.delete(x, 1, axis=1), ((2, 3),))
    yield Call(np.delete, lambda x: np.delete(x, [0, -1]), ((2, 3),))


def indexing() -> Iterator[Call]:
    yield Call(operator.getitem, lambda x: x[1:, None, ..., ::2], (S,))
    for axis in (None, 0, 1, -1):
        yield Call(np.take, lambda x, a=axis: np.take(x, [1, 0, -1], axis=a), (S,))
    yield Call(np.take, lambda x: np.take(x, [[0, 1], [1, 1]], axis=1), (S,))
    yield Call(np.take, lambda x: x.take(1, axis=0), (S,))
    yield Call(np.take, lambda x: np.take(x, [7, -9, 1], axis=1, mode="clip"), (S,))
    yield Call(np.take, lambda x: np.take(x, [7, -9, 1], axis=1, mode="wrap"), (S,))
    yield Call(np.take_along_axis, lambda x: np.take_along_axis(x, np.argsort(x, axis=0), axis=0), (S,))
    yield Call(np.take_along_axis, lambda x: np.take_along_axis(x, np.argmax(x, 1, keepdims=True), axis=1), (S,))
    yield Call(np.take_along_axis, lambda x: np.take_along_axis(x, np.array([[[1]]]), axis=1), (S,))
    yield Call(np.take_along_axis, lambda x: np.take_along_axis(x, np.array([3, 1]), axis=None), ((2, 3),))
    yield Call(np.nonzero, lambda x: x[np.nonzero(x > 0)], (S,), values=True)
    yield Call(np.nonzero, lambda x: x[(x > 0).nonzero()], (S,), values=True)
    yield Call(np.flatnonzero, lambda x: x.ravel()[np.flatnonzero(x > 0)], (S,), values=True)
    yield Call(np.argwhere, lambda x: np.sum(x) * np.argwhere(x > 0), (S,), values=True)
    yield Call(np.compress, lambda x: np.compress([True, False, True], x, axis=1), (S,))
    yield Call(np.compress, lambda x: x.compress([True, False, True], axis=1), (S,))
    yield Call(np.compress, lambda x: np.compress(x > 0, x), ((5,),), values=True)
    yield Call(np.extract, lambda x: np.extract(x > 0, x), (S,), values=True)
    yield Call(np.choose, lambda x, y: np.choose(np.array([[1, 0, 1]]), [x, y]), ((2, 3), (3,)))
    for side in ("left", "right"):
        yield Call(np.searchsorted, lambda x, s=side: np.searchsorted(np.linspace(-1, 1, 5), x, side=s), (S,))
        yield Call(np.searchsorted, lambda x, s=side: np.sort(x).searchsorted(0.3, side=s), ((5,),))
    for right in (False, True):
        yield Call(np.digitize, lambda x, r=right: np.digitize(x, [-1.0, 0.0, 0.5], right=r), (S,))
        yield Call(np.digitize, lambda x, r=right: np.digitize(x, [1.0, 0.0, -0.5], right=r), (S,))
    yield Call(np.isin, lambda x: np.isin(x, [1, 2]), ((3, 4),), kind="i")
    yield Call(np.isin, lambda x: np.isin(x, [1, 2], invert=True), ((3, 4),), kind="i")
    for offset in (0, 1, -1, 5):
        yield Call(np.diagonal, lambda x, k=offset: np.diagonal(x, k), (S,))
        yield Call(np.diagonal, lambda x, k=offset: x.diagonal(k, -1, 1), (S,))
        yield Call(np.trace, lambda x, k=offset: np.trace(x, k), (S,))
        yield Call(np.diag, lambda x, k=offset: np.diag(x, k), ((3,),))
        yield Call(np.diag, lambda x, k=offset: np.diag(x, k), ((3, 4),))
        yield Call(np.diagflat, lambda x, k=offset: np.diagflat(x, k), ((2, 2),))
        yield Call(np.tril, lambda x, k=offset: np.tril(x, k), (S,))
        yield Call(np.triu, lambda x, k=offset: np.triu(x, k), (S,))
        yield Call(np.linalg.diagonal, lambda x, k=offset: np.linalg.diagonal(x, offset=k), (S,))
        yield Call(np.linalg.trace, lambda x, k=offset: np.linalg.trace(x, offset=k), (S,))
    yield Call(np.trace, lambda x: x.trace(), ((3, 3),))
    yield Call(np.tril, np.tril, ((3, 3),), kind="i")
    yield Call(np.tril_indices_from, lambda x: x[np.tril_indices_from(x, -1)], ((3, 4),))
    yield Call(np.triu_indices_from, lambda x: x[np.triu_indices_from(x, 1)], ((3, 4),))
    yield Call(np.diag_indices_from, lambda x: x[np.diag_indices_from(x)], ((3, 3),))


def choices() -> Iterator[Call]:
    yield Call(np.where, lambda x, y: np.where(x > y, x, y), ((2, 3), (3,)))
    yield Call(np.where, lambda x: np.where(x > 0, x, 0), ((2, 3),))
    yield Call(np.where, lambda x: np.where(np.array([True, False, True]), 1, x), ((2, 3),))
    yield Call(np.where, lambda x: np.where([1, 0, 2], x, np.float32(2)), ((2, 3),))
    yield Call(np.where, lambda x: np.where(x, True, x > 1), ((2, 3),))
    yield Call(np.where, lambda x: x[np.where(x > 0)], (S,), values=True)
    for low, high in ((-1, 1), (None, 0.5), (-0.5, None), (1.0, -1.0), ([-1, 0, 1], 2.0)):
        yield Call(np.clip, lambda x, a=low, b=high: np.clip(x, a, b), ((2, 3),))
        yield Call(np.clip, lambda x, a=low, b=high: x.clip(a, b), ((2, 3),))
    yield Call(np.clip, lambda x: np.clip(x, min=0.0), ((2, 3),))
    yield Call(np.clip, lambda x: np.clip(x, 0.5, 1.5), ((2, 3),), kind="i")
    yield Call(np.clip, lambda x, y: np.clip(x, y, y + 1.0), ((2, 3), (3,)))
    yield Call(np.select, lambda x: np.select([x < -1, x < 1], [x * x, 2 * x], 3 * x), (S,))
    yield Call(np.select, lambda x: np.select([x < -1, x < 1], [x, 0.0]), (S,))
    yield Call(np.isclose, lambda x: np.isclose(x, np.round(x, 1), atol=0.03), (S,))
    yield Call(np.isclose, lambda x: np.isclose(x, x, equal_nan=True), ((9,),), kind="nan")
    yield Call(np.isclose, lambda x: np.isclose(np.where(x > 0, np.inf, x), np.inf), ((9,),))
    yield Call(np.allclose, lambda x: np.allclose(x, x + 1e-12), (S,))
    yield Call(np.array_equal, lambda x: np.array_equal(x, x), (S,))
    yield Call(np.array_equal, lambda x: x * np.array_equal(x, x[0]), (S,))
    yield Call(np.nan_to_num, lambda x: np.nan_to_num(x), ((9,),), kind="nan")
    yield Call(np.nan_to_num, lambda x: np.nan_to_num(x / np.zeros(9), posinf=5.0), ((9,),), kind="i", smooth=False)
    yield Call(np.nan_to_num, np.nan_to_num, ((9,),), kind="i")
    yield Call(np.isposinf, np.isposinf, (S,))
    yield Call(np.isneginf, np.isneginf, (S,))
    for decimals in (0, 2, -1):
        yield Call(np.round, lambda x, d=decimals: np.round(10 * x, d), (S,))
        yield Call(np.around, lambda x, d=decimals: np.around(10 * x, d), (S,))
    yield Call(np.round, lambda x: x.round(1), (S,))
    yield Call(np.round, np.round, (S,), kind="i")
    yield Call(np.fix, np.fix, (S,))


def products() -> Iterator[Call]:
    pairs: tuple[Any, ...] = (
        ((3,), (3,)),
        ((2, 3), (3,)),
        ((3,), (3, 2)),
        ((2, 3), (3, 4)),
        ((5, 2, 3), (3, 4)),
        ((2, 1, 2, 3), (4, 3, 2)),
    )
    for pair in pairs:
        yield (
            Call(np.linalg.matmul, lambda a, b: np.linalg.matmul(a, b), pair)
            if min(map(len, pair)) > 1
            else Call(np.matmul, lambda a, b: a @ b, pair)
        )
        yield Call(np.matmul, lambda a, b: np.matmul(a, b), pair)
        yield Call(np.dot, lambda a, b: np.dot(a, b), pair)
    yield Call(np.matmul, lambda a: a @ np.arange(3) + [1.0, 2.0, 3.0] @ a.T, ((3, 3),))
    yield Call(np.matmul, lambda a, b: a @ b, ((2, 3), (3, 2)), kind="i")
    yield Call(np.dot, lambda a: a.dot(3.0) + np.dot(2.0, a), ((2, 3),))
    yield Call(np.dot, lambda a, b: np.dot(a, b), ((2, 3, 4), (5, 4, 2)))
    for pair in (((3,), (3,)), ((2, 3), (4, 3)), ((2, 3), (3,)), ((), (2, 3)), ((2, 2, 3), (4, 3))):
        yield Call(np.inner, lambda a, b: np.inner(a, b), pair)
    yield Call(np.vdot, lambda a, b: np.vdot(a, b), ((2, 3), (6,)))
    yield Call(np.outer, lambda a, b: np.outer(a, b), ((2, 2), (3,)))
    yield Call(np.linalg.outer, lambda a, b: np.linalg.outer(a, b), ((2,), (3,)))
    for pair in (((2,), (3,)), ((2, 3), (2, 2)), ((2, 1), (3,)), ((2, 2, 2), (3, 1))):
        yield Call(np.kron, lambda a, b: np.kron(a, b), pair)
    yield Call(np.cross, lambda a, b: np.cross(a, b), ((4, 3), (3,)))
    yield Call(np.cross, lambda a, b: np.cross(a, b, axis=0), ((3, 4), (3, 4)))
    yield Call(np.cross, lambda a, b: np.cross(a, b, axisa=0, axisc=0), ((3, 4), (4, 3)))
    yield Call(np.linalg.cross, lambda a, b: np.linalg.cross(a, b), ((4, 3), (4, 3)))
    for axes in (0, 1, 2, ([1, 2], [0, 1]), ((2, 1), (1, 0)), ([-1], [1])):
        yield Call(
            np.tensordot,
            lambda a, b, x=axes: np.tensordot(a, b, axes=x),
            ((2, 3, 4), (3, 4, 2)[:3])
            if axes in (([1, 2], [0, 1]), ((2, 1), (1, 0)), ([-1], [1]))
            else ((2, 3, 3), (3, 3, 2)),
        )
    yield Call(np.tensordot, lambda a, b: np.tensordot(a, b), ((2, 3, 4), (3, 4, 5)))
    yield Call(np.linalg.tensordot, lambda a, b: np.linalg.tensordot(a, b, axes=1), ((2, 3), (3, 2)))
    yield Call(np.vecdot, lambda a, b: np.vecdot(a, b), ((2, 3), (3,)))
    yield Call(np.linalg.vecdot, lambda a, b: np.linalg.vecdot(a, b, axis=0), ((3, 2), (3, 2)))
    yield Call(np.matvec, lambda a, b: np.matvec(a, b), ((5, 2, 3), (5, 3)))
    yield Call(np.vecmat, lambda a, b: np.vecmat(a, b), ((5, 2), (5, 2, 3)))
    yield Call(np.einsum, lambda a, b: np.einsum("ij,jk->ik", a, b), ((2, 3), (3, 4)))
    yield Call(np.einsum, lambda a: np.einsum(a, [0, 0]), ((3, 3),))


def linear_algebra() -> Iterator[Call]:
    m, stack = (3, 3), (2, 3, 3)
    for shape in (m, stack, (1, 1), (0, 2, 2)):
        yield Call(np.linalg.inv, np.linalg.inv, (shape,), kind="spd")
        yield Call(np.linalg.det, np.linalg.det, (shape,))
        yield Call(np.linalg.slogdet, lambda a: np.linalg.slogdet(a)[1], (shape,), kind="spd")
        yield Call(np.linalg.slogdet, lambda a: np.linalg.slogdet(a).sign, (shape,))
        yield Call(np.linalg.cholesky, np.linalg.cholesky, (shape,), kind="spd")
    yield Call(np.linalg.det, np.linalg.det, ((7, 7),), kind="spd")
    yield Call(np.linalg.cholesky, lambda a: np.linalg.cholesky(a, upper=True), (stack,), kind="spd")
    for right in ((3,), (3, 2), (2, 3, 1), (1, 3, 2)):
        yield Call(np.linalg.solve, lambda a, b: np.linalg.solve(a @ a.mT + 2 * np.eye(3), b), (stack, right))
    yield Call(np.linalg.solve, lambda b: np.linalg.solve(np.eye(3) * 2, b), ((3,),))
    for order in (None, 0, 1, 2, 3, 2.5, np.inf, -np.inf):
        yield Call(np.linalg.norm, lambda x, o=order: np.linalg.norm(x, o), ((4,),))
        yield Call(np.linalg.norm, lambda x, o=order: np.linalg.norm(x, o, axis=1), (S,))
        yield Call(np.linalg.norm, lambda x, o=order: np.linalg.norm(x, ord=o, axis=-1, keepdims=True), (S,))
        if order is not None:
            yield Call(np.linalg.vector_norm, lambda x, o=order: np.linalg.vector_norm(x, ord=o, axis=(0, 2)), (S,))
    for matrix_order in (None, "fro", 1, -1, np.inf, -np.inf):
        yield Call(np.linalg.norm, lambda x, o=matrix_order: np.linalg.norm(x, o), ((3, 4),))
        yield Call(np.linalg.norm, lambda x, o=matrix_order: np.linalg.norm(x, o, axis=(2, 0)), (S,))
        yield Call(np.linalg.norm, lambda x, o=matrix_order: np.linalg.norm(x, o, (0, -1), True), (S,))
        if matrix_order is not None:
            yield Call(np.linalg.matrix_norm, lambda x, o=matrix_order: np.linalg.matrix_norm(x, ord=o), (S,))
    yield Call(np.linalg.norm, np.linalg.norm, (S,))
    yield Call(np.linalg.norm, np.linalg.norm, ((3,),), kind="i")
    for n in (0, 1, 2, 3, 5, -2):
        yield Call(np.linalg.matrix_power, lambda a, n=n: np.linalg.matrix_power(a, n), (m,), kind="spd")
    yield Call(np.linalg.multi_dot, lambda a, b, c: np.linalg.multi_dot([a, b, c]), ((2, 3), (3, 4), (4,)))


def analysis() -> Iterator[Call]:
    for n, axis in ((1, -1), (2, 0), (1, 1), (0, 0)):
        yield Call(np.diff, lambda x, n=n, a=axis: np.diff(x, n, a), (S,))
    yield Call(np.diff, lambda x: np.diff(x, prepend=0.0, append=x[:, -1:]), ((2, 3),))
    yield Call(np.diff, lambda x: np.diff(x > 0), ((5,),))
    yield Call(np.ediff1d, lambda x: np.ediff1d(x, to_end=1.0, to_begin=[2.0, 3.0]), ((2, 3),))
    yield Call(np.gradient, lambda x: np.gradient(x), ((3, 4),))
    yield Call(np.gradient, lambda x: np.gradient(x, 0.5, axis=1), ((3, 4),))
    yield Call(np.gradient, lambda x: np.gradient(x, 0.5, 2.0), ((2, 4),))
    yield Call(np.trapezoid, lambda y: np.trapezoid(y), (S,))
    yield Call(np.trapezoid, lambda y: np.trapezoid(y, dx=0.5, axis=1), (S,))
    yield Call(np.trapezoid, lambda y, x: np.trapezoid(y, x, axis=0), ((4, 2), (4,)))
    yield Call(np.trapezoid, lambda y, x: np.trapezoid(y, x), ((2, 4), (2, 4)))
    grid = np.array([-1.5, -0.5, 0.25, 1.0])
    yield Call(np.interp, lambda x, y: np.interp(x, grid, y), ((5, 2), (4,)))
    yield Call(np.interp, lambda x: np.interp(x, grid, grid**2, left=-1.0, right=2.0), ((9,),))
    yield Call(np.interp, lambda x: np.interp(0.3, np.sort(x), grid), ((4,),))
    for mode in ("full", "same", "valid"):
        for pair in (((5,), (3,)), ((2,), (4,)), ((3,), (3,)), ((4,), (2,))):
            yield Call(np.convolve, lambda a, v, m=mode: np.convolve(a, v, m), pair)
            yield Call(np.correlate, lambda a, v, m=mode: np.correlate(a, v, m), pair)
    yield Call(np.polyval, lambda p, x: np.polyval(p, x), ((4,), (2, 3)))
    yield Call(np.polyval, lambda x: np.polyval([1.0, 2.0, 3.0], x), ((),))
    for n in (None, 2, 0):
        for increasing in (False, True):
            yield Call(np.vander, lambda x, n=n, i=increasing: np.vander(x, n, i), ((3,),))
    yield Call(np.linspace, lambda a, b: np.linspace(a, b, 5), ((), ()))
    yield Call(np.linspace, lambda a, b: np.linspace(a, b, 5, endpoint=False, axis=-1), ((2, 3), (3,)))
    yield Call(np.linspace, lambda a: np.linspace(0.0, a, 4, retstep=True), ((),))
    yield Call(np.sinc, np.sinc, (S,))
    yield Call(np.unwrap, lambda x: np.unwrap(9 * x, axis=1), (S,))


DOMAINS: dict[Any, tuple[float, float]] = {
    **dict.fromkeys((np.log, np.log2, np.log10, np.sqrt, np.cbrt, np.power, np.float_power, np.hypot), (0.2, 3.0)),
    **dict.fromkeys((np.arcsin, np.arccos, np.arctanh, np.log1p, sp.log1p, sp.erfinv), (-0.8, 0.8)),
    **dict.fromkeys((np.remainder, np.fmod, np.floor_divide, np.divmod, np.divide, np.reciprocal), (0.6, 2.9)),
    **dict.fromkeys((sp.gammaln, sp.gamma, sp.psi, sp.betaln, sp.beta, sp.xlogy, sp.xlog1py), (0.5, 4.0)),
    **dict.fromkeys((sp.entr, sp.rel_entr, sp.kl_div, sp.huber, sp.pseudo_huber, sp.cbrt), (0.3, 3.0)),
    **dict.fromkeys((sp.logit, sp.ndtri), (0.1, 0.9)),
    np.arccosh: (1.2, 3.0),
    np.arctan2: (0.3, 3.0),
    np.tan: (-1.2, 1.2),
    sp.erfcinv: (0.2, 1.8),
}
INTEGERS = (np.bitwise_and, np.bitwise_or, np.bitwise_xor, np.invert)
NOT_IN_EVERY_OPERAND = (sp.gammainc, sp.gammaincc, sp.stdtr)


def ufuncs(supported: dict[Any, Any]) -> Iterator[Call]:
    """Every ufunc in the table, in the forms every ufunc has."""
    for ufunc in supported:
        if ufunc.signature is not None:
            continue  # products, above
        low, high = DOMAINS.get(ufunc, (-2.0, 2.0))
        more: dict[str, Any] = {"low": low, "high": high}
        if ufunc in INTEGERS:
            more = {"kind": "i", "low": 0, "high": 9}
        if ufunc in NOT_IN_EVERY_OPERAND:
            yield Call(ufunc, lambda x, u=ufunc: u(np.array([1.5, 2.5, 0.7]), x), ((2, 3),), low=0.5, high=4.0)
            continue
        for shapes in (((2, 3),), ((),), ((0, 2),)) if ufunc.nin == 1 else (((2, 1), (3,)), ((), (2,)), ((0,), (1,))):
            yield Call(ufunc, lambda *xs, u=ufunc: u(*xs), shapes, **more)
        if ufunc.nin == 2 and ufunc not in INTEGERS:
            yield Call(ufunc, lambda x, u=ufunc: u(x, 2.0), ((2, 3),), **more)
            yield Call(ufunc, lambda x, u=ufunc: u(0.7, x), ((2, 3),), **more)
            yield Call(ufunc, lambda x, u=ufunc: u(np.array([1.5, 2.5, 0.7]), x), ((2, 3),), **more)


def ufunc_methods(supported: dict[Any, Any]) -> Iterator[Call]:
    for ufunc, method in supported:
        low, high = DOMAINS.get(ufunc, (0.3, 3.0))
        more: dict[str, Any] = {"low": low, "high": high}
        if ufunc in INTEGERS:
            more = {"kind": "i", "low": 0, "high": 9}
        target = (ufunc, method)
        if method == "outer" and ufunc in NOT_IN_EVERY_OPERAND:
            yield Call(target, lambda x, u=ufunc: u.outer(np.array([1.5, 2.5]), x), ((3,),), low=0.5, high=4.0)
        elif method == "outer":
            yield Call(target, lambda x, y, u=ufunc: u.outer(x, y), ((2,), (3, 1)), **more)
        else:
            yield Call(target, lambda x, u=ufunc, m=method: getattr(u, m)(x), ((3, 2),), **more)
            yield Call(target, lambda x, u=ufunc, m=method: getattr(u, m)(x, axis=1), ((3, 2),), **more)
        if method == "reduce":
            yield Call(target, lambda x, u=ufunc: u.reduce(x, axis=None, keepdims=True), ((3, 2),), **more)


def python_functions() -> Iterator[Call]:
    """SciPy's Python functions, which convert their arguments before NumPy could dispatch."""
    for axis in (None, 0, -1, (0, 1)):
        for keepdims in (False, True):
            yield Call(sp.logsumexp, lambda x, a=axis, k=keepdims: sp.logsumexp(x, axis=a, keepdims=k), (S,))
        yield Call(sp.softmax, lambda x, a=axis: sp.softmax(x, axis=a), (S,))
        yield Call(sp.log_softmax, lambda x, a=axis: sp.log_softmax(x, axis=a), (S,))
    yield Call(sp.logsumexp, lambda x: sp.logsumexp(x, b=np.array([1.0, 0.0, 2.0]), axis=1), ((2, 3),))
    yield Call(sp.logsumexp, lambda x, b: sp.logsumexp(x, 1, b), ((2, 3), (3,)), low=0.1)
    yield Call(sp.logsumexp, lambda x: sp.logsumexp(x, b=[1, -2, 3], return_sign=True), ((2, 3),))
    yield Call(sp.logsumexp, lambda x: sp.logsumexp(x), ((3,),), kind="i")
    for n in (1, 2, 3):
        yield Call(sp.polygamma, lambda x, n=n: sp.polygamma(n, x), ((2, 3),), low=0.5, high=4.0)
    yield Call(sp.multigammaln, lambda x: sp.multigammaln(x, 3), ((),), low=2.0, high=4.0)
    yield Call(np.i0, np.i0, ((2, 3),))


def every_call(ufunc_table: dict[Any, Any], method_table: dict[Any, Any]) -> list[Call]:
    """All of them."""
    return [
        *reductions(),
        *shapes(),
        *joining(),
        *indexing(),
        *choices(),
        *products(),
        *linear_algebra(),
        *analysis(),
        *python_functions(),
        *ufuncs(ufunc_table),
        *ufunc_methods(method_table),
    ]
