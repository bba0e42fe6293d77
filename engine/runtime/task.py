"""The mutable state of one backward pass; every field names its guard."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from .. import modes, sync
from ..errors import CancelledError
from ..values import Value, add
from .accumulate import Policy
from .plan import NOWHERE, Joint, Plan

_EMPTY: Any = object()


class Gather:
    """The contributions to one node, folded in slot order, each finished prefix at once.

    ``cells``, ``done``, ``folding``: guarded by ``GraphTask.lock``.
    ``totals``, ``owned``: only the thread that set ``folding`` touches them.
    """

    __slots__ = ("cells", "done", "folding", "owned", "ports", "totals")

    def __init__(self, joint: Joint) -> None:
        self.ports = joint.ports  # immutable
        self.cells: list[Value] = [_EMPTY] * len(joint.ports)
        self.done = 0  # slots below it are folded, or being folded
        self.folding = False
        self.totals: list[Value | None] = [None] * joint.outputs
        self.owned = [False] * joint.outputs  # was the total made here, so that += may write to it?

    def prefix(self) -> list[tuple[int, Value]]:
        """Take out what can be folded now: the caller holds ``GraphTask.lock``."""
        start, cells = self.done, self.cells
        stop = start
        while stop < len(cells) and cells[stop] is not _EMPTY:
            stop += 1
        taken = list(zip(self.ports[start:stop], cells[start:stop], strict=True))
        cells[start:stop] = [None] * (stop - start)
        self.done = stop
        return taken

    def fold(self, contributions: list[tuple[int, Value]]) -> None:
        """Add contributions to the totals: arithmetic, so under no lock."""
        for port, g in contributions:
            total = self.totals[port]
            if g is None:
                continue
            if total is None:
                self.totals[port] = g
            else:
                self.totals[port] = add(total, g, self.owned[port])
                self.owned[port] = True

    def result(self) -> Value:
        """The gradient of the node's output; of all its outputs, a list, if it has several."""
        totals, self.totals = self.totals, []
        return totals[0] if len(totals) == 1 else totals


