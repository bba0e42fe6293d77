"""A gradient of which only some rows are not zero, as that of an embedding's table.

No threads here: a ``RowSparse`` never changes, and ``add_into`` writes to what its caller owns.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import ArgumentError, DTypeError, IndexRangeError, OperandError, ShapeError

# Ids that come up more often than this are summed in one go per id, others in rounds, each of which
# adds the next row of every id that has one: 4 to 15 times as fast where most come up once.
ROUNDS = 16


class RowSparse:
    """The array of ``shape`` whose row ``ids[k]`` is ``rows[k]``, and that is zero elsewhere.

    ``ids``: integers, of shape ``(n,)``; one that comes up again adds another row to the same place
    until ``coalesce``. ``rows``: of shape ``(n, *shape[1:])``; its dtype is that of the whole.
    Neither is copied. Immutable, and its arrays are read-only: share it freely.

    Raises ``ShapeError``, ``DTypeError`` (ids that are not integers), ``IndexRangeError``.

    >>> g = RowSparse([2, 0, 2], np.ones((3, 2)), (4, 2))
    >>> g
    RowSparse(ids=[2, 0, 2], shape=(4, 2), dtype=float64)
    >>> g.coalesce().rows.tolist(), g.to_dense()[2].tolist()
    ([[1.0, 1.0], [2.0, 2.0]], [2.0, 2.0])
    """

    __slots__ = ("_coalesced", "ids", "rows", "shape")

    # NumPy leaves operators between its arrays and this to the methods below.
    __array_ufunc__ = None

    ids: np.ndarray
    rows: np.ndarray
    shape: tuple[int, ...]
    _coalesced: bool

    def __init__(self, ids: Any, rows: Any, shape: tuple[int, ...]) -> None:
        ids, rows, shape = np.asarray(ids), np.asarray(rows), tuple(shape)
        if not ids.size and ids.dtype.kind == "f":
            ids = ids.astype(np.intp)  # what NumPy makes of an empty list
        if ids.dtype.kind not in "iu":
            raise DTypeError(f"RowSparse: ids must be integers, got {ids.dtype}")
        if ids.ndim != 1 or not shape or rows.shape != (len(ids), *shape[1:]):
            raise ShapeError(
                f"RowSparse: ids {list(ids.shape)} and rows {list(rows.shape)} do not fit shape "
                f"{list(shape)}: rows must have shape (len(ids), *shape[1:])"
            )
        if ids.size and (ids.min() < 0 or ids.max() >= shape[0]):
            raise IndexRangeError(
                f"RowSparse: ids between {ids.min()} and {ids.max()} for {shape[0]} rows"
            )
        self._set(ids.astype(np.intp, copy=False), rows, shape, len(ids) < 2)

    def _set(
        self, ids: np.ndarray, rows: np.ndarray, shape: tuple[int, ...], coalesced: bool
    ) -> None:
        put = super().__setattr__
        for name, array in (("ids", ids), ("rows", rows)):
            frozen = array.view()
            frozen.flags.writeable = False
            put(name, frozen)
        put("shape", shape)
        put("_coalesced", coalesced)

    def __setattr__(self, name: str, value: object) -> None:
        raise OperandError(f"RowSparse: cannot set {name}, it is immutable")

    def _with(self, ids: np.ndarray, rows: np.ndarray, coalesced: bool) -> RowSparse:
        """One of the same shape, of ids that are known to be good."""
        made = object.__new__(RowSparse)
        made._set(ids, rows, self.shape, coalesced)
        return made

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of its rows."""
        return self.rows.dtype

    @property
    def ndim(self) -> int:
        """The number of axes of the whole."""
        return len(self.shape)

    @property
    def nnz(self) -> int:
        """How many rows it holds; ids that come up again count again."""
        return len(self.ids)

    def __repr__(self) -> str:
        ids = np.array2string(self.ids, separator=", ", threshold=10, edgeitems=3)
        return f"RowSparse(ids={ids}, shape={self.shape}, dtype={self.dtype})"

    def coalesce(self) -> RowSparse:
        """Each id once, ascending; the rows of one id are added in their order."""
        if self._coalesced:
            return self
        ids, rows = sum_by_id(self.ids, self.rows, self.shape[0])
        return self._with(ids, rows, True)

    def to_dense(self) -> np.ndarray:
        """The whole as an ndarray."""
        dense = np.zeros(self.shape, self.dtype)
        add_into(dense, self)
        return dense

    def copy(self) -> RowSparse:
        """One that shares no memory with this."""
        return self._with(self.ids.copy(), self.rows.copy(), self._coalesced)

    def zeros(self) -> RowSparse:
        """Zeros of its shape and dtype: no row at all."""
        return self._with(self.ids[:0].copy(), self.rows[:0].copy(), True)

    def clone(self) -> RowSparse:
        """Itself: nobody can write to it. There so that it can be asked what a Tensor can."""
        return self

    @property
    def real(self) -> RowSparse:
        """The real parts."""
        return self._with(self.ids, self.rows.real, self._coalesced)

    def astype(self, dtype: Any) -> RowSparse:
        """The same in another dtype."""
        return self._with(self.ids, self.rows.astype(dtype), self._coalesced)

    def __add__(self, other: Any) -> Any:
        """A ``RowSparse`` with another; an ndarray with an ndarray. Raises ``ShapeError``."""
        if isinstance(other, RowSparse):
            _check_shape(self, other.shape)
            ids = np.concatenate((self.ids, other.ids))
            return self._with(ids, np.concatenate((self.rows, other.rows)), len(ids) < 2)
        if isinstance(other, np.ndarray):
            _check_shape(self, other.shape)
            total = other.astype(np.result_type(self.dtype, other.dtype))
            add_into(total, self)
            return total
        return NotImplemented

    __radd__ = __add__

    def __mul__(self, factor: Any) -> RowSparse:
        """Scaled by a number."""
        if np.ndim(factor) or not isinstance(factor, int | float | complex | np.generic):
            return NotImplemented
        return self._with(self.ids, self.rows * factor, self._coalesced)

    __rmul__ = __mul__

    def __truediv__(self, factor: Any) -> RowSparse:
        if np.ndim(factor) or not isinstance(factor, int | float | complex | np.generic):
            return NotImplemented
        return self._with(self.ids, self.rows / factor, self._coalesced)

    def __neg__(self) -> RowSparse:
        return self._with(self.ids, -self.rows, self._coalesced)


