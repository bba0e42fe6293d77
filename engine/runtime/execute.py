"""The one backward loop: pop, hooks, pull, fit, deliver, push.

``backward``, functional ``grad`` and the Hogwild update differ in the policy that receives a leaf's
gradient; nothing here asks which one it serves. The caller works on its own task. It hands a node
to a worker only when it has another one for itself, a worker is idle, and the node is heavy enough
for the hand-off (6-100 us) to pay. A backward started by a hook or a rule runs inline, in the
thread that started it, so a pool of one never waits for itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from .. import modes, sync
from ..graph import Edge, describe
from ..hooks import HookList
from ..values import Value, fit
from .accumulate import Policy
from .plan import Plan, Route
from .pool import WorkerPool
from .ready import ReadyQueue
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

    Raises the first error by sequence number, after every participant has stopped; errors of other
    nodes are attached as notes. Nothing is committed then.
    """
    hook = sync.hook
    task = GraphTask(plan, policy, retain=retain, graph=graph)
    if hook is not None:
        hook("task.begin", task)
    before = modes.state.grad
    modes.state.grad = graph
    try:
        _drive(task, seeds, pool)
        if task.errors:
            _raise_first(task)
        policy.commit()
    finally:
        modes.state.grad = before
        if hook is not None:
            hook("task.end", task)


def _drive(task: GraphTask, seeds: Sequence[Value], pool: WorkerPool) -> None:
    """The caller's part: everything that no worker has taken."""
    ready = pool.order()
    _deliver(task, task.plan.seeds, task.plan.roots, seeds, ready)
    position: int | None = None
    while True:
        if position is not None:
            ready.push(position)
        _work(task, ready, pool)
        try:
            position = task.reclaim()
        except BaseException as error:  # Ctrl-C while waiting: stop the workers, then raise it
            task.fail(-1, error)
            continue
        if position is None:
            return


def _help(task: GraphTask, pool: WorkerPool) -> None:
    """A worker's part: one offered node, and all that it makes ready."""
    position = task.accept()
    if position is None or task.modes is None:
        return  # the caller took it back
    ready = pool.order()
    ready.push(position)
    with modes.restore(task.modes):
        _work(task, ready, pool)
    task.conclude()


def _work(task: GraphTask, ready: ReadyQueue, pool: WorkerPool) -> None:
    """Run what is ready, and what that makes ready, until nothing is or the task has failed."""
    plan, cells, waiting, retain = task.plan, task.cells, ready.positions, task.retain
    nodes, routes, sinks = plan.nodes, plan.routes, plan.sinks
    hook, position = sync.hook, -1
    try:
        while waiting and not task.failed:
            position = ready.pop()
            if pool.idle and waiting:
                _offer(task, ready, pool)
            node, g, onward = nodes[position], cells[position], routes[position]
            cells[position] = None
            if hook is not None:
                hook("node.begin", node)
            if node.hooks is not None:
                g = _call_hooks(node.hooks, g)
            if position in sinks:
                task.policy.receive(position, g)
            grads = node.pull(g, onward, retain) if onward and g is not None else None
            g = None  # whoever gets it next may want to be its only holder
            if hook is not None:
                hook("node.end", node)  # before what it made can begin elsewhere
            if onward:
                _deliver(task, onward, node.edges, grads or [None] * len(onward), ready)
                grads = None
    except BaseException as error:  # whatever user code raises belongs to the task's caller
        task.fail(position, error)


def _deliver(
    task: GraphTask,
    routes: Sequence[Route | None],
    edges: Sequence[Edge | None],
    grads: Sequence[Value | None],
    ready: ReadyQueue,
) -> None:
    """Put each gradient, in the shape and dtype of what it is the gradient of, where it belongs."""
    gathers, leaves = task.gathers, task.plan.leaves
    for route, edge, grad in zip(routes, edges, grads, strict=True):
        if route is None or edge is None:
            continue
        if grad is not None:
            node, port = edge
            shape, dtype = node.output(port) if port else (node.shape, node.dtype)
            if grad.shape != shape or grad.dtype is not dtype:
                grad = fit(grad, shape, dtype)
        target, slot = route
        if target in gathers:
            if not task.gather(target, slot, grad):
                continue
            grad = gathers[target].result()
        if target >= leaves:
            task.cells[target] = grad
            ready.push(target)
        else:
            _arrive(task, target, grad)


def _arrive(task: GraphTask, position: int, g: Value | None) -> None:
    """A leaf's gradient is complete: a leaf makes nothing of it, so it never waits in a queue."""
    leaf, hook = task.plan.nodes[position], sync.hook
    if hook is not None:
        hook("node.begin", leaf)
    if leaf.hooks is not None:
        g = _call_hooks(leaf.hooks, g)
    task.policy.receive(position, g)
    if hook is not None:
        hook("node.end", leaf)


def _offer(task: GraphTask, ready: ReadyQueue, pool: WorkerPool) -> None:
    """Give idle workers what is heavy enough among the nodes that would have to wait."""
    nodes, cells = task.plan.nodes, task.cells
    for position in tuple(ready.positions):
        g = cells[position]
        if g is None or type(g) is list or nodes[position].cost(g) < pool.heavy:
            continue
        task.share()
        ready.remove(position)
        task.offer(position)
        if not pool.submit(lambda: _help(task, pool)):
            return  # the offer stands: the caller takes it back when it has nothing else


def _call_hooks(hooks: HookList, g: Value | None) -> Value | None:
    """Each hook sees what the one before it returned; None leaves the gradient as it is."""
    for _, hook in hooks.entries if g is not None else ():
        replaced = hook(g)
        if replaced is not None:
            g = replaced
    return g


def _raise_first(task: GraphTask) -> None:
    """Raise the error of the node that a sequential run would have met first."""
    errors = sorted(task.errors, key=lambda entry: (isinstance(entry[1], Exception), entry[0]))
    task.errors = ()
    _, first = errors[0]
    for position, error in errors:
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
