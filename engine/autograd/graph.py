"""``torch.autograd.graph``: edges, hooks on several tensors, and what is saved for backward."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from operator import itemgetter
from typing import Any
from weakref import ref

from .. import modes
from ..errors import ArgumentError, HookError
from ..graph import Node, caller
from ..hooks import RemovableHandle
from ..runtime.plan import NOWHERE
from ..runtime.task import GraphTask
from ..tensor import Tensor
from . import GradientEdge, edge_of

__all__ = [
    "GradientEdge",
    "Node",
    "disable_saved_tensors_hooks",
    "get_gradient_edge",
    "increment_version",
    "queue_callback",
    "register_multi_grad_hook",
    "saved_tensors_hooks",
]


def get_gradient_edge(tensor: Tensor) -> GradientEdge:
    """Where the gradient of ``tensor`` flows: takes its place as a root or input. Immutable."""
    return GradientEdge(*edge_of(tensor))


def increment_version(tensor: Tensor) -> None:
    """Count a write to the elements that the engine did not see. Externally synchronised."""
    tensor._wrote(caller(2))


def queue_callback(callback: Callable[[], None]) -> None:
    """Run ``callback()`` at the end of the backward that is under way in this thread.

    It runs in the thread that called ``backward``, after every ``.grad`` has been added to, and
    after those that were queued before it; where workers help, that order is up to the schedule.
    Raises ``HookError`` outside of a backward.
    """
    if modes.state.task is None:
        raise HookError("final callbacks can only be installed during backward pass")
    modes.state.task.call_at_end(callback)


class MultiHandle:
    """Removes a hook from several tensors; may be removed again, or used as a ``with`` block."""

    __slots__ = ("_handles",)

    def __init__(self, handles: Sequence[RemovableHandle]) -> None:
        self._handles = handles

    def remove(self) -> None:
        """Take the hook out everywhere."""
        for handle in self._handles:
            handle.remove()

    def __enter__(self) -> MultiHandle:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


def register_multi_grad_hook(
    tensors: Sequence[Tensor], fn: Callable[..., None], *, mode: str = "all"
) -> MultiHandle:
    """Call ``fn`` once a backward: ``"all"``: when every gradient is there; ``"any"``: the first.

    ``"all"``: ``fn(grads)`` with a list, None for tensors that this backward does not reach.
    ``"any"``: ``fn(grad)``. What was seen is kept by the backward, not by the hook, so backwards of
    several threads that reach different tensors do not meet. ``fn`` runs under no lock. Where
    workers help, which gradient comes first, and so what ``"any"`` sees, is up to the schedule.

    >>> import engine
    >>> a, b = (engine.tensor(float(n), requires_grad=True) for n in (2, 3))
    >>> handle = register_multi_grad_hook([a, b], print)
    >>> (a * b).backward()
    [tensor(3.), tensor(2.)]
    >>> (a * 5).backward()
    [tensor(5.), None]
    >>> handle.remove()
    """
    if mode not in ("all", "any"):
        raise ArgumentError(f"expects mode to be one of ('all', 'any') but got {mode!r}")
    if not all(isinstance(t, Tensor) and t.requires_grad for t in tensors):
        raise HookError("expected this hook to be registered on tensors that require grad")
    nodes = [ref(edge_of(t)[0]) for t in tensors]  # weak: they hold the hooks, which hold this
    key = object()

    def see(index: int, grad: Tensor) -> None:
        task = modes.state.task
        with task.lock:
            if key not in task.notes:
                reached = set(task.plan.nodes)
                waiting = sum(node() in reached for node in nodes) if mode == "all" else 1
                task.notes = {**task.notes, key: [[None] * len(nodes), waiting]}
            note = task.notes[key]
            note[0][index] = grad
            note[1] -= 1
            call = note[1] == 0
        if not call:
            return
        try:
            fn(note[0] if mode == "all" else grad)
        except Exception as error:
            last, position, edge = _last(task, nodes)
            if mode == "any" or nodes[index]() is last:
                raise
            task.fail(position, error, edge - 0.5)  # before what comes by that edge fails otherwise

    def hook(index: int) -> Callable[[Tensor], None]:
        return lambda grad: see(index, grad)

    return MultiHandle([t.register_hook(hook(index)) for index, t in enumerate(tensors)])


def _last(task: GraphTask, nodes: Sequence[ref[Node]]) -> tuple[Node, int, int]:
    """Of these nodes the one whose gradient a sequential run has last; from where, by what edge."""
    wanted = {node() for node in nodes}
    reached = [(at, node) for at, node in enumerate(task.plan.nodes) if node in wanted]
    leaves = task.plan.leaves
    times = [(task.arrival(at) if at < leaves else (at, NOWHERE), node) for at, node in reached]
    (position, edge), node = max(times, key=itemgetter(0))
    return node, position, edge


class saved_tensors_hooks:
    """For a ``with`` block, keep ``pack(tensor)`` of what is saved, and use ``unpack`` of that.

    Thread-local; the innermost block counts. ``pack`` runs once when an operation is recorded,
    ``unpack`` at each use; what was packed is not checked for writes in place. As
    ``torch.autograd.graph.saved_tensors_hooks``.

    >>> import engine
    >>> x = engine.tensor([2.0], requires_grad=True)
    >>> with saved_tensors_hooks(lambda t: t.detach().numpy().tolist(), engine.tensor):
    ...     y = x * x
    >>> y.backward()
    >>> x.grad
    tensor([4.])
    """

    def __init__(self, pack: Callable[[Tensor], Any], unpack: Callable[[Any], Tensor]) -> None:
        self._hooks = (pack, unpack)

    def __enter__(self) -> saved_tensors_hooks:
        refusal = modes.state.no_saved_hooks
        if refusal is not None:
            raise HookError(refusal)
        modes.state.saved_hooks = (*modes.state.saved_hooks, self._hooks)
        return self

    def __exit__(self, *_: object) -> None:
        modes.state.saved_hooks = modes.state.saved_hooks[:-1]


@contextmanager
def disable_saved_tensors_hooks(message: str) -> Iterator[None]:
    """For a ``with`` block, make ``saved_tensors_hooks`` raise ``HookError(message)``.

    Thread-local.
    """
    state = modes.state
    if state.saved_hooks:
        raise HookError(message)
    before, state.no_saved_hooks = state.no_saved_hooks, message
    try:
        yield
    finally:
        state.no_saved_hooks = before
