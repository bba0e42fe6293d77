"""Writing into a tensor in place, with or without history.

In grad mode a write is recorded: the tensor goes on with the history of what was written to it. A
write through a view changes the history of the tensor viewed, and with it that of its other views,
which are brought up to date when they are next used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np

from . import sync
from .differentiable import Differentiable
from .errors import IndexRangeError, InferenceError, InPlaceError, OperandError, ShapeError
from .graph import Leaf, Origin, caller
from .modes import state
from .ops.op import OPS
from .recorded import INFERENCE, Recorded, from_array
from .recording import record, refresh

Scalar = bool | int | float


class Writable(Differentiable):
    """The part of Tensor that writes. Elements are externally synchronised."""

    __slots__ = ()

    def is_inference(self) -> bool:
        """Whether it was made in inference mode."""
        return self._cell is INFERENCE

    def _writes(self, where: Origin) -> Any:
        """Note that a write begins, so that a backward that has looked before looks again.

        Until `_wrote` the count stays, but the token is another one. Returns both tokens.
        """
        cell = self._cell
        if cell is None or cell is INFERENCE:
            return None
        former = cell[0]
        cell[0] = began = (former[0] if former else 0, where, sync.ident())
        return former, began

    def _wrote(self, where: Origin) -> None:
        """Note a write to the elements, so that a backward that saved them raises."""
        cell = self._cell
        if cell is not None and cell is not INFERENCE:
            cell[0] = (cell[0][0] + 1 if cell[0] else 1, where, sync.ident())

    def _begin(self, where: Origin) -> Any:
        """`_writes`, announced."""
        tokens = self._writes(where)
        hook = sync.hook
        if hook is not None:
            hook("value.write", self)
        return tokens

    def _end(self, where: Origin) -> None:
        """`_wrote`, announced."""
        hook = sync.hook
        if hook is not None:
            hook("value.written", self)
        self._wrote(where)

    def _unwritten(self, tokens: Any) -> None:
        """Undo `_begin`: the write was refused, and no element has changed."""
        if tokens is not None and self._cell is not None and self._cell[0] is tokens[1]:
            self._cell[0] = tokens[0]

    @property
    def _version(self) -> int:
        """How many writes were counted, as PyTorch spells it; for shared parameters always 0."""
        if self.is_inference():
            raise InferenceError("Inference tensors do not track version counter")
        return self._cell[0][0] if self._cell and self._cell[0] else 0

    def _check_writable(self, name: str) -> None:
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
            self._begin(where)
            np.copyto(self._data, out._data)
        else:
            out = None
            value = other._data if isinstance(other, Recorded) else other
            tokens = self._begin(where)
            try:
                ufunc(self._data, value, out=self._data)
            except (TypeError, ValueError) as error:
                self._unwritten(tokens)
                raise self._refused(f"{op}_", value, error) from error
        self._end(where)
        if out is not None:
            self._rebase(out)
        return self

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
        tokens = self._begin(where)
        try:
            self._data[index] = array
        except (TypeError, ValueError, IndexError) as error:
            self._unwritten(tokens)
            raise self._refused(name, array, error) from error
        self._end(where)
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
        self._begin(where)
        np.copyto(self._data, out._data)
        self._end(where)
        if recorded:
            self._rebase(out)
        return self

    def _refused(self, name: str, value: Any, error: Exception) -> Exception:
        kind: type[Exception] = OperandError if isinstance(error, TypeError) else ShapeError
        if isinstance(error, IndexError):
            kind = IndexRangeError
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


def plain(index: Any) -> Any:
    """An index with ndarrays for Tensors; a copy, because the backward needs what it was."""
    if isinstance(index, Recorded):
        return index._data.copy()
    if isinstance(index, np.ndarray):
        return index.copy()
    if isinstance(index, tuple):
        return tuple(plain(part) for part in index)
    return index