class GraphTask:
    """One backward pass on its way. Private to the call and the workers that help it."""

    # What a task that nobody helps never sets. Each is guarded by `lock` but where it says else.
    modes: modes.Snapshot | None = None  # set by the caller before its first offer
    arrived: Any = None  # queue of wake-ups for the caller, made by it before its first offer
    waiting = False  # the caller has nothing to do; atomic, a hint to whoever could offer
    outstanding = 0  # offers made and not yet finished
    newest = 0  # with `graph`: the largest sequence number that was given to a recorded node
    notes: Mapping[object, Any] = MappingProxyType({})  # what hooks keep for this backward
    arrivals: Mapping[int, tuple[int, int]] = MappingProxyType({})  # atomic: all make the same

    def __init__(self, plan: Plan, policy: Policy, *, retain: bool, graph: bool) -> None:
        # Immutable from here on, read without a lock.
        self.plan = plan
        self.policy = policy
        self.retain = retain
        self.graph = graph  # create_graph: the backward is itself recorded
        self.gathers = {joint.position: Gather(joint) for joint in plan.joints}
        # A cell is written by the one thread that completes the node's gradient and emptied by the
        # one that runs the node; the queue between them orders the two.
        self.cells: list[Value | None] = [None] * len(plan.nodes)
        # From this position on no node begins. Written under `lock`, read without: a stale read
        # runs one more node.
        self.stop = len(plan.nodes)
        self.clock: int = modes.state.clock  # the caller's, when the backward began
        self.outer: GraphTask | None = modes.state.task  # the one whose hook or rule began this one
        self.lock = sync.lock()
        # Guarded by it, and changed without a call: Ctrl-C arrives where a call ends, and would
        # leave an offer that is counted and that nobody has.
        self.offers: list[int] = []
        self.errors: list[tuple[int, float, BaseException]] = []  # with position and edge
        self.hooked: list[int] = []  # leaves with hooks that were reached
        self.callbacks: list[Callable[[], None]] = []  # run at the end

    def gather(self, position: int, slot: int, g: Value) -> bool:
        """Add one of several contributions; True for the one call that completed the node."""
        gather = self.gathers[position]
        with self.lock:
            gather.cells[slot] = g
            if gather.folding:
                return False  # whoever is folding will find it
            contributions = gather.prefix()
            gather.folding = bool(contributions)
        if not contributions:
            return False  # a slot below is still empty: its deliverer will fold this one
        while contributions:
            gather.fold(contributions)
            with self.lock:
                contributions = gather.prefix()
                gather.folding = bool(contributions)
                complete = gather.done == len(gather.cells)
        return complete

    def share(self) -> None:
        """Get ready to be helped. Only the caller does this, before its first offer."""
        if self.arrived is None:
            self.modes = modes.snapshot()
            self.arrived = sync.queue()

    def offer(self, position: int) -> bool:
        """Let another participant have a node that is ready; True if that woke the caller."""
        with self.lock:
            self.offers += [position]
            self.outstanding += 1
            woke, self.waiting = self.waiting, False  # one offer is enough to wake it
        if woke:
            self.arrived.put(None)
        return woke

    def accept(self) -> int | None:
        """A worker takes an offered node, if the caller has not taken it back."""
        with self.lock:
            return self._pop_offer()

    def _pop_offer(self) -> int | None:
        """The newest offer; the caller holds ``lock``."""
        if not self.offers:
            return None
        position = self.offers[-1]
        del self.offers[-1]
        return position

    def conclude(self) -> None:
        """A worker has finished a node that it accepted, and all that the node made ready."""
        with self.lock:
            self.outstanding -= 1
        self.arrived.put(None)

    def reclaim(self) -> int | None:
        """The caller takes an offered node back; waits for the workers; None when all is done."""
        if self.arrived is None:
            return None
        while True:
            with self.lock:
                position = self._pop_offer()
                if position is not None:
                    self.outstanding -= 1
                    return position
                if not self.outstanding:
                    return None
                self.waiting = True
            # Not a condition variable: Ctrl-C may land anywhere in its Python code, and would
            # leave the lock held. A wake-up too many only makes the loop look again.
            self.arrived.get()
            self.waiting = False

    def reached(self, position: int) -> None:
        """A leaf with hooks has its gradient."""
        with self.lock:
            self.hooked += [position]

    def call_at_end(self, callback: Callable[[], None]) -> None:
        """Run ``callback`` when all is committed; it may add another."""
        with self.lock:
            self.callbacks += [callback]

    def met(self, newest: int) -> None:
        """A participant gave numbers up to ``newest`` to what it recorded."""
        with self.lock:
            self.newest = max(self.newest, newest)

    @property
    def failed(self) -> bool:
        """Whether anything has failed so far."""
        return self.stop < len(self.plan.nodes)

    def fail(self, position: int, error: BaseException, edge: float = NOWHERE) -> None:
        """Remember an error; what a sequential run would not have come to does not begin.

        What comes before does: it may fail as well, and then that error is the one to raise. So
        which one is raised does not depend on the schedule. Ctrl-C stops everything, and so does
        what belongs to no node: ``position`` -1. ``edge``: that a leaf's error came by.
        """
        stop = position if isinstance(error, Exception) else -1
        with self.lock:
            self.errors += [(position, edge, error)]
            if stop < self.stop:
                self.stop = stop

    def arrival(self, leaf: int) -> tuple[int, int]:
        """The node that brings the last contribution to a leaf in a sequential run, by what edge.

        For errors: linear in the graph, once.
        """
        if not self.arrivals:
            self.arrivals = self.plan.arrivals()
        return self.arrivals[leaf]

    def orphan(self) -> None:
        """In the child of a fork: what workers have of it is lost."""
        self.lock = sync.lock()
        if self.arrived is not None:
            self.arrived = sync.queue()
        lost = self.outstanding - len(self.offers)
        self.outstanding = len(self.offers)
        if lost:
            self.fail(
                -1,
                CancelledError(
                    "the process forked inside of this backward while a worker, which the child "
                    "does not have, was at work on another part of it: fork outside of backwards"
                ),
            )
