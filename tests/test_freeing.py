"""Graphs are freed in pieces: each path has cuts, a small stack is enough, weakrefs die at once."""

import gc
import weakref
from functools import partial
from typing import Any

import pytest

import engine
from engine import freeing
from engine.function import Function
from tests.threads.scripts import script
from tests.threads.together import together


class Same(Function):
    """Keeps its input in two ways."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        ctx.x = x
        return x * 1

    @staticmethod
    def backward(ctx, g):
        return g * 1


def is_cut(node):
    return hasattr(node, "slots")


def longest_paths(root):
    """By node, how many nodes without a cut the longest path has that begins there."""
    lengths: dict[Any, int] = {}
    stack = [root]
    while stack:
        node = stack[-1]
        below = [edge[0] for edge in node.edges if edge is not None and edge[0].edges]
        missing = [n for n in below if n not in lengths]
        if missing:
            stack += missing
            continue
        stack.pop()
        lengths[node] = 0 if is_cut(node) else 1 + max((lengths[n] for n in below), default=0)
    return lengths


def chain(n, step=lambda y: y + 1):
    y = engine.ones(1, requires_grad=True)
    for _ in range(n):
        y = step(y)
    return y


def braid(n, strands):
    """Chains whose nodes are made in turns, so that their numbers skip those of the others."""
    x = engine.ones(1, requires_grad=True)
    ends = [x] * strands
    for _ in range(n):
        ends = [y + 1 for y in ends]
    return sum(ends)


def second_order(n):
    y = chain(n, lambda y: y * 1.01)
    (g,) = engine.grad(y, leaf_of(y), create_graph=True)
    return g


def leaf_of(y):
    node = y._edge[0]
    while node.edges:
        node = node.edges[0][0]
    return node.face


GRAPHS = {
    "chain": lambda: chain(1000),
    "functions": lambda: chain(1000, Same.apply),
    "braid of 2": lambda: braid(300, 2),
    "braid of 64": lambda: braid(100, 64),
    "braid of 63": lambda: braid(100, 63),
    "braid of 200": lambda: braid(30, 200),
    "views": lambda: chain(500, lambda y: (y * 1).view(1)),
    "writes": lambda: chain(500, lambda y: (y * 1).mul_(1)),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_every_path_has_a_cut(name):
    lengths = longest_paths(GRAPHS[name]()._edge[0])
    assert any(map(is_cut, lengths))
    assert max(lengths.values()) <= -freeing.BLOCK


def test_a_short_graph_has_no_more_than_a_few():
    nodes = longest_paths(chain(640)._edge[0])
    assert sum(map(is_cut, nodes)) <= 11


def test_a_graph_of_two_threads_has_cuts():
    """The numbers of the other thread are far ahead; both go on from them."""

    def longer(y):
        for _ in range(100):
            y = y + 1
        return y

    y = chain(1)
    for _ in range(5):
        (y,) = together(partial(longer, y))
        y = longer(y)
    assert max(longest_paths(y._edge[0]).values()) <= -freeing.BLOCK


def test_a_cut_is_a_node_of_its_kind():
    y = chain(200)
    cuts = [node for node in longest_paths(y._edge[0]) if is_cut(node)]
    assert {repr(node).partition(" ")[0] for node in cuts} == {"<engine.opnode.OpNode"}
    y.backward()
    assert leaf_of(chain(200)) is None
    del cuts


@pytest.mark.parametrize("name", GRAPHS)
def test_weakrefs_die_at_once_in_any_thread(name):
    def free():
        gc.collect()
        gc.disable()
        y = GRAPHS[name]()
        refs = [weakref.ref(node) for node in longest_paths(y._edge[0])]
        del y
        return sum(ref() is not None for ref in refs)

    try:
        assert free() == 0
        assert together(free) == [0]
    finally:
        gc.enable()


def test_what_is_still_held_is_not_freed():
    def free():
        y = chain(500)
        middle = y + 0
        z = middle
        for _ in range(500):
            z = z * 1
        del z, y
        middle.backward()
        return True

    assert together(free) == [True]


def test_cuts_that_die_one_after_the_other():
    """The thread is ready for the next graph, also when the first died inside of user code."""

    class Holder:
        def __init__(self, tensor):
            self.tensor = tensor

        def __del__(self):
            del self.tensor
            died.append(chain(200).item())

    died: list[float] = []

    def free():
        y = chain(200)
        y._edge[0].metadata["holder"] = Holder(chain(200))
        refs = [weakref.ref(node) for node in longest_paths(y._edge[0])]
        del y
        return [sum(ref() is not None for ref in refs), freeing._ends.end.__name__]

    assert together(free) == [[0, "_free"]]
    assert died == [201.0]


def test_a_revived_cut_does_not_pretend_to_be_whole():
    """A finalizer that keeps a node of a dead circle finds it empty, and hears so."""
    kept: list[Any] = []

    class Reviver:
        node: Any
        itself: Any

        def __del__(self):
            kept.append(self.node)

    def collect():
        circle = Reviver()
        y = chain(200)
        circle.node = y._edge[0]
        while not is_cut(circle.node):
            circle.node = circle.node.edges[0][0]
        circle.itself = circle
        del circle, y
        gc.collect()

    together(collect)
    with pytest.raises(AttributeError):
        engine.backward(engine.autograd.GradientEdge(kept[0], 0), engine.ones(1))


def test_the_main_thread_runs_no_python_code_to_free():
    """Ctrl-C there would be swallowed."""
    assert freeing._ends.end is bool
    assert together(lambda: freeing._ends.end) == [freeing._ends._free]


BUILD = {
    "functions": """
