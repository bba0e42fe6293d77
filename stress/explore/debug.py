"""The debugger at the end of a schedule: in this process, before any thread is unwound."""

from __future__ import annotations

import sys
import threading
import traceback
from pathlib import Path
from pdb import Pdb, post_mortem
from types import FrameType

from engine import sync
from stress.core.child import Failure
from stress.core.errors import said
from stress.explore.trial import Ending
from stress.explore.work import Replayed, Request, repeat
from stress.report.terminal import say

__all__ = ["debugged"]

# Of the scheduler, where threads wait that are interrupted.
INSIDE = (str(Path(__file__).parent), sync.__file__, threading.__file__)


def debugged(request: Request) -> Replayed:
    """Run a schedule here, again and again, and stop in the debugger at the end of each run.

    Raises ``Failure`` where set-up or arbiter raise. A thread that hangs hangs this process.
    """
    try:
        return repeat(request, lambda number: None, stop)
    except Exception as error:
        raise Failure(said(error), traceback.format_exc()) from None


def stop(ending: Ending) -> None:
    """At the first exception, where it was raised; else at the state."""
    for error in (*ending.errors, *ending.raised):
        if error is not None:
            say(f"{said(error)} (`up` leads to where `state` is)")
            post_mortem(error.__traceback__)
            return
    look(ending)


def look(ending: Ending) -> None:
    """Where the names are that the debugger shows."""
    state, seen = ending.state, ending.seen  # noqa: F841, to be seen
    at = {name: outside(frame) for name, frame in ending.threads.items()}
    threads = {name: frame for name, frame in at.items() if frame is not None}
    say("`state`: the scenario's; `seen`: by the arbiter; `threads`: frames of those not ended")
    for name, frame in threads.items():
        say(f"{name} is at {frame.f_code.co_filename}:{frame.f_lineno}, {frame.f_code.co_name}")
    debugger = Pdb()
    debugger.reset()
    debugger.interaction(sys._getframe(), None)


def outside(frame: FrameType) -> FrameType | None:
    """The frame, or the nearest outer one, that is not the scheduler's; None: all are."""
    at: FrameType | None = frame
    while at is not None and at.f_code.co_filename.startswith(INSIDE):
        at = at.f_back
    return at
