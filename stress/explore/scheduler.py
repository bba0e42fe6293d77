"""A scheduler in control: of all its threads exactly one runs, and a strategy decides which one.

Threads are real, and each has a baton. At a *point* (a hook of the engine, a lock, a queue, the
begin or end of a thread) the one that runs asks the strategy who goes on, and hands over. A thread
that waits for something waits here and not in the operating system, so it is known who could run,
and when nobody can, that is a deadlock and not a hang.

What lies between two points is one step: nothing that is not announced is interleaved. Memory is
sequentially consistent here, whatever the hardware may do.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from stress.explore.baton import Baton

__all__ = ["Abort", "Chooser", "Control", "Decision", "Event", "Resource", "Strand"]

STEPS = 20_000  # points in a schedule, from which on it is taken to be endless
PATIENCE = 10.0  # seconds without a point, from which on a thread is taken to be out of control


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

    def __init__(self, index: int, name: str) -> None:
        self.index, self.name = index, name
        self.baton = Baton()
        self.waits: Resource | None = None
        self.timed = False  # a timeout may end the wait
        self.held: list[Resource] = []
        self.ended = False
        self.thread: threading.Thread | None = None

    def ready(self) -> bool:
        """Whether it can go on."""
        return not self.ended and (self.waits is None or self.waits.free(self))


_mine = threading.local()


class Control:
    """One schedule: its threads, what they came through, and what was decided.

    Everything is written by the one thread that runs, or by the caller of ``run`` when none does;
    the batons order them.
    """

    def __init__(self, chooser: Chooser, *, steps: int = STEPS, patience: float = PATIENCE) -> None:
        self.chooser, self.limit, self.patience = chooser, steps, patience
        self.strands: list[Strand] = []
        self.decisions: list[Decision] = []
        self.events: list[Event] = []
        self.failure = ""  # why it was broken off: deadlock, endless, stuck
        self.table: list[tuple[str, str, str, str]] = []  # of a deadlock: who waits for what
        self.reported: list[BaseException] = []  # what threads ended with
        self.aborting = False
        self._names: dict[tuple[str, int], str] = {}
        self._numbers: Counter[str] = Counter()
        self._kept: list[object] = []  # so that no two subjects ever have the same id
        self._running: Strand | None = None
        self._over = Baton()

    # For the controlled threads.

    def here(self) -> Strand | None:
        """The controlled thread that calls; None for any other."""
        strand: Strand | None = getattr(_mine, "strand", None)
        return strand if strand is not None and _mine.control is self else None

    def point(self, what: str, subject: object = None, value: str = "") -> None:
        """Somebody else may go on here. Raises ``Abort`` when the schedule is broken off."""
        strand = self.here()
        if strand is None:
            return
        self.check()
        self.note(strand, what, subject, value)
        self._hand_over(strand)

    def wait(self, strand: Strand, resource: Resource, *, timed: bool = False) -> bool:
        """Wait for ``resource``; False if a timeout ended that."""
        self.check()
        strand.waits, strand.timed = resource, timed
        self._hand_over(strand)
        strand.waits, strand.timed = None, False
        return resource.free(strand)

    def check(self) -> None:
        """Raise ``Abort`` if the schedule is broken off."""
        if self.aborting:
            raise Abort

    def note(self, strand: Strand, what: str, subject: object, value: str = "") -> None:
        """Write down what ``strand`` does."""
        name = "" if subject is None else self.name(subject)
        self.events.append(Event(strand.index, what, f"{name} {value}".strip()))
        if len(self.events) > self.limit:
            self._break_off("endless")

    def name(self, subject: object) -> str:
        """What ``subject`` is called: its kind, and its number among those that were met."""
        kind = describe(subject)
        name = self._names.get((kind, id(subject)))
        if name is None:
            self._kept.append(subject)
            self._numbers[kind] += 1
            name = self._names[kind, id(subject)] = f"{kind} {self._numbers[kind]}"
        return name

    def start(self, target: Callable[[], object], name: str) -> Strand:
        """A new controlled thread; it begins when it is chosen."""
        strand = Strand(len(self.strands), name)
        strand.thread = threading.Thread(
            target=self._live, args=(strand, target), name=name, daemon=True
        )
        strand.thread.start()  # raises where there can be no more threads, and nothing has changed
        self.strands.append(strand)
        return strand

    # Deciding.

    def _hand_over(self, strand: Strand) -> None:
        """Let whoever is chosen go on, and wait until it is this one."""
        chosen = self._choose(strand)
        if chosen is strand:
            return
        if chosen is None:
            self._break_off("" if self.strands[0].ended else "deadlock")
        else:
            self._running = chosen
            chosen.baton.give()
            strand.baton.take()
        self.check()

    def _choose(self, current: Strand) -> Strand | None:
        """Who goes on; None: nobody can."""
        ready = [strand for strand in self.strands if strand.ready()]
        stays = current in ready
        if stays:
            ready.remove(current)
            ready.insert(0, current)
        late = [s for s in self.strands if s.timed and s not in ready]
        several = ready + late
        if len(several) < 2:
            return several[0] if several else None
        options = tuple(strand.index for strand in several)
        costs = tuple(
            (stays and strand is not current) + (bool(ready) and strand in late)
            for strand in several
        )
        chosen = self.chooser.choose(options, costs)
        self.decisions.append(Decision(options, costs, chosen, len(self.events)))
        return self.strands[chosen]

    def _live(self, strand: Strand, target: Callable[[], object]) -> None:
        """The life of a controlled thread."""
        _mine.strand, _mine.control = strand, self
        strand.baton.take()
        try:
            self.check()
            self.note(strand, "begin", None)
            target()
            self.note(strand, "end", None)
        except Abort:
            pass
        except BaseException as error:
            self.reported.append(error)
        finally:
            _mine.strand = _mine.control = None
            strand.ended = True
            if not self.aborting:
                self._leave(strand)

    def _leave(self, strand: Strand) -> None:
        """It has ended: another one goes on, or nobody is left who can."""
        chosen = self._choose(strand)
        self._running = chosen
        if chosen is not None:
            chosen.baton.give()
            return
        if not self.strands[0].ended:
            self._tell("deadlock")
        self._over.give()

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

    def run(self, trial: Callable[[], object]) -> None:
        """Run ``trial`` as the first controlled thread, to its end or to where nobody can go on.

        Threads that only wait when it has ended are unwound, as are all when it is broken off. No
        thread is left, but for one that neither comes to a point nor ends: then ``failure`` is
        ``"stuck"``.
        """
        first = self.start(trial, "trial")
        first.baton.give()
        seen = -1
        while not self._over.take(self.patience):
            if len(self.events) == seen:
                self._tell("stuck")
                break
            seen = len(self.events)
        self._unwind()

    def _unwind(self) -> None:
        """Let every thread that is left raise ``Abort``, one after the other, and end."""
        self.aborting = True
        left = sorted(self.strands, key=lambda strand: strand is self._running)
        for strand in left:  # the one that ran last comes last: it may need what others hold
            assert strand.thread is not None
            if not strand.ended:
                strand.baton.give()
            strand.thread.join(self.patience)
            if strand.thread.is_alive():
                self.failure = "stuck"
        if self.failure != "stuck":  # what is out of control may come back, and write to them
            for baton in (self._over, *(strand.baton for strand in self.strands)):
                baton.close()

    @property
    def running(self) -> str:
        """The thread that ran last."""
        return "" if self._running is None else self._running.name


def describe(subject: object) -> str:
    """The kind of a subject, in a word."""
    kind: Any = getattr(subject, "kind", None)
    name: Any = getattr(subject, "name", None)  # of a node of the graph
    if isinstance(kind, str):
        return kind
    return str(name()) if callable(name) else type(subject).__name__
