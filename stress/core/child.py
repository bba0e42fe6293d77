"""Run work in a child process, so that a hang or a crash is a result and not the end of the run.

The child watches itself: when what it reports has not changed for as long as the call allows, the
interpreter's own watchdog, which needs no GIL, writes the stacks of all threads to a file and ends
the process. Should even that fail, the parent kills it a little later. One child serves many calls;
one that hung or died is replaced.

A child is a fork of a server that has imported the harness and never had a second thread: as clean
as a process from scratch, which takes a second to start, and ready in hundredths of one.
"""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import signal
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from time import monotonic
from typing import Any, TextIO, TypeVar

from stress.core.errors import said

__all__ = ["Child", "Crash", "Failure", "Hang", "Report", "ask_for_gil"]

Argument = TypeVar("Argument")
Value = TypeVar("Value")
Report = Callable[[Any], None]

LONG = 60.0  # seconds that the first process may take to start
GRACE = 5.0  # seconds that the parent waits beyond the limit, for the stacks to be written

# Never a fork of this process: it would copy locks in whatever state they are.
if "forkserver" in multiprocessing.get_all_start_methods():
    _context: Any = multiprocessing.get_context("forkserver")
    _context.set_forkserver_preload(["stress.core.job", "stress.scenarios"])
else:
    _context = multiprocessing.get_context("spawn")


class Hang(Exception):
    """The call made no progress. ``stacks``: what every thread was doing."""

    def __init__(self, limit: float, stacks: str) -> None:
        super().__init__(f"no progress for {limit:g} s")
        self.stacks = stacks


class Crash(Exception):
    """The process died. ``stacks``: what every thread was doing, if it could still say."""

    def __init__(self, code: int, stacks: str) -> None:
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        super().__init__(f"the process died: {how}")
        self.stacks = stacks


class Failure(Exception):
    """The call raised. ``stacks``: its traceback."""

    def __init__(self, error: str, stacks: str) -> None:
        super().__init__(error)
        self.stacks = stacks


class Child:
    """A child process that makes calls, one at a time; started when first needed.

    Externally synchronised. Use it as a ``with`` block: nothing is left running after it.
    """

    def __init__(self) -> None:
        self._process: Any = None
        self._connection: Connection[Any, Any] | None = None
        self._directory = tempfile.TemporaryDirectory(prefix="stress-")
        self._stacks = Path(self._directory.name, "stacks.txt")

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        self._directory.cleanup()

    def call(
        self,
        function: Callable[[Argument, Report], Value],
        argument: Argument,
        limit: float,
        progress: Report | None = None,
    ) -> Value:
        """``function(argument, report)``, computed in the child.

        Function and argument must be picklable. ``report(x)`` there arrives here as
        ``progress(x)``, and ``limit`` seconds without a *different* ``x`` are a hang: reporting the
        same again is a sign of life, not of progress. Raises ``Hang``, ``Crash`` or ``Failure``;
        after the first two the next call gets a fresh child.
        """
        connection = self._connection or self._start()
        try:
            connection.send((function, argument, limit))
            kind, value = self._listen(connection, limit + GRACE, progress)
        except (BrokenPipeError, ConnectionResetError, EOFError):
            raise self._post_mortem(limit) from None
        except BaseException:  # Ctrl-C, say: the child may be in the middle of anything
            self._end()
            raise
        if kind == "error":
            raise Failure(*value)
        return value  # type: ignore[no-any-return]

    def _start(self) -> Connection[Any, Any]:
        self._stacks.write_text("")
        ours: Connection[Any, Any]
        with undisturbed():
            ours, theirs = _context.Pipe()
            self._process = _context.Process(
                target=serve, args=(theirs, str(self._stacks)), name="stress-child", daemon=True
            )
            self._process.start()
            theirs.close()  # or the child's death would not be seen as the end of the pipe
            self._connection = ours
        return ours

    def _listen(
        self, connection: Connection[Any, Any], patience: float, progress: Report | None
    ) -> tuple[str, Any]:
        deadline, before = monotonic() + patience, None
        while connection.poll(max(0.0, deadline - monotonic())):
            kind, value = connection.recv()
            if kind != "progress":
                return kind, value
            if value != before:
                deadline, before = monotonic() + patience, value
            if progress is not None:
                progress(value)
        raise EOFError  # not even the watchdog got through

    def _post_mortem(self, limit: float) -> Hang | Crash:
        """Why the child does not answer any more."""
        self._process.join(GRACE)
        code = self._process.exitcode
        self._end()
        stacks = self._stacks.read_text()
        if code is None or stacks.startswith("Timeout"):
            return Hang(limit, stacks)
        return Crash(code, stacks)

    def _end(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._process.kill()  # it holds nothing that its death could damage
            self._process.join()
            self._process.close()
        self._connection = self._process = None


@contextmanager
def undisturbed() -> Iterator[None]:
    """Hold Ctrl-C and its kin back for the block, where a server would hear half of a request.

    The server itself is started before: it would inherit what is held back.
    """
    if _context.get_start_method() != "forkserver":
        yield
        return
    forkserver.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ask_for_gil(state: str) -> None:
    """Have all processes of this one's children run with the GIL ("1") or without ("0").

    Call it before the first is started; "auto" changes nothing. Whether they did as they were told
    is for each to say: an extension module may turn the GIL on.
    """
    if state != "auto":
        os.environ["PYTHON_GIL"] = state


def serve(connection: Connection[Any, Any], stacks: str) -> None:
    """The child's whole life: take a call, watch it, answer; end when the parent hangs up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle; it ends us
    signal.signal(signal.SIGTERM, unheeded)  # so is this, if it was sent to the whole group
    with open(stacks, "w") as file:
        faulthandler.enable(file)
        while True:
            try:
                function, argument, limit = connection.recv()
                connection.send(watched(function, argument, Watch(connection, limit, file)))
            except (EOFError, BrokenPipeError, ConnectionResetError):  # the parent has gone
                return


def unheeded(*_: object) -> None:
    """A signal that changes nothing; unlike ``SIG_IGN`` no program that we start inherits it."""


class Watch:
    """Reports progress to the parent, and sees to it that a lack of progress ends the process."""

    def __init__(self, connection: Connection[Any, Any], limit: float, file: TextIO) -> None:
        self.connection, self.limit, self.file = connection, limit, file
        self.last: Any = None

    def __call__(self, value: Any) -> None:
        """Report ``value``."""
        if value != self.last:
            self.last = value
            self.arm()
        self.connection.send(("progress", value))

    def arm(self) -> None:
        """Start the watchdog's time anew."""
        faulthandler.dump_traceback_later(self.limit, exit=True, file=self.file)


def watched(function: Callable[[Any, Report], Any], argument: Any, watch: Watch) -> tuple[str, Any]:
    """The answer to one call."""
    watch.arm()
    try:
        return "value", function(argument, watch)
    except BaseException as error:  # SystemExit too: it would end the process as if it had died
        return "error", (said(error), traceback.format_exc())
    finally:
        faulthandler.cancel_dump_traceback_later()
