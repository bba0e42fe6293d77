"""Stochastic gradient descent, after ``torch.optim.SGD``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, cast

import numpy as np

from .. import sync
from ..errors import ArgumentError, OperandError
from ..graph import Leaf, Origin, caller
from ..sparse import RowSparse
from ..tensor import Tensor
from ..versions import begin, end

# Elements that a scratch buffer holds: a temporary as large as a weight is never made, and so many
# elements at once are as fast as any number.
CHUNK = 131_072

# Below this a temporary costs less than finding the scratch buffer.
SMALL = 4_096


class _Scratch(sync.local):
    """Thread-local buffers, one for each dtype met."""

    def __init__(self) -> None:
        self.buffers: dict[np.dtype[Any], np.ndarray] = {}

    def of(self, dtype: np.dtype[Any]) -> np.ndarray:
        buffer = self.buffers.get(dtype)
        if buffer is None:
            buffer = self.buffers[dtype] = np.empty(CHUNK, dtype)
        return buffer


_scratch = _Scratch()


class _Rates(dict[np.dtype[Any], np.ndarray]):
    """A learning rate as an array without axes, by dtype: the operand that NumPy takes fastest.

    Internally synchronised: who finds none makes one, and all that are made are equal.
    """

    def __init__(self, lr: float) -> None:
        super().__init__()
        self.lr = lr  # immutable

    def __missing__(self, dtype: np.dtype[Any]) -> np.ndarray:
        made = self[dtype] = np.asarray(self.lr, dtype)
        return made


Piece = tuple[np.ndarray, np.ndarray, np.ndarray | None]


class SGD:
    """``v = momentum * v + g + weight_decay * p``; ``p -= lr * v``.

    ``step`` reads ``.grad`` and writes the parameter in place, under the parameter's ``grad_lock``:
    internally synchronised, steps of several threads (of one SGD or of many) never lose each
    other's writes. ``lr``, ``momentum`` and ``weight_decay`` may be changed between steps.

    A ``RowSparse`` gradient moves the rows that it touches, at the cost of these. It is lazy: rows
    that it does not touch neither decay nor keep moving by their momentum.

    >>> import engine
    >>> w = engine.tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = SGD([w], lr=0.5)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0., 0.], requires_grad=True)
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
    ) -> None:
        self.params = list(params)
        if not self.params:
            raise ArgumentError("SGD: optimizer got an empty parameter list")
        for p in self.params:
            if not isinstance(p, Tensor) or not p.is_leaf or not p.requires_grad:
                raise OperandError(
                    f"SGD: can only optimize leaf Tensors that require grad, not {p!r}"
                )
        for name, value in (("lr", lr), ("momentum", momentum), ("weight_decay", weight_decay)):
            if value < 0:
                raise ArgumentError(f"SGD: {name} must not be negative, got {value}")
        self._rates = _Rates(lr)  # atomic: a reference that is only ever rebound
        self.momentum = momentum
        self.weight_decay = weight_decay
        # By parameter; an entry is made and written under that parameter's lock.
        self._velocity: list[np.ndarray | None] = [None] * len(self.params)

    @property
    def lr(self) -> float:
        """The learning rate. Atomic."""
        return self._rates.lr

    @lr.setter
    def lr(self, lr: float) -> None:
        self._rates = _Rates(lr)

    def step(self) -> None:
        """Move every parameter that has a gradient against it."""
        hook = sync.hook if sync.observer is None else sync.both()
        where = caller(2)
        for index, p in enumerate(self.params):
            if p._edge is None:
                continue  # frozen since
            leaf = cast(Leaf, p._edge[0])  # leaves stay leaves
            if hook is not None:
                hook("param.write", p)
            with leaf.lock:
                g = leaf.value()
                if g is not None:
                    self.update(index, g._data if isinstance(g, Tensor) else g, where)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """``zero_grad`` of every parameter."""
        for p in self.params:
            if p._edge is None:
                continue
            if set_to_none:
                cast(Leaf, p._edge[0]).clear()
            else:
                p.zero_grad(set_to_none=False)

    def update(self, index: int, g: np.ndarray | RowSparse, where: Origin | None = None) -> None:
        """Move parameter ``index`` against ``g`` in place; ``g`` is only read. Takes no lock.

        Racy when threads share the parameter: a write may be lost element by element. Externally
        synchronised by its ``grad_lock`` where that must not be. ``where``: the line to name to
        whoever still needs the old value.
        """
        p = self.params[index]
        p._check_memory("SGD.step")
        cell = p._cell
        if cell is None:
            self._move(index, p._data, g)
            return
        where = where or caller(2)
        try:
            begin(cell, where)
            self._move(index, p._data, g)
        finally:
            end(cell, where)

    def _move(self, index: int, data: np.ndarray, g: np.ndarray | RowSparse) -> None:
        if isinstance(g, RowSparse):
            self._update_rows(index, data, g.coalesce())  # an id that comes twice counts twice
        elif self.momentum or self.weight_decay or data.size > CHUNK:
            self._update_in_pieces(index, data, g)
        elif data.size <= SMALL:
            np.subtract(data, g * self._rates[g.dtype], out=data)
        else:
            step = _scratch.of(data.dtype)[: data.size].reshape(data.shape)
            np.subtract(data, np.multiply(g, self._rates[g.dtype], out=step), out=data)

    def _update_rows(self, index: int, data: np.ndarray, g: RowSparse) -> None:
        ids, step = g.ids, g.rows
        at = data[ids]
        if self.weight_decay:
            step = step + at * self.weight_decay
        if self.momentum:
            velocity = self._moving(index)
            velocity[ids] = step = velocity[ids] * self.momentum + step
        data[ids] = at - step * self.lr

    def _update_in_pieces(self, index: int, data: np.ndarray, g: np.ndarray) -> None:
        velocity = self._moving(index) if self.momentum else None
        for at, grad, speed in _pieces(data, g, velocity):
            step = _scratch.of(data.dtype)[: grad.size].reshape(grad.shape)
            if self.weight_decay:
                np.multiply(at, self.weight_decay, out=step)
                grad = np.add(step, grad, out=step)
            if speed is not None:
                np.multiply(speed, self.momentum, out=speed)
                grad = np.add(speed, grad, out=speed)
            np.subtract(at, np.multiply(grad, self._rates[grad.dtype], out=step), out=at)

    def _moving(self, index: int) -> np.ndarray:
        velocity = self._velocity[index]
        if velocity is None:
            velocity = self._velocity[index] = np.zeros_like(self.params[index]._data)
        return velocity


def _pieces(p: np.ndarray, g: np.ndarray, v: np.ndarray | None) -> Iterator[Piece]:
    """Matching pieces of parameter, gradient and velocity that a scratch buffer has room for."""
    if p.size <= CHUNK:
        yield p, g, v
        return
    if p.flags.c_contiguous and g.flags.c_contiguous:
        p, g, v = p.reshape(-1), g.reshape(-1), None if v is None else v.reshape(-1)
    rows = CHUNK * len(p) // p.size
    if rows:
        for start in range(0, len(p), rows):
            part = slice(start, start + rows)
            yield p[part], g[part], None if v is None else v[part]
    else:  # one row of a strided array is too large
        for row in range(len(p)):
            yield from _pieces(p[row], g[row], None if v is None else v[row])
