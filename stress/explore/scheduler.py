"""A scheduler in control: of all its threads exactly one runs, and a strategy decides which one.

Threads are real, and each has a baton. At a *point* (a hook of the engine, a lock, a queue, the
begin or end of a thread) the one that runs asks the strategy who goes on, and hands over. A thread
that waits for something waits here and not in the operating system, so it is known who could run,
and when nobody can, that is a deadlock and not a hang.

What lies between two points is one step: nothing that is not announced is interleaved. Memory is
sequentially consistent here, whatever the hardware may do.
"""

from __future__ import annotations

import sys
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from contextvars import Context
from functools import partial
from threading import get_ident
from typing import Any, NamedTuple, Protocol

from engine import sync
from stress.explore import troupe as playing
from stress.explore.troupe import Player, Troupe

__all__ = ["Abort", "Chooser", "Control", "Decision", "Event", "Resource", "Strand"]

MOST = 256  # threads in a schedule: their numbers are bytes
CROWDED = "too many threads"
STEPS = 20_000  # points in a schedule, from which on it is taken to be endless
PATIENCE = 10.0  # seconds without a point, from which on a thread is taken to be out of control
FRAMES = 6  # of a thread out of control that are shown, the innermost ones


class Abort(BaseException):
    """Unwinds the threads of a schedule that is broken off."""


class Event(NamedTuple):
    """One thread came to one point. ``subject``: what the point is about, in words."""

    thread: int
    point: str
    subject: str


class Decision(NamedTuple):
    """Several threads could go on, and one did.

    ``options``: their numbers, first the one that goes on by default: the one that runs, if it can.
    ``costs``: what each costs of a bound: 1 where it interrupts a thread that could have gone on,
    and 1 where a timeout passes although there is something else to do. ``step``: the number of
    events before it.
    """

    options: tuple[int, ...]
    costs: tuple[int, ...]
    chosen: int
    step: int = 0

    @property
    def cost(self) -> int:
        """What was spent."""
        return self.costs[self.options.index(self.chosen)]


class Chooser(Protocol):
    """A strategy, during one schedule."""

    def choose(self, options: Sequence[int], costs: Sequence[int]) -> int:
        """One of ``options``."""


class Resource(Protocol):
    """What a thread can wait for: a lock, a queue, the end of another thread."""

    def free(self, strand: Strand) -> bool:
        """Whether ``strand`` would not have to wait now."""

    def holder(self) -> str:
        """Who holds it, in words."""


class Strand:
    """One controlled thread. Written by the thread that runs, or while none does."""

    __slots__ = (
        "baton", "ended", "held", "index", "name", "number", "player", "target", "until", "waits",
    )  # fmt: skip

    def __init__(self, index: int, name: str, player: Player, target: Callable[[], object]) -> None:
        self.index, self.name, self.player = index, name, player
        self.baton, self.number = player.baton, player.number
        self.target: Callable[[], object] | None = target
        self.waits: Resource | None = None
        self.until: float | None = None  # the moment at which a timeout ends the wait
        self.held: list[Resource] = []
        self.ended = False


_event: Any = partial(tuple.__new__, Event)  # which checks nothing: there are many


