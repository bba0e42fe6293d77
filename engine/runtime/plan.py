"""The topology of one backward pass: immutable, so any number of tasks and threads may share it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from operator import attrgetter
from typing import NamedTuple

from ..graph import LEAF_SEQ, Edge, Node

Route = tuple[int, int]  # (position of the target, slot that the contribution fills)


class Joint(NamedTuple):
    """A node that several contributions flow into, or that has several outputs. Immutable.

    ``ports[slot]``: which output of the node the contribution in that slot belongs to.
    """

    position: int
    outputs: int
    ports: tuple[int, ...]


class Plan(NamedTuple):
    """What flows where. Immutable once made.

    A node's *position* is its rank in the order in which a sequential run takes nodes that are
    ready: newest first, leaves before all. Contributions to a node are numbered in that order too
    (its *slots*), which is what makes the sum independent of who computes what when.
    """

    nodes: Sequence[Node]
    routes: Sequence[Sequence[Route | None]]  # by position, an entry an input; () to stop there
    joints: Sequence[Joint]
    leaves: int  # positions below it are leaves, which are sinks
    roots: Sequence[Edge]
    seeds: Sequence[Route | None]  # by root; None where no target lies below it
    sinks: Collection[int]  # other positions whose gradient the policy receives

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
        fill = [0] * len(nodes)  # slots given out so far
        ports: dict[Route, int] = {}  # outputs other than the first
        seeds = _enter(roots, position, fill, ports)
        rows = [_enter(node.edges, position, fill, ports) if node.edges else () for node in nodes]
        routes = [row if any(row) else () for row in rows]
        joints = [
            Joint(i, nodes[i].outputs, tuple(ports.get((i, slot), 0) for slot in range(count)))
            for i, count in enumerate(fill)
            if count > 1 or nodes[i].outputs > 1
        ]
        leaves = 0
        while leaves < len(nodes) and nodes[leaves].seq == LEAF_SEQ:
            leaves += 1
        sinks = () if targets is None else {position[n] for n in wanted if n in position}
        return cls(nodes, routes, joints, leaves, roots, seeds, sinks)


def _enter(
    edges: Sequence[Edge | None],
    position: dict[Node, int],
    fill: list[int],
    ports: dict[Route, int],
) -> list[Route | None]:
    """Give each edge that leads into the plan the next slot of its target."""
    routes: list[Route | None] = []
    for edge in edges:
        target = position.get(edge[0]) if edge is not None else None
        if edge is None or target is None:
            routes.append(None)
            continue
        slot = fill[target]
        fill[target] = slot + 1
        route = target, slot
        routes.append(route)
        if edge[1]:
            ports[route] = edge[1]
    return routes


_seq = attrgetter("seq")


def _reachable(roots: Sequence[Edge]) -> list[Node]:
    # A dict, not a set: equal sequence numbers (nodes made in different threads) must come out in
    # an order that depends on the graph alone, not on addresses.
    found = dict.fromkeys(node for node, _ in roots)
    stack = list(found)
    while stack:
        for edge in stack.pop().edges:
            if edge is not None:
                node = edge[0]
                if node not in found:
                    found[node] = None
                    if node.edges:
                        stack.append(node)
    return sorted(found, key=_seq, reverse=True)


def _leading_to(targets: set[Node], nodes: list[Node]) -> list[Node]:
    """The nodes from which a target can be reached. What a node was made from is older than it."""
    needed = set(targets)
    for node in reversed(nodes):
        if any(edge is not None and edge[0] in needed for edge in node.edges):
            needed.add(node)
    return [node for node in nodes if node in needed]
