"""Pools whose workers are held, and tasks that tell where they ran."""

import threading
from contextlib import contextmanager

import engine
from tests.threads.together import Gate


def me():
    return threading.current_thread().name


@contextmanager
def busy(workers=1, **options):
    """A pool whose workers are all held inside of a task."""
    gates = [Gate() for _ in range(workers)]
    with engine.WorkerPool(workers, **options) as pool:
        held = [engine.submit(gate.hold) for gate in gates]
        for gate in gates:
            gate.reached()

        def release():
            for gate in gates:
                gate.open()

        try:
            yield pool, release
        finally:
            release()
    assert all(handle.done() for handle in held)
