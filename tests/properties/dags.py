"""Random graphs of tensors: elementwise operations that fan in and out."""

from random import Random
from typing import Any

import numpy as np

import engine

OPERATIONS = [
    lambda a, b: a + b,
    lambda a, b: a - b * 0.5,
    lambda a, b: a * b,
    lambda a, b: a.tanh(),
    lambda a, b: (a * 0.3).exp(),
    lambda a, b: a.sigmoid() * b,
    lambda a, b: a.relu() + b,
    lambda a, b: a + b.sum() * 1e-4,
    lambda a, b: a * 2 - a,
]

Graph = tuple[Any, list[Any]]


def build(seed: int, nodes: int, leaves: int, shape: tuple[int, ...]) -> Graph:
    """A graph that its seed determines: (loss, leaves)."""
    random, rng = Random(seed), np.random.default_rng(seed)
    sources = [
        engine.tensor(rng.standard_normal(shape).astype("f4"), requires_grad=True)
        for _ in range(leaves)
    ]
    made = list(sources)
    for _ in range(nodes):
        one, two = random.choice(made[-6:]), random.choice(made)
        made.append(random.choice(OPERATIONS)(one, two).tanh())
    loss = made[-1].sum()
    for tensor in made[-5:-1]:
        loss = loss + (tensor * 0.1).sum()
    return loss, sources


def gradients(graph: Graph, **options: Any) -> list[Any]:
    """What an accumulating backward leaves in `.grad`; the graph may be walked again."""
    loss, sources = graph
    for source in sources:
        source.zero_grad()
    loss.backward(retain_graph=True, **options)
    return [None if s.grad is None else s.grad.numpy().copy() for s in sources]


def functional(graph: Graph) -> list[Any]:
    """The same by `engine.grad`."""
    loss, sources = graph
    grads = engine.grad(loss, sources, retain_graph=True, allow_unused=True)
    return [None if g is None else g.numpy() for g in grads]
