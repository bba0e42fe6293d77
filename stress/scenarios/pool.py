"""One graph, run by a pool of workers: nothing is lost, skipped, or taken out of turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count, repeat
from random import Random
from typing import Any

import engine
from stress.core.outcome import acceptable, forbidden
from stress.core.scenario import Observation, Params, Scenario, one_actor
from stress.oracles.coding import Coding
from stress.oracles.order import Event, NodeLog, overlapping, topology, violations
from stress.oracles.trap import GradTrap
from stress.scenarios.common import (
    Array,
    Way,
    always,
    arrays,
    everywhere,
    fresh_leaf,
    observed,
    quick_in,
    same_bits,
    tally,
    times,
    trapped,
)

__all__ = ["FANOUT", "NEWEST", "ORDER"]


@dataclass(frozen=True, slots=True)
class Watched:
    """What the trials of one run share: the node log and the trap hook into the whole process."""

    params: Params
    log: NodeLog
    trap: GradTrap | None
    number: Iterator[int]  # of the trial


@contextmanager
def watched(params: Params) -> Iterator[Watched]:
    """Log every node that runs, in whatever thread."""
    log = NodeLog()
    with observed(log), trapped(params) as trap:
        yield Watched(params, log, trap, repeat(0) if params.explored else count())


def helped(params: Params) -> engine.WorkerPool:
    """A pool to which even light nodes are offered; the caller works too, so one worker less."""
    return engine.WorkerPool(max(1, params.threads - 1), heavy=0)


# -- 5: one graph, many branches to one leaf, many workers, one backward ---------------------------

BACKWARDS = 10  # in a trial, for one start of the pool


@dataclass(frozen=True, slots=True)
class Fan:
    """One trial. Written by its one actor."""

    fixture: Watched
    gradients: list[Array]
    events: list[list[Event]]


def start_fan(fixture: Watched) -> Fan:
    """Nothing yet."""
    fixture.log.take()
    return Fan(fixture, [], [])


def branches(params: Params) -> int:
    """As many branches as the code can tell apart."""
    return times(params, Coding(params.dtype).capacity, 3)


def run_fan(state: Fan, index: int) -> None:
    """Branch *c* multiplies by the code of contribution *c*, so the gradient names what is lost."""
    params = state.fixture.params
    code = Coding(params.dtype)
    with helped(params):
        for _ in range(times(params, BACKWARDS)):
            leaf = fresh_leaf(params)
            roots = [leaf * float(code.value(c)) for c in range(branches(params))]
            seeds = [engine.ones_like(root) for root in roots]
            state.gradients.append(backward_of(params.mode, roots, leaf, seeds))
            state.events.append(state.fixture.log.take())


def backward_of(
    mode: str, roots: list[engine.Tensor], leaf: engine.Tensor, seeds: list[engine.Tensor]
) -> Array:
    """The gradient of ``leaf`` by one backward from many roots."""
    results = Way(mode)(roots, [leaf], seeds)
    return (results or arrays([leaf.grad]))[0]


def judge_fan(state: Fan) -> Observation:
    """Every backward's gradient holds every branch once."""
    params = state.fixture.params
    decoded = [Coding(params.dtype).decode(g, branches(params)) for g in state.gradients]
    bad = [d for d in decoded if d.missing or d.doubled or d.strange]
    met = any(map(overlapping, state.events))
    return Observation(
        tally(state.fixture.trap, {"exact": len(decoded) - len(bad), "lost": len(bad)}),
        sum(d.missing for d in decoded),
        len(decoded) * branches(params) * params.size,
        met,
        "; ".join(d.describe("branch {}".format) for d in bad[:1]),
    )


ONE_BACKWARD = always(
    acceptable("exact", "every branch counts once"),
    forbidden(
        "lost", "one backward is exact in every mode: its branches meet in slots, not in .grad"
    ),
    forbidden("touched *", "a functional gradient reads and writes no .grad"),
)

FANOUT = Scenario(
    5,
    "pool.fanout",
    "one backward, branches to one leaf, run by a pool of workers",
    "backwards",
    start_fan,
    run_fan,
    judge_fan,
    everywhere(ONE_BACKWARD),
    prepare=watched,
    crew=one_actor,
    tags=quick_in("locked", "functional"),
)


# -- 16: dependency counts -------------------------------------------------------------------------

Build = Callable[[engine.Tensor, Random], engine.Tensor]


def diamond(leaf: engine.Tensor, random: Random) -> engine.Tensor:
    """Two ways from one node to another, many times over."""
    x = leaf * 1.0
    for _ in range(8):
        x = x * 1.0 + x * -1.0 + x
    return x


def wide(leaf: engine.Tensor, random: Random) -> engine.Tensor:
    """1 → 1000 → 1: a thousand contributions meet in one node."""
    x = leaf * 1.0
    layer = [x * (factor % 7 / 3) for factor in range(1000)]  # rounded: their order shows
    while len(layer) > 1:
        layer = [left + right for left, right in zip(layer[::2], layer[1::2], strict=False)] + (
            layer[-1:] if len(layer) % 2 else []
        )
    return layer[0]


def woven(leaf: engine.Tensor, random: Random) -> engine.Tensor:
    """A random graph in which each node reads two or three of the newest ones."""
    made = [leaf * 1.0, leaf * 2.0]
    for _ in range(60):
        left, right = random.choice(made[-6:]), random.choice(made[-6:])
        made.append(left - right * float(random.randrange(-1, 2)))
    last = made[-1]
    for tensor in made[-6:-1]:
        last = last + tensor
    return last


