"""Graphs without mathematics: nodes that pass integers on, or that write down what was added up."""

import threading
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from engine.graph import Leaf, Node
from engine.runtime.accumulate import Capture
from engine.runtime.execute import run
from engine.runtime.plan import Plan
from engine.runtime.pool import WorkerPool

KIND: Any = object()  # stands for a dtype: the runtime only compares it


class Number(int):
    """An integer gradient."""

    shape = ()
    dtype = KIND

    def __add__(self, other: int) -> "Number":
        return Number(int(self) + int(other))


class Term:
    """A gradient that remembers in which order it was added up."""

    shape = ()
    dtype = KIND

    def __init__(self, made: Any) -> None:
        self.made = made

    def __add__(self, other: "Term") -> "Term":
        return Term((self.made, other.made))


def leaf() -> Any:
    return Leaf((), KIND)


class Fake(Node):
    """A node whose rule is a function of (gradient, index of the input); by default, g itself.

    `before` is called as the node begins. `threads` tells where it ran.
    """

    __slots__ = ("before", "label", "outputs", "price", "rule", "threads")

    def __init__(
        self,
        seq: int,
        *edges: Any,
        label: str = "",
        outputs: int = 1,
        price: int = 0,
        rule: Callable[[Any, int], Any] = lambda g, index: g,
        before: Callable[[], Any] = lambda: None,
    ) -> None:
        self.seq = seq
        self.edges = tuple((e, 0) if isinstance(e, Node) else e for e in edges)
        self.label = label or f"Fake{seq}"
        self.outputs = outputs
        self.price = price
        self.rule = rule
        self.before = before
        self.threads: list[str] = []
        self.shape: tuple[int, ...] = ()
        self.dtype = KIND
        self.origin = None
        self.hooks = None

    def name(self) -> str:
        return self.label

    def pull(self, g: Any, wanted: Sequence[object | None], retain: bool) -> list[Any]:
        self.threads.append(threading.current_thread().name)
        self.before()
        return [None if want is None else self.rule(g, i) for i, want in enumerate(wanted)]

    def cost(self, g: Any) -> int:
        return self.price


def plan_of(*roots: Any, targets: Any = None) -> Plan:
    return Plan.of([root if isinstance(root, tuple) else (root, 0) for root in roots], targets)


def walk(
    *roots: Any, seeds: Any = None, targets: Any = None, pool: WorkerPool | None = None
) -> dict[Node, Any]:
    """Run a backward from `roots`; what arrived at each sink."""
    plan = plan_of(*roots, targets=targets)
    policy = Capture(plan.nodes)
    run(plan, seeds or [Number(1)] * len(roots), policy, pool or WorkerPool(0))
    return {plan.nodes[position]: value for position, value in policy.staged.items()}


def random_graph(seed: int, size: int, leaves: int = 3, **options: Any) -> tuple[Any, list[Any]]:
    """A graph of `size` nodes in which all is reached from the one root: (root, nodes)."""
    random = Random(seed)
    nodes: list[Any] = [leaf() for _ in range(leaves)]
    loose = set(nodes)  # what nothing leads to yet
    for seq in range(1, size):
        targets = [random.choice(nodes) for _ in range(random.randint(1, 3))]
        node = Fake(seq, *targets, **options)
        loose.difference_update(targets)
        loose.add(node)
        nodes.append(node)
    ends = sorted(loose, key=nodes.index)
    root = Fake(size, *ends, **options)
    return root, [*nodes, root]


def added_up(root: Any, seed: Any) -> dict[Node, Any]:
    """What the leaves get, computed as plainly as can be: newest node first, one contribution
    after the other."""
    total: dict[Any, Any] = {root: seed}
    found, stack = {root}, [root]
    while stack:
        for node, _ in stack.pop().edges:
            if node not in found:
                found.add(node)
                stack.append(node)
    for node in sorted((n for n in found if isinstance(n, Fake)), key=lambda n: -n.seq):
        for index, (target, _) in enumerate(filter(None, node.edges)):
            g = node.rule(total[node], index)
            total[target] = total[target] + g if target in total else g
    return {node: g for node, g in total.items() if not isinstance(node, Fake)}
