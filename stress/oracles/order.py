"""The order oracle: every node of a backward ran exactly once, and after all that it waits for.

It reads the engine's hook: ``node.begin`` and ``node.end``, with the node as their subject.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from typing import Any

__all__ = ["Event", "NodeLog", "overlapping", "topology", "violations"]

Event = tuple[str, Any, int]  # (point, node, thread)


class NodeLog:
    """What ran when, in which thread. Internally synchronised: a list that is only appended to.

    A ``begin`` is logged before the node's work and an ``end`` after it, and appends are totally
    ordered, so an ``end`` that stands before a ``begin`` happened before it.
    """

    def __init__(self) -> None:
        self._events: list[Event] = []

    def __call__(self, point: str, subject: object) -> None:
        """The hook."""
        if point in ("node.begin", "node.end"):
            self._events.append((point, subject, threading.get_ident()))

    def take(self) -> list[Event]:
        """The events since the last call."""
        events, self._events = self._events, []
        return events


def overlapping(events: list[Event]) -> bool:
    """Whether two threads were inside nodes at once."""
    inside: set[int] = set()
    for point, _, thread in events:
        if point == "node.begin":
            inside.add(thread)
            if len(inside) > 1:
                return True
        else:
            inside.discard(thread)
    return False


def violations(events: list[Event], roots: list[Any]) -> list[str]:
    """What went wrong in one backward from the nodes ``roots``; [] where all is well."""
    nodes, waits_for = topology(roots)
    begun = Counter(id(node) for point, node, _ in events if point == "node.begin")
    wrong = [
        f"{node.name()} ran {begun[key]} times" for key, node in nodes.items() if begun[key] != 1
    ]
    ended: set[int] = set()
    for point, node, _ in events:
        if point == "node.end":
            ended.add(id(node))
        elif not waits_for[id(node)] <= ended:
            wrong.append(f"{node.name()} ran before all of its gradient had arrived")
    return wrong


def topology(roots: list[Any]) -> tuple[dict[int, Any], dict[int, set[int]]]:
    """Every node below ``roots`` by id, and for each the ids of the nodes that feed it."""
    nodes = {id(root): root for root in roots}
    waits_for: dict[int, set[int]] = defaultdict(set)
    stack = list(roots)
    while stack:
        node = stack.pop()
        for target, _ in node.next_functions:
            if target is None:
                continue
            waits_for[id(target)].add(id(node))
            if id(target) not in nodes:
                nodes[id(target)] = target
                stack.append(target)
    return nodes, waits_for
