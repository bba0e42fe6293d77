"""More levels than a stack has room for: the next runs in a thread, and so a stack, of its own."""

from __future__ import annotations

from collections.abc import Callable

from .. import sync

# So many backwards may be nested in one thread, each started by a hook, a rule or a submitted task
# of the one before: some ten Python frames each, of the thousand that there are.
DEEPEST = 40


def elsewhere(work: Callable[[], object], stop: Callable[[BaseException], None]) -> None:
    """Call ``work`` in a new thread and wait for its end; here, if no thread can be started.

    ``stop`` gets what interrupts the wait (Ctrl-C), and sees to it that ``work`` ends soon.
    """
    try:
        thread = sync.start_thread(work, "engine-nested")
    except RuntimeError:  # "can't start new thread": the interpreter is exiting, or too many live
        work()
        return
    while thread.is_alive():
        try:
            thread.join()
        except BaseException as error:
            stop(error)
