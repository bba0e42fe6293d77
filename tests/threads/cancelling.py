"""Graphs in which a backward is held at a node, and points where a task is held."""

import threading

import engine
from engine.runtime.accumulate import POLICIES

SIZE = 10_000
STAGED = sorted(set(POLICIES) - {"racy"})  # the modes that stage and commit


def leaves(count=3):
    return [engine.ones(SIZE, requires_grad=True) for _ in range(count)]


def chain(x, gate):
    """Two nodes: in the newer one a backward is held; whether the older one ran."""
    ran = []
    middle = x * 2
    middle.register_hook(lambda g: ran.append(1))
    top = middle * 3
    top.register_hook(gate.hold)
    return top.sum(), ran


def parked(point, gate):
    """Hold whoever comes to a meeting point, but for the main thread."""

    def hook(at, subject):
        if at == point and threading.current_thread() is not threading.main_thread():
            gate.hold()

    return engine.sync.hooked(hook)
