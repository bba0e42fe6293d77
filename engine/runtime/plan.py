"""The topology of one backward pass: immutable, so any number of tasks and threads may share it."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Sequence
from functools import partial
from itertools import chain, islice
from operator import attrgetter
from typing import Any, NamedTuple

from ..graph import LEAF_SEQ, Edge, Node

# In `Plan.targets` and `Plan.starts`: the edge leads to no node of the plan; none of its edges do.
NOWHERE = -1


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

    Edges are numbered as well: those to the roots first, then those of each node in turn. Flat, in
    machine integers: a plan takes some 20 bytes a node, while Python's would take ten times that.
    """

    nodes: Sequence[Node]
    starts: Sequence[int]  # by position: the number of the node's first edge; NOWHERE to stop there
    targets: Sequence[int]  # by edge: the position that it leads to, or NOWHERE
    slots: Sequence[int]  # by edge: the slot of the target that its contribution fills
    joints: Sequence[Joint]
    leaves: int  # positions below it are leaves, which are sinks
    roots: Sequence[Edge]
    sinks: Collection[int]  # other positions whose gradient the policy receives
    pruned: bool  # whether an edge of a node may lead nowhere

    @classmethod
    def of(cls, roots: Sequence[Edge], targets: Iterable[Node] | None = None) -> Plan:
        """The backward pass from ``roots`` to ``targets``; to every leaf where that is None.

        Cost: linear in the number of edges, but for the sort, which is near linear on graphs that
        one thread built. Iterative: depth costs no stack.
        """
        nodes = _reachable(roots)
        wanted = None if targets is None else set(targets)
        if wanted is not None:
            nodes = _leading_to(wanted, nodes)
        position = dict(zip(nodes, range(len(nodes)), strict=True))
        leaves = 0
        while leaves < len(nodes) and nodes[leaves].seq == LEAF_SEQ:
            leaves += 1
        sinks = () if wanted is None else {position[n] for n in wanted if n in position}
        return cls(
            nodes,
            *_routes(roots, nodes, leaves, position),
            leaves,
            roots,
            sinks,
            wanted is not None,
        )

    def arrivals(self) -> dict[int, tuple[int, int]]:
        """For each leaf the position that a sequential run has the last contribution from, by which
        edge; -1 for that of a root."""
        last: dict[int, tuple[int, int]] = {}
        owners = [(NOWHERE, 0, len(self.roots))]
        for position, start in enumerate(self.starts):
            if start != NOWHERE:
                owners.append((position, start, start + len(self.nodes[position].edges)))
        for position, start, end in owners:
            for edge in range(start, end):
                last[self.targets[edge]] = position, edge
        return last

    def wanted(self, position: int) -> Sequence[object | None]:
        """An entry an input of the node: None where no gradient is asked for.

        Those of ``node.edges`` say it, too, where nothing was pruned.
        """
        edges, start = self.nodes[position].edges, self.starts[position]
        targets = self.targets[start : start + len(edges)]
        return [e if t != NOWHERE else None for e, t in zip(edges, targets, strict=True)]


def _routes(
    roots: Sequence[Edge], nodes: list[Node], leaves: int, position: dict[Node, int]
) -> tuple[Sequence[int], Sequence[int], Sequence[int], list[Joint]]:
    """Number the edges, and give each that leads into the plan the next slot of its target."""
    # Machine integers, where there are many: few are read faster from a list.
    new: Any = partial(array, "i") if len(nodes) > 1000 else list
    starts, targets, slots = new([NOWHERE]) * leaves, new(), new()
    fill = new([0]) * len(nodes)  # slots given out so far
    ports: dict[tuple[int, int], int] = {}  # outputs other than the first, by target and slot
    for edges in chain((roots,), map(_edges, islice(nodes, leaves, None))):
        start, leads = len(targets), NOWHERE
        for edge in edges:
            target, slot = NOWHERE, 0
            if edge is not None and edge[0] in position:
                target, leads = position[edge[0]], start
                slot = fill[target]
                fill[target] = slot + 1
                if edge[1]:
                    ports[target, slot] = edge[1]
            targets.append(target)
            slots.append(slot)
        starts.append(leads)
    del starts[leaves]  # of the roots
    joints = [
        Joint(i, nodes[i].outputs, tuple([ports.get((i, slot), 0) for slot in range(count)]))
        for i, count in enumerate(fill)
        if count > 1 or nodes[i].outputs > 1
    ]
    return starts, targets, slots, joints


_edges = attrgetter("edges")
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
        for edge in node.edges:
            if edge is not None and edge[0] in needed:
                needed.add(node)
                break
    return [node for node in nodes if node in needed]
