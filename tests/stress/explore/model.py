"""A second opinion on the explorer: small programs, and every way they can interleave.

A program is a list of operations. ``actor_of`` runs it with the engine's locks, queues and threads;
``ways`` plays it with generators, tries all choices one by one, and adds up what each costs by the
definition. It shares no code with the scheduler.
"""

from collections import Counter
from contextlib import suppress
from functools import partial
from typing import Any

from engine import sync
from tests.stress.explore.toys import here

SECOND = 1.0  # that timed operations wait


# -- with the engine's primitives ------------------------------------------------------------------


class World:
    """What the actors share: two locks, two queues, and what they write down."""

    def __init__(self):
        self.locks = [sync.lock(), sync.rlock()]
        self.queues = [sync.queue(), sync.queue()]
        self.log = []


def act(world, me, program):
    """Run a program."""
    threads: list[Any] = []
    for kind, what in program:
        if kind == "mark":
            here()
            world.log.append((me, what))
        elif kind in ("with", "try", "timed"):
            guarded(world, me, kind, *what)
        elif kind == "put":
            world.queues[what].put(me)
        elif kind in ("get", "poll"):
            take(world, me, kind, what)
        elif kind == "start":
            child = partial(act, world, f"{me}{len(threads)}", what)
            threads.append(sync.start_thread(child, "child"))
        elif kind == "join":
            threads[-1].join()
        else:
            raise KeyError(me)


def guarded(world, me, kind, number, body):
    lock = world.locks[number]
    how: Any = {"with": {}, "try": {"blocking": False}, "timed": {"timeout": SECOND}}
    got = lock.acquire(**how[kind])
    world.log.append((me, kind, got))
    if got:
        try:
            act(world, me, body)
        finally:
            lock.release()


def take(world, me, kind, number):
    item = None
    with suppress(sync.Empty):
        item = world.queues[number].get(timeout=SECOND if kind == "poll" else None)
    world.log.append((me, item, sync.monotonic()))


# -- with generators -------------------------------------------------------------------------------


class Mutex:
    def __init__(self, again):
        self.again, self.owner, self.times = again, None, 0


class Play:
    """One way through the programs. ``choices``: what to choose where there is a choice."""

    def __init__(self, programs, choices):
        self.locks = [Mutex(False), Mutex(True)]
        self.queues: Any = [[], []]
        self.log, self.clock = [], 0.0
        self.names, self.threads, self.waits, self.untils = [], [], [], []
        self.wanted = {}  # by the name of who waits for it
        self.choices, self.cost = list(choices), 0
        self.raised = 0
        self.outcome = None
        self.start("", self.trial(len(programs)))
        for number, program in enumerate(programs):
            self.start(str(number), self.actor(str(number), program))

    def start(self, name, thread):
        self.names.append(name)
        self.threads.append(thread)
        self.waits.append(None)
        self.untils.append(None)

    def trial(self, actors):
        yield lambda: not any(self.threads[1 : actors + 1])
        self.outcome = "" if self.raised else str(tuple(self.log))

    def actor(self, me, program):
        try:
            yield from self.act(me, program)
        except KeyError:
            self.raised += 1

    def act(self, me, program):
        children: list[int] = []
        for kind, what in program:
            if kind == "mark":
                yield
                self.log.append((me, what))
            elif kind in ("with", "try", "timed"):
                yield from self.guarded(me, kind, *what)
            elif kind == "put":
                yield
                self.queues[what].append(me)
            elif kind in ("get", "poll"):
                yield from self.take(me, kind, what)
            elif kind == "start":
                child = f"{me}{len(children)}"
                children.append(len(self.threads))
                self.start(child, self.act(child, what))
                yield
            elif kind == "join":
                yield
                if self.threads[children[-1]]:
                    yield lambda last=children[-1]: not self.threads[last]
            else:
                raise KeyError(me)

    def patiently(self, free):
        """Wait a second for something; whether it came."""
        until = self.clock + SECOND
        yield free, until
        if not free():
            self.clock = max(self.clock, until)
        return free()

    def guarded(self, me, kind, number, body):
        lock = self.locks[number]
        got = True
        if not (lock.again and lock.owner == me):
            yield
            self.wanted[me] = lock
            if lock.owner is not None and kind == "with":
                yield lambda: lock.owner is None
            elif lock.owner is not None and kind == "timed":
                yield from self.patiently(lambda: lock.owner is None)
            del self.wanted[me]
            got = lock.owner is None
        self.log.append((me, kind, got))
        if not got:
            return
        lock.owner, lock.times = me, lock.times + 1
        try:
            yield from self.act(me, body)
        except KeyError:
            yield from self.release(lock)
            raise
        yield from self.release(lock)

    def release(self, lock):
        lock.times -= 1
        if not lock.times:
            lock.owner = None
            yield

    def take(self, me, kind, number):
        items = self.queues[number]
        yield
        if not items and kind == "poll":
            yield from self.patiently(lambda: bool(items))
        elif not items:
            yield lambda: bool(items)
        self.log.append((me, items.pop(0) if items else None, self.clock))

    def step(self, number):
        """Let one thread go on to its next point, or to where it waits."""
        self.waits[number] = self.untils[number] = None
        try:
            waits = next(self.threads[number])
        except StopIteration:
            self.threads[number] = None
        else:
            self.waits[number], self.untils[number] = (
                waits if isinstance(waits, tuple) else (waits, None)
            )

    def can(self, number):
        return self.threads[number] and (self.waits[number] is None or self.waits[number]())

    def options(self, current):
        """Who can go on, and what that costs, by the definition."""
        numbers = range(len(self.threads))
        ready = [number for number in numbers if self.can(number)]
        late = [n for n in numbers if self.threads[n] and n not in ready and self.untils[n]]
        stays = current in ready
        costs = {number: int(stays and number != current) for number in ready}
        return costs | {number: int(stays) + bool(ready) for number in late}

    def run(self):
        """The outcome and what it cost; or, where ``choices`` end, what there is to choose from."""
        self.step(0)
        current = 0
        while costs := self.options(current):
            if len(costs) > 1 and not self.choices:
                return list(costs)
            current = self.choices.pop(0) if len(costs) > 1 else next(iter(costs))
            self.cost += costs[current] if len(costs) > 1 else 0
            self.step(current)
        return self.key(), self.cost

    def key(self):
        """What it came to, in the words of the explorer."""
        left = {name for name, thread in zip(self.names, self.threads, strict=True) if thread}
        stuck = any(lock.owner in left for lock in self.wanted.values())
        times = "" if self.raised == 1 else f"{self.raised} "
        keys = [self.outcome or "", "deadlock" if stuck or self.outcome is None else "",
                f"{times}raised KeyError" if self.raised else ""]  # fmt: skip
        return ", ".join(filter(None, keys))


def ways(programs):
    """How often each outcome comes at each cost, over all interleavings."""
    found: Counter[Any] = Counter()
    waiting: list[Any] = [()]
    while waiting:
        choices = waiting.pop()
        came = Play(programs, choices).run()
        if isinstance(came, list):
            waiting += [(*choices, choice) for choice in came]
        else:
            found[came] += 1
    return found