class Same(engine.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        ctx.x = x
        return x * 1
    @staticmethod
    def backward(ctx, g):
        return g * 1
def build(n):
    y = engine.ones(1, requires_grad=True)
    for _ in range(n // 5):
        y = Same.apply(y)
    return y
""",
    "views": """
def build(n):
    y = engine.ones(1, requires_grad=True)
    for _ in range(n // 2):
        y = (y + 1).view(1)
    return y
""",
    "writes": """
def build(n):
    y = engine.ones(1, requires_grad=True) * 1
    for _ in range(n // 2):
        y.mul_(1)
    return y
""",
    "braid": """
def build(n):
    a = b = engine.ones(1, requires_grad=True)
    for _ in range(n // 2):
        a, b = a + 1, b * 1
    return a, b
""",
    "second order": """
def build(n):
    x = y = engine.ones(1, requires_grad=True)
    for _ in range(n // 4):
        y = y * x
    return engine.grad(y, x, create_graph=True)
""",
    "hooks": """
def build(n):
    y = engine.ones(1, requires_grad=True)
    for _ in range(n // 2):
        before, y = y, y + 1
        y.register_hook(lambda g, before=before: None)
    return y
""",
    "circle": """
def build(n):
    y = engine.ones(1, requires_grad=True)
    for _ in range(n // 2):
        y = y + 1
    circle = [y]
    circle.append(circle)
    return gc.collect
""",
    "exception": """
def build(n):
    y = engine.ones(1, requires_grad=True)
    for _ in range(n // 2):
        y = y + 1
    try:
        y.view(7)
    except RuntimeError:
        return None
""",
}


@pytest.mark.parametrize("name", BUILD)
def test_a_small_stack_is_enough(name):
    code, lines, _ = script(
        f"import gc\n{BUILD[name]}"
        """
def work():
    y = build(20_000)
    if callable(y):
        y()
    del y
    print("freed")

threading.stack_size(256 << 10)
thread = threading.Thread(target=work)
thread.start()
thread.join()
"""
    )
    assert (code, lines[0]) == (0, "freed")


def test_a_small_stack_is_enough_for_a_graph_of_the_main_thread():
    code, lines, _ = script(
        f"import gc\n{BUILD['braid']}"
        """
graph = [build(20_000)]
threading.stack_size(256 << 10)
thread = threading.Thread(target=graph.clear)
thread.start()
thread.join()
print("freed", graph)
"""
    )
    assert (code, lines[0]) == (0, "freed []")


@pytest.mark.timeout(150)
def test_a_million_nodes():
    code, lines, _ = script(
        """
import gc
gc.disable()

def work():
    y = engine.ones(1, requires_grad=True)
    for _ in range(1_000_000):
        y = y + 1
    print("made")
    del y
    print("freed")

threading.stack_size(256 << 10)
thread = threading.Thread(target=work)
thread.start()
thread.join()
""",
        patience=120,  # seconds: it takes 5 where nobody else is at work
    )
    assert (code, lines[:2]) == (0, ["made", "freed"])