def sum_by_id(
    ids: np.ndarray, rows: np.ndarray, size: int, axis: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Each of ``ids`` once, ascending, and the sums of the ``rows`` of each in their order.

    ``ids``: integers below ``size``, at least one. ``axis``: along which ``rows`` lie.

    >>> ids, sums = sum_by_id(np.array([2, 0, 2]), np.array([1.0, 2.0, 3.0]), 4)
    >>> ids.tolist(), sums.tolist()
    ([0, 2], [2.0, 4.0])
    """
    # Of 16 bits NumPy sorts by radix, in linear time: half the time of the whole.
    order = np.argsort(ids.astype(np.uint16) if size <= 1 << 16 else ids, kind="stable")
    ids = ids[order]
    new = np.ones(len(ids), bool)
    np.not_equal(ids[1:], ids[:-1], out=new[1:])
    starts = np.flatnonzero(new)
    counts = np.diff(starts, append=len(ids))
    if counts.max() > ROUNDS:
        return ids[starts], np.add.reduceat(rows.take(order, axis), starts, axis=axis)
    before: tuple[Any, ...] = (slice(None),) * axis
    sums = rows.take(order[starts], axis)
    for k in range(1, counts.max()):
        more = np.flatnonzero(counts > k)
        sums[(*before, more)] += rows.take(order[starts[more] + k], axis)
    return ids[starts], sums


def add_into(dense: np.ndarray, sparse: RowSparse) -> None:
    """``dense += sparse`` in place, at the cost of the rows that are touched.

    Takes no lock: a row that another thread writes meanwhile may lose what it wrote.

    >>> total = np.zeros((3, 1))
    >>> add_into(total, RowSparse([1, 1], [[2.0], [3.0]], (3, 1)))
    >>> total.tolist()
    [[0.0], [5.0], [0.0]]
    """
    _check_shape(sparse, dense.shape)
    if dense.dtype.kind != "c" and sparse.dtype.kind == "c":
        raise ArgumentError(f"cannot add {sparse.dtype} to {dense.dtype} in place")
    once = sparse.coalesce()
    dense[once.ids] += once.rows


def _check_shape(sparse: RowSparse, shape: tuple[int, ...]) -> None:
    if sparse.shape != shape:
        raise ShapeError(f"cannot add RowSparse{list(sparse.shape)} and {list(shape)}")