def small(leaf: engine.Tensor, random: Random) -> engine.Tensor:
    """Three ways from one node to another."""
    x = leaf * 1.0
    return x * 0.1 + x * 0.2 + x * 0.3


def shapes(params: Params) -> tuple[Build, ...]:
    """The graphs of a trial."""
    return (small,) if params.explored else (diamond, wide, woven, woven, woven)


@dataclass(frozen=True, slots=True)
class Walk:
    """One trial: backwards of several graphs. Written by its one actor."""

    fixture: Watched
    trial: int
    wrong: list[str]
    met: list[bool]


def start_walk(fixture: Watched) -> Walk:
    """The trial's number seeds its random graphs."""
    fixture.log.take()
    return Walk(fixture, next(fixture.number), [], [])


def walk(state: Walk, index: int) -> None:
    """Run each graph by the pool, and the same graph alone."""
    with helped(state.fixture.params):
        for number, build in enumerate(shapes(state.fixture.params)):
            problems = walk_once(state, build, (state.trial, number))
            if problems:
                state.wrong.append(f"{build.__name__}: {problems[0]}")


def walk_once(state: Walk, build: Build, trial: tuple[int, int]) -> list[str]:
    """What went wrong in the backward of one graph."""
    params, log = state.fixture.params, state.fixture.log
    seed = hash((params.seed, *trial))
    leaf = fresh_leaf(params)
    root = build(leaf, Random(seed))
    got = gradient_by(params.mode, root, leaf)
    events = log.take()
    state.met.append(overlapping(events))
    with engine.WorkerPool(0):
        alone = fresh_leaf(params)
        expected = gradient_by(params.mode, build(alone, Random(seed)), alone)
    log.take()
    same = same_bits([got], [expected])
    return violations(events, [root.grad_fn]) + ["not the bits of a run alone"] * (not same)


def gradient_by(mode: str, root: engine.Tensor, leaf: engine.Tensor) -> Array:
    """The gradient of ``leaf`` by one backward from ``root``."""
    return backward_of(mode, [root], leaf, [engine.ones_like(root)])


def judge_walk(state: Walk) -> Observation:
    """Every node ran once, after everything it waits for."""
    wrong, total = len(state.wrong), len(shapes(state.fixture.params))
    seen = tally(state.fixture.trap, {"in turn": total - wrong, "out of turn": wrong})
    return Observation(seen, overlapped=any(state.met), note="; ".join(state.wrong))


IN_TURN = always(
    acceptable("in turn", "every node ran once, after all that feed it, with the right sum"),
    forbidden("out of turn", "a node waits for its whole gradient, and runs once"),
    forbidden("touched *", "a functional gradient reads and writes no .grad"),
)

ORDER = Scenario(
    16,
    "pool.order",
    "diamond, 1 → 1000 → 1 and random graphs, run by a pool of workers",
    "backwards",
    start_walk,
    walk,
    judge_walk,
    everywhere(IN_TURN),
    prepare=watched,
    crew=one_actor,
    minimum=lambda params: 10,
    tags=quick_in("locked", "functional"),
)


# -- 19: who comes first, where one thread runs all ------------------------------------------------


@dataclass(frozen=True, slots=True)
class Alone:
    """One trial. ``wrong``: actor *i* alone writes item *i*."""

    fixture: Watched
    trial: int
    wrong: list[int]


def start_alone(fixture: Watched) -> Alone:
    """The trial's number seeds its random graphs."""
    fixture.log.take()
    return Alone(fixture, next(fixture.number), [0] * fixture.params.threads)


def run_alone(state: Alone, index: int) -> None:
    """A random graph without workers: its nodes run in the reverse of the order they were made."""
    params = state.fixture.params
    leaf = fresh_leaf(params)
    build = small if params.explored else woven
    root = build(leaf, Random(hash((params.seed, state.trial, index))))
    ran: list[Any] = []
    with engine.WorkerPool(0):
        for node in nodes_of(root):
            node.register_prehook(lambda _, node=node: ran.append(node))
        gradient_by(params.mode, root, leaf)
    state.wrong[index] += ran != sorted(ran, key=lambda node: -int(node.seq))


def nodes_of(root: engine.Tensor) -> list[Any]:
    """Every node below ``root`` but the leaf."""
    nodes, _ = topology([root.grad_fn])
    return [node for node in nodes.values() if node.next_functions]


def judge_alone(state: Alone) -> Observation:
    """Newest first, in every thread."""
    wrong = sum(state.wrong)
    fates = {"in order": len(state.wrong) - wrong, "out of order": wrong}
    return Observation(tally(state.fixture.trap, fates))


NEWEST = Scenario(
    19,
    "pool.newest",
    "threads without workers run random graphs of their own: the newest node first",
    "backwards",
    start_alone,
    run_alone,
    judge_alone,
    everywhere(
        always(
            acceptable("in order", "of what is ready, the node that was recorded last runs first"),
            forbidden("out of order", "the order of a single thread does not depend on others"),
            forbidden("touched *", "a functional gradient reads and writes no .grad"),
        )
    ),
    prepare=watched,
    tags=quick_in("locked"),
)
