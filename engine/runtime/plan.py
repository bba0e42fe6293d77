"""The topology of one backward pass: immutable, so any number of tasks and threads may share it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter

from ..graph import Edge, Leaf, Node

Route = tuple[int, int]  # (position of the target, slot that the contribution fills)


@dataclass(frozen=True, slots=True)
class Joint:
    """A node that several contributions flow into, or that has several outputs. Immutable.

    ``ports[slot]``: which output of the node the contribution in that slot belongs to.
    """

    position: int
    outputs: int
    ports: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What flows where. Immutable.

    A node's *position* is its rank in the order in which a sequential run takes nodes that are
    ready: newest first, leaves before all. Contributions to a node are numbered in that order too
    (its *slots*), which is what makes the sum independent of who computes what when.
    """

    nodes: Sequence[Node]
    routes: Sequence[Sequence[Route | None]]  # by position, an entry an input; () to stop there
    joints: Sequence[Joint]
    seeds: Sequence[Route | None]  # by root; None where no target lies below it
    sinks: frozenset[int]  # positions whose gradient the policy receives

    @classmethod
    def of(cls, roots: Sequence[Edge], targets: Iterable[Node] | None = None) -> Plan:
        """The backward pass from ``roots`` to ``targets``; to every leaf where that is None.

        Cost: linear in the number of edges, but for the sort, which is near linear on graphs that
        one thread built. Iterative: depth costs no stack.
        """
        nodes = _reachable(roots)
        if targets is not None:
            wanted = set(targets)
            nodes = _leading_to(wanted, nodes)
        position = {node: index for index, node in enumerate(nodes)}
        ports: list[list[int]] = [[] for _ in nodes]

        def enter(edge: Edge | None) -> Route | None:
            target = position.get(edge[0]) if edge is not None else None
            if edge is None or target is None:
                return None
            slots = ports[target]
            slots.append(edge[1])
            return target, len(slots) - 1

        seeds = [enter(edge) for edge in roots]
        routes = [[enter(edge) for edge in node.edges] for node in nodes]
        routes = [row if any(row) else [] for row in routes]
        joints = [
            Joint(index, node.outputs, tuple(slots))
            for index, (node, slots) in enumerate(zip(nodes, ports, strict=True))
            if len(slots) > 1 or node.outputs > 1
        ]
        if targets is None:
            sinks = frozenset(i for i, node in enumerate(nodes) if isinstance(node, Leaf))
        else:
            sinks = frozenset(position[node] for node in wanted if node in position)
        return cls(nodes, routes, joints, seeds, sinks)


def _reachable(roots: Sequence[Edge]) -> list[Node]:
    # A dict, not a set: equal sequence numbers (nodes made in different threads) must come out in
    # an order that depends on the graph alone, not on addresses.
    found = dict.fromkeys(node for node, _ in roots)
    stack = list(found)
    while stack:
        for edge in stack.pop().edges:
            if edge is not None and edge[0] not in found:
                found[edge[0]] = None
                stack.append(edge[0])
    return sorted(found, key=attrgetter("seq"), reverse=True)


def _leading_to(targets: set[Node], nodes: list[Node]) -> list[Node]:
    """The nodes from which a target can be reached. What a node was made from is older than it."""
    needed = set(targets)
    for node in reversed(nodes):
        if any(edge is not None and edge[0] in needed for edge in node.edges):
            needed.add(node)
    return [node for node in nodes if node in needed]
