"""The one backward loop: pop, hooks, pull, fit, deliver, push.

``backward``, functional ``grad`` and the Hogwild update differ in the policy that receives a leaf's
gradient; nothing here asks which one it serves. The caller works on its own task. It hands a node
to a worker only when it has another one for itself, a worker is idle, and the node is heavy enough
for the hand-off (6-100 us) to pay. A backward started by a hook or a rule runs inline, in the
thread that started it, so a pool of one never waits for itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import attrgetter
from typing import Any

from .. import modes, sync
from ..graph import Edge, Leaf, Node, claims, describe
from ..sparse import RowSparse
from ..values import Value, fit
from .accumulate import Policy
from .elsewhere import DEEPEST, elsewhere
from .hooked import (
    call_post_hooks,
    call_pre_hooks,
    call_tensor_hooks,
    check_nan,
    pull_hooked,
)
from .plan import NOWHERE, Plan
from .pool import WorkerPool
from .stats import HAND_OFFS, NODES, TASKS, counted
from .task import GraphTask


def run(
    plan: Plan,
    seeds: Sequence[Value],
    policy: Policy,
    pool: WorkerPool,
    *,
    retain: bool = False,
    graph: bool = False,
) -> None:
    """Walk ``plan`` from ``seeds``, the gradients of its roots, and commit what comes out.

    Raises the error that a sequential run would have met, after every participant has stopped;
    errors of other nodes are attached as notes. Nothing is committed then.
    """
    hook = sync.hook if sync.observer is None else sync.both()
    if not retain:
        _claim(plan)
    task = GraphTask(plan, policy, retain=retain, graph=graph)
    if hook is not None:
        hook("task.begin", task)
    state = modes.state
    counts = state.counts or counted()
    counts[TASKS] += 1
    counts[NODES] += len(plan.nodes)
    before, state.grad, outer, state.task = state.grad, graph, state.task, task
    handle = state.handle
    state.depth += 1
    try:
        if handle is not None:
            handle.enter(task)
        if state.depth <= DEEPEST:
            Participant(task, pool).drive(seeds)
        else:
            _drive_elsewhere(task, pool, seeds)
        if graph:
            state.clock = max(task.clock, task.newest)
        if task.errors:
            if not retain:
                _disclaim(plan)
            _raise_first(task)
        if handle is not None:
            handle.claim(task)
        policy.commit()
        if task.hooked:
            _after_accumulation(task)
        for callback in task.callbacks:  # a callback may add another
            callback()
    finally:
        state.grad, state.task = before, outer
        state.depth -= 1
        if handle is not None:
            handle.leave(task)
        if hook is not None:
            hook("task.end", task)


def _drive_elsewhere(task: GraphTask, pool: WorkerPool, seeds: Sequence[Value]) -> None:
    """Walk the task in a thread of its own, with a stack of its own, while this one waits.

    Only the walk: what it computed is committed by this thread, which may hold a leaf's lock.
    """
    task.share()

    def drive() -> None:
        Participant(task, pool).drive(seeds)

    def walk() -> None:
        assert task.modes is not None
        try:
            task.modes.run(drive, task=task, pools=(*modes.state.pools, pool))
        except BaseException as error:  # belongs to the thread that waits
            task.fail(-1, error)

    elsewhere(walk, lambda error: task.fail(-1, error))  # Ctrl-C: stop the walk, then raise it


def _claim(plan: Plan) -> None:
    """Of several backwards that would release what graphs have saved, let exactly one begin.

    All that it will release, or nothing, in one step: two that share a part and walk it in
    different orders (equal ages, workers) could else each take what the other needs.
    """
    mine = _consumed(plan)
    with claims:
        for node in filter(attrgetter("claimed"), mine):
            raise node.released()
        for node in mine:
            node.claimed = True


def _disclaim(plan: Plan) -> None:
    """The backward has failed: what it did not get to may be used by another."""
    mine = _consumed(plan)
    with claims:
        for node in mine:
            node.claimed = not node.saved


def _consumed(plan: Plan) -> list[Any]:
    """Of the nodes that are pulled, those that have something to consume."""
    return [
        node
        for node, start in zip(plan.nodes, plan.starts, strict=True)
        if start != NOWHERE and node.claimed is not None
    ]


class Participant:
    """One thread at work on a task, the caller or a worker. Thread-local."""

    __slots__ = (
        "_gathers",
        "_graph",
        "_heavy",
        "_hook",
        "_leaves",
        "_newest",
        "_pool",
        "_ready",
        "_task",
    )

    def __init__(self, task: GraphTask, pool: WorkerPool) -> None:
        self._task = task
        self._graph, self._gathers, self._leaves = task.graph, task.gathers, task.plan.leaves
        self._hook = sync.hook if sync.observer is None else sync.both()
        self._pool = pool
        self._ready = pool.order()
        self._heavy: set[int] = set()  # positions that wait and are worth a hand-off
        self._newest = 0  # the largest sequence number that was given to a recorded node here

    def drive(self, seeds: Sequence[Value]) -> None:
        """The caller's part: everything that no worker has taken, until all is done or drained."""
        task = self._task
        try:
            self._walk(seeds)
        except BaseException as error:  # Ctrl-C anywhere: stop the workers first
            task.fail(-1, error)
            while task.reclaim() is not None:
                pass

    def _walk(self, seeds: Sequence[Value]) -> None:
        plan = self._task.plan
        if self._task.failed:
            return  # cancelled before it began
        self._deliver(0, plan.roots, seeds)
        self._work()
        while (position := self._task.reclaim()) is not None:
            self._ready.push(position)
            self._work()

    @classmethod
    def help(cls, task: GraphTask, pool: WorkerPool) -> None:
        """A worker's part: one offered node, and all that it makes ready."""
        position = task.accept()
        if position is None or task.modes is None:
            return  # the caller took it back
        (modes.state.counts or counted())[HAND_OFFS] += 1
        try:
            worker = cls(task, pool)
            worker._ready.push(position)
            task.modes.run(worker._work, task=task)
        except BaseException as error:  # the caller waits for `conclude`, whatever happens here
            task.fail(-1, error)
        finally:
            task.conclude()

    def _work(self) -> None:
        """Run what is ready, and what that makes ready, until nothing is.

        Once something has failed, only what a sequential run would have come to before that.
        """
        task, ready, heavy = self._task, self._ready, self._heavy
        plan, cells, waiting, retain = task.plan, task.cells, ready.positions, task.retain
        nodes, starts, sinks, graph = plan.nodes, plan.starts, plan.sinks, task.graph
        hook, pruned, anomaly = self._hook, plan.pruned, modes.state.anomaly
        handle = modes.state.handle
        try:
            while waiting:
                position = ready.pop()
                if position >= task.stop:
                    continue  # what comes before has failed
                try:
                    if heavy and position in heavy:
                        heavy.remove(position)
                        if waiting and (self._pool.idle or task.waiting):
                            self._offer(position)
                            continue
                    node, g, start = nodes[position], cells[position], starts[position]
                    cells[position] = None
                    if graph:
                        self._rewind()
                    if hook is not None:
                        hook("node.begin", node)
                    if node.hooks is not None:
                        g = call_tensor_hooks(node.hooks.tensor, g)
                    if position in sinks or (node.hooks is not None and node.hooks.retained):
                        task.policy.receive(position, g)
                    if start == NOWHERE or g is None:
                        grads = None
                    elif node.hooks is None:
                        wanted = plan.wanted(position) if pruned else node.edges
                        grads = node.pull(g, wanted, retain)
                    else:
                        grads = pull_hooked(node, g, plan.wanted(position), retain)
                    if anomaly and grads is not None:
                        check_nan(node, grads)
                    g = None  # whoever gets it next may want to be its only holder
                    if hook is not None:
                        hook("node.end", node)  # before what it made can begin elsewhere
                    if start != NOWHERE:
                        self._deliver(start, node.edges, grads or [None] * len(node.edges))
                        grads = None
                    if handle is not None:
                        handle.check()
                except BaseException as error:  # what user code raises belongs to the task's caller
                    task.fail(position, error)
        finally:
            if graph:
                self._rewind()
                task.met(self._newest)

    def _rewind(self) -> None:
        """Number what is recorded next as if nothing had been since the backward began.

        So a recorded node's number depends on its inputs and its place in its rule, not on what
        else this thread has run; and with the numbers, the order of sums in the next derivative.
        """
        state = modes.state
        self._newest = max(self._newest, state.clock)
        state.clock = self._task.clock

    def _deliver(
        self, start: int, edges: Sequence[Edge | None], grads: Sequence[Value | None]
    ) -> None:
        """Put each gradient, in shape and dtype of what it is the gradient of, where it belongs.

        ``start``: the number of the first edge.
        """
        task, graph, gathers, leaves = self._task, self._graph, self._gathers, self._leaves
        targets = task.plan.targets
        number = start - 1
        for edge, grad in zip(edges, grads, strict=True):
            number += 1
            target = targets[number]
            if edge is None or target == NOWHERE:
                continue
            node, port = edge
            if graph:
                self._rewind()
            if grad is not None:
                shape, dtype = node.shape, node.dtype
                if port:
                    shape, dtype = node.output(port)
                if grad.shape != shape or grad.dtype is not dtype:
                    grad = fit(grad, shape, dtype)
            if target >= leaves and type(grad) is RowSparse:
                grad = grad.to_dense()  # rules read arrays: only leaves take rows as they are
            if target in gathers:
                if graph:
                    self._rewind()
                if not task.gather(target, task.plan.slots[number], grad):
                    continue
                grad = gathers[target].result()
            if graph:
                self._rewind()
            if target >= leaves:
                task.cells[target] = grad
                if self._pool.workers:
                    self._weigh(target, node, grad)
                self._ready.push(target)
            elif self._hook is None and node.hooks is None:
                task.policy.receive(target, grad)
            elif not self._arrive(number, target, grad):
                return

    def _arrive(self, edge: int, position: int, g: Value | None) -> bool:
        """A leaf's gradient is complete, by an edge; whether to go on with the edges after it.

        Where a hook raises, that counts as it would in a sequential run, which has the gradient
        when the last of its edges has delivered: so this may not be the place to stop.
        """
        task = self._task
        try:
            self._receive(position, g)
        except Exception as error:
            owner, last = task.arrival(position)
            task.fail(owner, error, last)
            return edge != last
        return True

    def _receive(self, position: int, g: Value | None) -> None:
        """Hooks and policy of a leaf: it makes nothing of a gradient, so it waits in no queue."""
        leaf, hook, policy = self._task.plan.nodes[position], self._hook, self._task.policy
        if hook is not None:
            hook("node.begin", leaf)
        if leaf.hooks is not None:
            g = call_tensor_hooks(leaf.hooks.tensor, g)
            if policy.accumulates and g is not None:
                g = call_pre_hooks(leaf, g)
                self._task.reached(position)
        policy.receive(position, g)
        if hook is not None:
            hook("node.end", leaf)

    def _weigh(self, position: int, node: Node, g: Value | None) -> None:
        """Note a node that is worth a hand-off: once, when it becomes ready."""
        if g is None or type(g) is list:
            return
        # What is small is not looked at twice, but for products with an inner axis of thousands.
        heavy = self._pool.heavy
        if math.prod(node.shape) * 64 >= heavy and node.cost(g) >= heavy:
            self._heavy.add(position)

    def _offer(self, position: int) -> None:
        """Let somebody who has nothing to do have a heavy node, while there is more to do here.

        What is left here may be light and lead to the next heavy one: a sum of many losses is a
        chain of additions from which the branches hang.
        """
        task, pool, tell = self._task, self._pool, sync.observer
        if tell is not None:
            tell("node.offer", task.plan.nodes[position])
        task.share()
        if not task.offer(position):
            # Refused, the offer stands: the caller takes it back when it has nothing else.
            pool.offer(lambda: Participant.help(task, pool))


def _after_accumulation(task: GraphTask) -> None:
    """The hooks of leaves whose ``.grad`` has been added to, in the order of a sequential run."""
    for position in sorted(task.hooked):
        leaf = task.plan.nodes[position]
        assert leaf.hooks is not None
        for _, hook in leaf.hooks.accumulated.entries:
            hook()
        if leaf.hooks.post.entries and isinstance(leaf, Leaf):
            with leaf.lock:
                value = leaf.value()
            call_post_hooks(leaf, [], value)


def _raise_first(task: GraphTask) -> None:
    """Raise the error of the node that a sequential run would have met first."""
    errors = sorted(task.errors, key=lambda entry: (isinstance(entry[-1], Exception), *entry[:2]))
    task.errors.clear()  # they lead back here
    *_, first = errors[0]
    for position, _, error in errors:
        if position >= 0:
            node = task.plan.nodes[position]
            also = "" if error is first else f"also failed with {error!r}: "
            first.add_note(
                f"{also}in the backward of {node.name()}, recorded at {describe(node.origin)}"
            )
    try:
        raise first
    finally:
        del errors, first, error  # an exception must not hold the frame that holds it
