"""Writing into a tensor in place, with or without history.

In grad mode a write is recorded: the tensor goes on with the history of what was written to it. A
write through a view changes the history of the tensor viewed, and with it that of its other views,
which are brought up to date when they are next used.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Self

import numpy as np

from . import sync
from .differentiable import Differentiable
from .errors import (
    ArgumentError,
    IndexRangeError,
    InferenceError,
    InPlaceError,
    OperandError,
    ShapeError,
)
from .graph import Leaf, Origin, caller
from .modes import state
from .ops.op import OPS
from .recorded import INFERENCE, Recorded, from_array
from .recording import record, refresh
from .values import Shape
from .versions import begin, count, end

Scalar = bool | int | float

_SCALARS = (bool, int, float, complex, np.generic)
_REFUSALS = (TypeError, ValueError, IndexError, OverflowError)  # what NumPy raises


class Writable(Differentiable):
    """The part of Tensor that writes. Elements are externally synchronised."""

    __slots__ = ()

    def is_inference(self) -> bool:
        """Whether it was made in inference mode."""
        return self._cell is INFERENCE

    def _store(self, where: Origin, store: Callable[..., Any], *args: Any) -> None:
        """Call ``store``, which changes elements, and note its begin and end.

        Also where it raises: nobody knows what it has changed by then. So what can be refused is
        refused before.
        """
        cell = None if self._cell is INFERENCE else self._cell
        hook = sync.hook
        try:
            if cell is not None:
                begin(cell, where)
            if hook is not None:
                hook("value.write", self)
            store(*args)
            if hook is not None:
                hook("value.written", self)
        finally:
            if cell is not None:
                end(cell, where)

    def _wrote(self, where: Origin) -> None:
        """Count a write to the elements that nobody has announced."""
        cell = self._cell
        if cell is not None and cell is not INFERENCE:
            count(cell, where)

    @property
    def _version(self) -> int:
        """How many writes were counted, as PyTorch spells it; for shared parameters always 0."""
        if self.is_inference():
            raise InferenceError("Inference tensors do not track version counter")
        return self._cell[0][0] if self._cell and self._cell[0] else 0

    def _check_memory(self, name: str) -> None:
        """Raise ``InferenceError`` or ``InPlaceError`` where no write is allowed, in any mode."""
        if self.is_inference() and not state.inference:
            raise InferenceError(
                f"{name}: Inplace update to inference tensor outside InferenceMode is not "
                "allowed: clone() it first"
            )
        if not self._data.flags.writeable:
            raise InPlaceError(
                f"{name}: {self._kind()} is read-only: several of its elements may lie in one "
                "place (expand), or its memory was given so. Write into a clone()"
            )

    def _check_writable(self, name: str) -> None:
        self._check_memory(name)
        if not state.grad:
            return
        view = self._view
        if view is not None and not view.recorded and self._recorded_write(view.root):
            raise InPlaceError(
                f"{name}: a view was created in no_grad mode, or by a custom Function, and is "
                "being modified inplace with grad mode enabled: make the view in grad mode, or "
                "write under no_grad()"
            )
        whole = self if self._view is None else self._view.root
        what = "a leaf Variable" if whole is self else "a view of a leaf Variable"
        if whole._edge is not None and type(whole._edge[0]) is Leaf:
            raise InPlaceError(
                f"{what} that requires grad is being used in an in-place operation: {name}. "
                "Write under engine.no_grad(), or out of place."
            )

    def _recorded_write(self, *others: Any) -> bool:
        """Whether a write of ``others`` has to be recorded."""
        return state.grad and any(
            isinstance(t, Recorded) and refresh(t) is not None for t in (self, *others)
        )

    def _write(self, op: str, ufunc: np.ufunc, other: Any) -> Self:
        self._check_writable(f"{op}_")
        where = caller(3)
        if self._recorded_write(other):
            # The factor's gradient wants what stood here before.
            wanted = op == "mul" and isinstance(other, Recorded) and refresh(other) is not None
            source = from_array(self._data.copy(), refresh(self)) if wanted else self
            out = record(OPS[op], (source, other), {})
            if out.shape != self.shape:
                raise ShapeError(
                    f"{op}_: output with shape {self.shape} doesn't match the broadcast shape "
                    f"{out.shape}"
                )
            out = out.astype(self.dtype) if out.dtype != self.dtype else out
            self._store(where, np.copyto, self._data, out._data)
            self._rebase(out)
        else:
            value = other._data if isinstance(other, Recorded) else other
            try:
                value = self._operand(ufunc, value)
            except _REFUSALS as error:
                raise self._refused(f"{op}_", value, error) from error
            self._store(where, ufunc, self._data, value, self._data)
        return self

    def _operand(self, ufunc: np.ufunc, value: Any) -> Any:
        """``value`` for ``ufunc`` to take. Raises what NumPy would before it stores anything."""
        if not isinstance(value, _SCALARS):
            value = np.asarray(value)
            _check_fits(value.shape, self._data.shape, spare=0)
        none = np.empty(0, self._data.dtype)
        like = np.empty(0, value.dtype) if isinstance(value, np.ndarray) else value
        ufunc(none, like, none)
        return value

    def _rebase(self, out: Recorded) -> None:
        """Go on with the history of ``out``; so does what this is a view of."""
        view = self._view
        if view is None:
            self._edge = out._edge
            return
        root = view.root
        written = record(OPS["view_write"], (root, out), {"chain": view.chain}, root._data)
        root._edge = written._edge
        refresh(self)

    def _put(self, name: str, index: Any, value: Any) -> None:
        self._check_writable(name)
        where = caller(3)
        array = value._data if isinstance(value, Recorded) else value
        recorded = self._recorded_write(value)
        try:
            ready = np.asarray(array, self._data.dtype)
            target = self._data[index].shape
            _check_fits(ready.shape, target, spare=max(ready.ndim - len(target), 0))
        except _REFUSALS as error:
            raise self._refused(name, array, error) from error
        self._store(where, self._data.__setitem__, index, ready)
        if recorded:
            self._rebase(record(OPS["setitem"], (self, value), {"index": index}, self._data))

    def _become(self, name: str, function: Callable[..., Any], *args: Any, **keywords: Any) -> Self:
        """Take on what ``function`` makes of this and the arguments, with its history."""
        self._check_writable(name)
        where = caller(3)
        recorded = self._recorded_write(*args, *keywords.values())
        # What it saves for the backward must not be written to.
        before = self._data.copy() if recorded else self._data
        out = function(from_array(before, refresh(self)), *args, **keywords)
        if out.shape != self.shape or not np.can_cast(out.dtype, self.dtype, "same_kind"):
            raise ShapeError(
                f"{name}: the result is {out.dtype}{list(out.shape)}, which cannot be written into "
                f"{self._kind()}"
            )
        out = out.astype(self.dtype) if out.dtype != self.dtype else out
        self._store(where, np.copyto, self._data, out._data)
        if recorded:
            self._rebase(out)
        return self

    def _refused(self, name: str, value: Any, error: Exception) -> Exception:
        kind: type[Exception] = OperandError if isinstance(error, TypeError) else ShapeError
        if isinstance(error, IndexError):
            kind = IndexRangeError
        elif isinstance(error, OverflowError):
            kind = ArgumentError
        met = f"{value.dtype}{list(value.shape)}" if isinstance(value, np.ndarray) else repr(value)
        return kind(f"{name}({self._kind()}, {met}): {error}")

    def add_(self, other: Any, *, alpha: Scalar = 1) -> Self:
        """``self += alpha * other``, in place: externally synchronised."""
        return self._write("add", np.add, other if alpha == 1 else other * alpha)

    def sub_(self, other: Any, *, alpha: Scalar = 1) -> Self:
        """``self -= alpha * other``, in place: externally synchronised."""
        return self._write("sub", np.subtract, other if alpha == 1 else other * alpha)

    def mul_(self, other: Any) -> Self:
        """``self *= other``, in place: externally synchronised."""
        return self._write("mul", np.multiply, other)

    def div_(self, other: Any) -> Self:
        """``self /= other``, in place: externally synchronised."""
        return self._write("div", np.divide, other)

    def copy_(self, source: Any) -> Self:
        """Copy the elements of ``source`` here, broadcast and cast: externally synchronised."""
        self._put("copy_", Ellipsis, source)
        return self

    def fill_(self, value: Any) -> Self:
        """Fill with one value, in place: externally synchronised."""
        self._put("fill_", Ellipsis, value)
        return self

    def zero_(self) -> Self:
        """Fill with zeros, in place: externally synchronised."""
        self._put("zero_", Ellipsis, 0)
        return self

    def __setitem__(self, index: Any, value: Any) -> None:
        self._put("__setitem__", plain(index), value)

    __iadd__ = add_
    __isub__ = sub_
    __imul__ = mul_
    __itruediv__ = div_


def _check_fits(shape: Shape, target: Shape, spare: int) -> None:
    """Raise ``ValueError`` unless ``shape`` broadcasts to ``target`` without its ``spare`` axes.

    Those are the leading ones, and have to be of length 1.
    """
    if shape == target or not shape:
        return
    lead, inner = shape[:spare], shape[spare:]
    room = target[len(target) - len(inner) :]
    if (
        len(inner) > len(target)
        or math.prod(lead) != 1
        or any(size not in (1, most) for size, most in zip(inner, room, strict=True))
    ):
        raise ValueError(f"a value of shape {shape} does not fit into shape {target}")


def plain(index: Any) -> Any:
    """An index with ndarrays for Tensors; a copy, because the backward needs what it was."""
    if isinstance(index, Recorded):
        return index._data.copy()
    if isinstance(index, np.ndarray):
        return index.copy()
    if isinstance(index, tuple):
        return tuple(plain(part) for part in index)
    return index
