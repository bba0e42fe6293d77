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
    ended = sync.queue()  # internally synchronised
    over: list[None] = []  # append is atomic
    claim = [work]  # pop is atomic: who has it runs it, or sees to it that nobody does

    def run() -> None:
        for claimed in _taken(claim):
            try:
                claimed()
            finally:
                over.append(None)
                ended.put(None)

    try:
        sync.start_thread(run, "engine-nested")
    except RuntimeError:  # "can't start new thread": the interpreter is exiting, or too many live
        run()
    except BaseException as error:  # Ctrl-C: the thread lives, or will never
        stop(error)
        if _taken(claim):
            return
    # Not `join`: interrupted, that of Python 3.11 takes a thread for ended that is not.
    while not over:
        try:
            ended.get()
        except BaseException as error:
            stop(error)


def _taken(claim: list[Callable[[], object]]) -> list[Callable[[], object]]:
    try:
        return [claim.pop()]
    except IndexError:
        return []
