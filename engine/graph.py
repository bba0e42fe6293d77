"""The graph: nodes that point at what their gradients flow to, and leaves where they end.

A node is data, not a closure: it can be freed, printed and walked. Nodes are immutable after the
forward pass but for two fields: what they saved, which a backward consumes, and their hooks.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from types import CodeType
from typing import Any

import numpy as np

from . import sync
from .exact import ExactSum
from .hooks import Hook, NodeHooks, RemovableHandle, hooks_of
from .values import Shape, Value

Edge = tuple["Node", int]  # (node, which of its outputs)
Origin = tuple[CodeType, int]  # code and instruction: the line is looked up only when it is needed


def caller(depth: int) -> Origin:
    """Where outside of the engine the running call came from; ``depth`` frames are skipped."""
    frame = sys._getframe(depth)
    while frame.f_globals["__name__"].startswith("engine.") and frame.f_back is not None:
        frame = frame.f_back
    return frame.f_code, frame.f_lasti


def describe(origin: Origin | None) -> str:
    """``file:line in function``, for error messages."""
    if origin is None:
        return "an unknown line"
    code, instruction = origin
    line = code.co_firstlineno
    for start, stop, number in code.co_lines():
        if start <= instruction < stop and number is not None:
            line = number
    return f"{code.co_filename}:{line} in {code.co_name}"


class Node:
    """One step of the forward pass, seen from behind. Abstract: ``pull`` says what it computes.

    ``edges``: where the gradient of each input goes, None for an input that needs none.
    ``seq``: larger than that of everything it was computed from (a Lamport clock per thread, so no
    thread waits for another to number its nodes). ``shape``, ``dtype``: of output 0. All immutable.
    """

    __slots__ = ("__weakref__", "_metadata", "dtype", "edges", "hooks", "origin", "seq", "shape")

    edges: Sequence[Edge | None]
    seq: int
    shape: Shape
    dtype: np.dtype[Any]
    origin: Origin | None
    hooks: NodeHooks | None  # set once, under the lock in `hooks`; read without

    outputs = 1

    # Whether a backward has begun that will consume what this node saved; None if there is nothing
    # to consume. Guarded by `claims`.
    claimed: bool | None = None

    def name(self) -> str:
        """The name of the operation, in PyTorch's spelling."""
        raise NotImplementedError

    @property
    def next_functions(self) -> tuple[tuple[Node | None, int], ...]:
        """Where the gradient of each input goes, as (node, output number)."""
        return tuple((None, 0) if edge is None else edge for edge in self.edges)

    @property
    def metadata(self) -> dict[Any, Any]:
        """A dict for whatever the user wants to note on this node. Externally synchronised."""
        try:
            return self._metadata
        except AttributeError:
            self._metadata: dict[Any, Any] = {}
            return self._metadata

    def output(self, port: int) -> tuple[Shape, np.dtype[Any]]:
        """Shape and dtype of one of the outputs."""
        return self.shape, self.dtype

    def pull(self, g: Value, wanted: Sequence[object | None], retain: bool) -> list[Value]:
        """The gradient of each input from that of the output; None where none is ``wanted``.

        ``retain``: leave the saved values for another backward. ``g`` is never written to.
        """
        raise NotImplementedError

    def register_prehook(self, hook: Hook) -> RemovableHandle:
        """Call ``hook(grad_outputs)`` before this node runs; a tuple that it returns replaces them.

        As ``torch.autograd.graph.Node.register_prehook``. Runs only if the node does, under no
        lock, in any thread: externally synchronised by whoever writes it.
        """
        return hooks_of(self).pre.register(hook)

    def register_hook(self, hook: Hook) -> RemovableHandle:
        """Call ``hook(grad_inputs, grad_outputs)`` after this node ran; a tuple replaces the first.

        As ``torch.autograd.graph.Node.register_hook``; otherwise as ``register_prehook``.
        """
        return hooks_of(self).post.register(hook)

    def released(self) -> Exception:
        """What to raise at a backward that comes second."""
        raise NotImplementedError

    def cost(self, g: Value) -> int:
        """Estimated element operations of ``pull``: decides whether a hand-off can pay."""
        return math.prod(g.shape)


claims = sync.process_lock()  # guards ``claimed`` of every node: held while a backward claims all

LEAF_SEQ = sys.maxsize  # a leaf runs as soon as its gradient is complete


class Leaf(Node):
    """Where gradients end: the only mutable state that concurrent backwards share.

    ``lock`` guards ``grad`` and ``face``; it is public and reentrant. One leaf lock is held at a
    time, and no user code runs under it. ``racy`` accumulation alone writes into the array in
    ``grad`` without the lock; it never rebinds the field.
    """

    __slots__ = ("face", "grad", "lock")

    def __init__(self, shape: Shape, dtype: np.dtype[Any]) -> None:
        self.edges = ()
        self.seq = LEAF_SEQ
        self.shape = shape
        self.dtype = dtype
        self.origin = None
        self.hooks = None
        self.lock = sync.rlock()
        self.grad: Value | None = None
        self.face: Any = None  # the Tensor that shows `grad`, so that `t.grad is t.grad`

    def name(self) -> str:
        return "AccumulateGrad"

    def cost(self, g: Value) -> int:
        return 0  # an addition: never worth a hand-off

    def take(self) -> Value | None:
        """Swap ``grad`` with None and return it: atomic against every accumulation but racy's."""
        with self.lock:
            taken, self.grad, self.face = self.value(), None, None
        return taken

    def clear(self) -> None:
        """Forget ``grad``: atomic against every accumulation but racy's."""
        with self.lock:
            self.grad = self.face = None

    def value(self) -> Value | None:
        """``grad`` as a value to read, where it is a sum that is kept exactly: rounded.

        The caller holds ``lock``.
        """
        return self.grad.value() if type(self.grad) is ExactSum else self.grad