class Control:
    """One schedule: its threads, what they came through, and what was decided.

    Everything is written by the one thread that runs, or by the caller of ``run`` when none does;
    the batons order them.
    """

    def __init__(
        self,
        chooser: Chooser,
        troupe: Troupe,
        *,
        steps: int = STEPS,
        patience: float = PATIENCE,
    ) -> None:
        self.chooser, self.limit, self.patience = chooser, steps, patience
        self.strands: list[Strand] = []
        self.decisions: list[Decision] = []
        self.events: list[Event] = []
        self.clock = 0.0  # seconds that have passed: those of timeouts
        self.failure = ""  # why it was broken off: deadlock, endless, stuck
        self.table: list[tuple[str, str, str, str]] = []  # of a deadlock: who waits for what
        self.stack = ""  # of a thread out of control: what it is doing
        self.reported: list[BaseException] = []  # what threads ended with
        self.aborting = False
        self._troupe = troupe
        self._alive: list[Strand] = []
        self._by_number: dict[int, Strand] = {}  # of the operating system's thread
        self._names: dict[int, str] = {}
        self._numbers: Counter[str] = Counter()
        self._kept: list[object] = []  # so that no two subjects ever have the same id
        self._running: Strand | None = None
        self._over = troupe.over

    # For the controlled threads.

    def here(self) -> Strand | None:
        """The controlled thread that calls; None for any other."""
        number, running = get_ident(), self._running
        if running is not None and running.number == number:
            return running
        # Only where it is broken off may another one run: it is on its way out, or was stuck.
        return self._by_number.get(number) if self.aborting else None

    def point(self, what: str, subject: object = None, value: str = "") -> None:
        """Somebody else may go on here. Raises ``Abort`` when the schedule is broken off."""
        strand = self.here()
        if strand is None:
            return
        if self.aborting:
            raise Abort
        self.note(strand, what, subject, value)
        chosen = self._choose(strand)
        if chosen is not strand:
            self._hand_over(strand, chosen)

    def wait(self, strand: Strand, resource: Resource, timeout: float | None = None) -> bool:
        """Wait for ``resource``; False if the timeout has ended that: then so much time is gone."""
        self.check()
        strand.waits = resource
        strand.until = until = None if timeout is None else self.clock + max(0.0, timeout)
        chosen = self._choose(strand)
        if chosen is not strand:
            self._hand_over(strand, chosen)
        strand.waits = strand.until = None
        if resource.free(strand):
            return True
        if until is not None:
            self.clock = max(self.clock, until)
        return False

    def check(self) -> None:
        """Raise ``Abort`` if the schedule is broken off."""
        if self.aborting:
            raise Abort

    def note(self, strand: Strand, what: str, subject: object, value: str = "") -> None:
        """Write down what ``strand`` does."""
        name = "" if subject is None else self.name(subject)
        events = self.events
        events.append(_event((strand.index, what, f"{name} {value}".strip() if value else name)))
        if len(events) > self.limit:
            self._break_off("endless")

    def name(self, subject: object) -> str:
        """What ``subject`` is called: its kind, and its number among those that were met."""
        key, names = id(subject), self._names
        if key in names:  # no `get`: of 3.13t it waits for itself, for what another thread has made
            return names[key]
        kind = describe(subject)
        self._kept.append(subject)
        self._numbers[kind] += 1
        name = names[key] = f"{kind} {self._numbers[kind]}"
        return name

    def start(self, target: Callable[[], object], name: str) -> Strand:
        """A new controlled thread; it begins when it is chosen."""
        if len(self.strands) == MOST:
            self._break_off(CROWDED)
        player = self._troupe.enter()  # raises where there can be no more, and nothing has changed
        strand = Strand(len(self.strands), name, player, target)
        self._by_number[player.number] = strand
        player.learn(partial(self._live, strand), name)
        self.strands.append(strand)
        self._alive.append(strand)
        return strand

    # Deciding.

    def _hand_over(self, strand: Strand, chosen: Strand | None) -> None:
        """Let ``chosen`` go on, and wait until ``strand`` is."""
        if chosen is None:
            self._break_off("deadlock" if self._deadlocked() else "")
        else:
            self._running = chosen
            chosen.baton.give()
            strand.baton.take()
        self.check()

    def _choose(self, current: Strand) -> Strand | None:
        """Who goes on; None: nobody can."""
        ready: list[int] = []
        late: list[int] = []  # of whom a timeout may pass
        stays = 0  # whether the one that runs can go on: it comes first
        for strand in self._alive:
            if strand.waits is None or strand.waits.free(strand):
                if strand is current:
                    stays = 1
                    ready.insert(0, strand.index)
                else:
                    ready.append(strand.index)
            elif strand.until is not None:
                late.append(strand.index)
        options = ready + late if late else ready
        if len(options) < 2:
            return self.strands[options[0]] if options else None
        costs = [stays] * len(ready) + [stays + bool(ready)] * len(late)
        costs[0] = 0
        chosen = self.chooser.choose(options, costs)
        decision = Decision(tuple(options), tuple(costs), chosen, len(self.events))
        self.decisions.append(decision)
        return self.strands[chosen]

    def _live(self, strand: Strand) -> bool:
        """The life of a controlled thread; whether its player can play another."""
        target, strand.target = strand.target, None
        try:
            self.check()
            self.note(strand, "begin", None)
            assert target is not None
            Context().run(target)
            self.note(strand, "end", None)
        except Abort:
            pass
        except BaseException as error:
            if not self.aborting:  # else it is about the unwinding, which nobody else ever sees
                self.reported.append(error)
        finally:
            target = None
            self._by_number.pop(strand.number)  # what ends with it comes to no point any more
            strand.number = 0
            again = not self.aborting
            if again:
                sync.renew()
            strand.ended = True
            self._alive.remove(strand)
            if again:
                self._leave(strand)
        return again

    def _leave(self, strand: Strand) -> None:
        """It has ended: another one goes on, or nobody is left who can."""
        chosen = self._choose(strand)
        self._running = chosen
        if chosen is not None:
            chosen.baton.give()
            return
        if self._deadlocked():
            self._tell("deadlock")
        self._over.give()

    def _deadlocked(self) -> bool:
        """Nobody can go on: whether somebody should. Who is left when the trial has ended may wait
        for work that never comes, but not for what another one holds who is left as well."""
        held = [resource for strand in self._alive for resource in strand.held]
        return not self.strands[0].ended or any(strand.waits in held for strand in self._alive)

    def _break_off(self, failure: str) -> None:
        """End the schedule here; the caller of ``run`` unwinds all threads."""
        strand = self.here()
        assert strand is not None
        if failure:
            self._tell(failure)
        self._over.give()
        strand.baton.take()
        self.check()

    def _tell(self, failure: str) -> None:
        """Keep why the schedule is broken off, and who waits for what."""
        self.failure = failure
        self.table = [self._row(strand) for strand in self.strands if not strand.ended]

    def _row(self, strand: Strand) -> tuple[str, str, str, str]:
        waits = strand.waits
        return (
            strand.name,
            "" if waits is None else self.name(waits),
            "" if waits is None else waits.holder(),
            ", ".join(map(self.name, strand.held)),
        )

    # For the caller.

    def run(self, trial: Callable[[], object], look: Callable[[], object] = bool) -> None:
        """Run ``trial`` as the first controlled thread, to its end or to where nobody can go on.

        Threads that only wait when it has ended are unwound, as are all when it is broken off. No
        thread is left, but for one that neither comes to a point nor ends: then ``failure`` is
        ``"stuck"``. ``look`` is called before anything is unwound.
        """
        seen = -1
        try:
            self._running = first = self.start(trial, "trial")
            first.baton.give()
            while not self._over.take(self.patience):
                if len(self.events) == seen:
                    self._stuck()
                    break
                seen = len(self.events)
            look()
        finally:  # after Ctrl-C, too
            self._unwind()

    def _stuck(self) -> None:
        """Somebody runs, and comes to no point: keep who, and where."""
        self._tell("stuck")
        strand = self._running
        if strand is not None:
            self.stack = stack_of(strand.player.number)

    def _unwind(self) -> None:
        """Let every thread that is left raise ``Abort``, one after the other, and end.

        A player that has come to the end of its part plays on in the next schedule.
        """
        self.aborting = True
        well = [strand.player for strand in self.strands if strand.ended]
        left = sorted(self._alive, key=lambda strand: strand is self._running)
        for strand in left:  # the one that ran last comes last: it may need what others hold
            strand.baton.give()
            if not strand.player.leave(self.patience):
                self.failure = "stuck"
        if self.failure == "stuck":
            self._troupe.disturbed()
        self._troupe.back(well[::-1])

    @property
    def running(self) -> str:
        """The thread that ran last."""
        return "" if self._running is None else self._running.name


def describe(subject: object) -> str:
    """The kind of a subject, in a line."""
    kind: Any = getattr(subject, "kind", None)
    name: Any = getattr(subject, "name", None)  # of a node of the graph
    if not isinstance(kind, str):
        kind = str(name()) if callable(name) else type(subject).__name__
    return " ".join(kind.split())


def stack_of(thread: int) -> str:
    """What a thread is doing: its innermost frames, without those that let it run."""
    frame = sys._current_frames().get(thread)
    frames = traceback.extract_stack(frame) if frame is not None else []
    ours = (threading.__file__, playing.__file__, __file__)
    shown = [found for found in frames if found.filename not in ours]
    return "".join(traceback.format_list(shown[-FRAMES:]))
