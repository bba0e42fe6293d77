"""How a step's gradients reach the shared parameters: the update modes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from .. import sync
from ..errors import ArgumentError
from ..graph import Leaf, Node
from ..optim import SGD
from ..runtime.accumulate import Staged
from ..sparse import RowSparse
from ..tensor import Tensor


class Update(Protocol):
    """Writes one parameter, given its gradient."""

    concurrent: bool

    def write(self, optimizer: SGD, index: int, g: np.ndarray | RowSparse) -> None: ...


class Racy:
    """Componentwise and without a lock, as in the paper: a write may overwrite another's."""

    concurrent = True

    def write(self, optimizer: SGD, index: int, g: np.ndarray | RowSparse) -> None:
        """Racy: the elements, and the optimiser's state for them."""
        hook = sync.hook
        if hook is not None:
            _widen(optimizer.params[index])
        optimizer.update(index, g)


class Locked:
    """Under the parameter's lock: no write is lost. Reads are not locked, and may be mixed."""

    concurrent = True

    def write(self, optimizer: SGD, index: int, g: np.ndarray | RowSparse) -> None:
        """Internally synchronised."""
        p = optimizer.params[index]
        hook = sync.hook
        if hook is not None:
            hook("param.write", p)
        with p.grad_lock:
            optimizer.update(index, g)


class Serial(Racy):
    """One step after the other, in one thread: plain SGD, the same bits every run."""

    concurrent = False


def _widen(p: Tensor) -> None:
    """Split a racy write where the hardware may split it, so that a test can steer into the gap.

    What another thread writes between the points is overwritten with what was read before.
    """
    hook = sync.hook
    if hook is None:
        return
    hook("param.read", p)
    read = p._data.copy()
    hook("param.write", p)
    p._data[...] = read


MODES: dict[str, type[Racy] | type[Locked]] = {"serial": Serial, "racy": Racy, "locked": Locked}


def update_mode(name: str) -> Update:
    """The update mode of that name."""
    if name not in MODES:
        known = ", ".join(map(repr, MODES))
        raise ArgumentError(f"unknown update mode {name!r}: choose one of {known}")
    return MODES[name]()


class Apply(Staged):
    """The policy of a Hogwild step: gradients go into the parameters, no ``.grad`` is involved.

    Staged until the backward is through, so that a parameter used twice is read unchanged by it.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        optimizer: SGD,
        update: Update,
        index: dict[Node, int],
        lock: Any,
    ) -> None:
        super().__init__(nodes)
        self._optimizer = optimizer
        self._update = update
        self._index = index  # immutable: leaf -> its place in optimizer.params
        self._lock = lock  # of this thread alone, and of whoever takes a snapshot

    def commit(self) -> None:
        """Write every parameter that got a gradient, with no snapshot in between."""
        tell = sync.observer
        if tell is not None:
            for position in sorted(self.staged):
                if (index := self._index.get(self.nodes[position])) is not None:
                    tell("param.write", self._optimizer.params[index])
        with self._lock:
            self._write()

    def _write(self) -> None:
        for position in sorted(self.staged):
            leaf = self.nodes[position]
            g = self.staged.pop(position)
            if leaf in self._index:
                self._update.write(self._optimizer, self._index[leaf], g)
            elif isinstance(leaf, Leaf):
                raise ArgumentError(
                    f"the loss depends on a leaf of shape {leaf.shape} that requires grad and is "
                    "not among the optimizer's parameters: add it there, or detach() it"
                )
