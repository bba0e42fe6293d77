"""Hook lists and the handles that remove from them.

A walker reads a copy of the moment; registering and removing are atomic. Internally synchronised.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import sync

Hook = Callable[..., Any]


class HookList:
    """Hooks in the order of their registration.

    No lock: a finalizer that removes a hook may run inside of a registration, in the same thread.
    Setting, popping and copying a dict are atomic on every build.

    >>> hooks = HookList()
    >>> handle = hooks.register(print)
    >>> len(hooks.entries)
    1
    >>> handle.remove(); handle.remove()
    >>> len(hooks.entries)
    0
    """

    __slots__ = ("_hooks",)

    def __init__(self) -> None:
        self._hooks: dict[object, Hook] = {}  # atomic

    @property
    def entries(self) -> tuple[tuple[object, Hook], ...]:
        """The keys and hooks of this moment."""
        return tuple(self._hooks.copy().items())

    def register(self, hook: Hook) -> RemovableHandle:
        """Append ``hook``; the handle takes it out again."""
        key = object()  # not the handle: it holds this list, and a circle would live on
        self._hooks[key] = hook
        return RemovableHandle(self, key)

    def discard(self, key: object) -> None:
        """Take the hook under ``key`` out, if it is still there."""
        self._hooks.pop(key, None)


class NodeHooks:
    """Everything that is hooked to one node. The lists are internally synchronised.

    ``tensor``: each gets the gradient of the node's output and may replace it. ``pre``, ``post``:
    around the node itself. ``accumulated``: of a leaf, after its ``.grad`` has been added to.
    ``retained``: by output, the leaf that keeps the gradient of an inner tensor; written under the
    lock below, read without.
    """

    __slots__ = ("accumulated", "post", "pre", "retained", "tensor")

    def __init__(self) -> None:
        self.tensor = HookList()
        self.pre = HookList()
        self.post = HookList()
        self.accumulated = HookList()
        self.retained: dict[int, Any] = {}


_first = sync.process_lock()  # guards the first registration on any node


def hooks_of(node: Any) -> NodeHooks:
    """The hooks in ``node.hooks``, made if there are none: one object, whoever asks first."""
    with _first:
        if node.hooks is None:
            node.hooks = NodeHooks()
        hooks: NodeHooks = node.hooks
    return hooks


def retain(node: Any, port: int, make: Callable[[], Any]) -> None:
    """Let ``make()`` keep the gradient of an output of ``node``, unless something does."""
    hooks = hooks_of(node)
    with _first:
        if port not in hooks.retained:
            hooks.retained = {**hooks.retained, port: make()}  # who walks the old one may go on


class RemovableHandle:
    """Removes a hook: ``remove()`` as often as you like, or at the end of a ``with`` block."""

    __slots__ = ("_hooks", "_key")

    def __init__(self, hooks: HookList, key: object) -> None:
        self._hooks = hooks
        self._key = key

    def remove(self) -> None:
        """Take the hook out. A backward that has begun to call the list may still call it once."""
        self._hooks.discard(self._key)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()
