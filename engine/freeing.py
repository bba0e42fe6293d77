"""Graphs are freed some nodes at a time: a long chain of them needs no deep stack.

To free a node is to free what it held, and so on down the chain, each in a C call inside of the
one before. CPython breaks such a chain by itself: 3.11 after 50 calls, 3.13 after 10 000 of about
60 bytes each, more than a thread with 512 KiB of stack has. So the numbers of nodes, which fall
along every path, are divided into blocks, and a node with an edge to an older block is a *cut*: a
cut that dies inside of the end of another is not freed there, but by the other, in a loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache, partial
from operator import attrgetter
from types import MemberDescriptorType
from typing import Any

from . import sync

# The first number of the block of `seq` is `seq & BLOCK`. So at most 64 nodes die inside of each
# other, which are 200 calls, or some more where a Function keeps tensors.
BLOCK = -64

_new = object.__new__


class _Ends(sync.local):
    """What becomes of the cuts that die in a thread. Thread-local."""

    # While this is made in a thread, nodes may die there: the chain takes its course.
    end: Callable[[Any], object] = bool

    def __init__(self) -> None:
        # In the main thread the chain takes its course. Signal handlers run there alone, and if
        # freeing something ran Python code there, what Ctrl-C raised in it would be swallowed.
        self.end = bool if sync.in_main_thread() else self._free

    # Calling the object calls `end`, by C functions alone: no Python code on the way to `bool`.
    __call__: Any = property(attrgetter("end"))

    def _free(self, node: Any) -> None:
        """Free what ``node`` holds, and each cut that dies of that, one after the other."""
        rest = [_emptied(node)]
        self.end = rest.append  # revives a dying cut until it is popped; this happens to it once
        try:
            while rest:
                rest.pop()
        finally:
            self.end = self._free


def _emptied(node: Any) -> list[Any]:
    """All that ``node`` holds, taken from it: who revives it meets an AttributeError."""
    held = []
    for slot in node.slots:
        with suppress(AttributeError):  # of a slot that was never filled
            held.append(slot.__get__(node))
            slot.__delete__(node)
    return held


_ends: Any = _Ends()


@cache
def cut(kind: type[Any]) -> type[Any]:
    """The subclass of a class of nodes whose end is for the thread to decide. Else the same."""
    fields = [field for base in kind.__mro__ for field in vars(base).values()]
    return type(
        kind.__name__,
        (kind,),
        {
            "__slots__": (),
            "__module__": kind.__module__,
            "__doc__": kind.__doc__,
            "__del__": property(partial(partial, _ends)),  # bound to a node: calls _ends(node)
            "slots": [field for field in fields if isinstance(field, MemberDescriptorType)],
        },
    )


def new_node(kind: Any, edges: Sequence[Any], seq: int) -> Any:
    """An empty node of ``kind``, or of its cut, for the number and the edges that it will have."""
    block = seq & BLOCK
    far = any(edge is not None and edge[0].seq < block for edge in edges)
    return _new(cut(kind) if far else kind)
