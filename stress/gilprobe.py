"""Finds out from which array size on NumPy lets other threads run during an operation.

Under the GIL an in-place operation below that size is atomic by accident: a race test on smaller
arrays proves nothing. The size is a constant inside NumPy, so it is measured, never assumed.
"""

import sys
import threading
import time

import numpy as np
import numpy.typing as npt

LARGEST = 100_000
_SECONDS_PER_SIZE = 0.03
_INTERVAL = 1.0  # longer than the work at one size: no thread loses the GIL against its will


def gil_enabled() -> bool:
    """Whether this process runs with the GIL right now (an extension can switch it on late)."""
    return bool(getattr(sys, "_is_gil_enabled", lambda: True)())


def gil_release_size() -> int | None:
    """The smallest array length at which another thread can see a ufunc's work half done.

    None where there is no GIL, and where no length up to `LARGEST` lets another thread in.
    Takes under a second. Call it while no other thread of the process is at work: the switch
    interval is process-wide, and it is stretched meanwhile and restored at the end.
    """
    if not gil_enabled():
        return None
    before = sys.getswitchinterval()
    sys.setswitchinterval(_INTERVAL)
    onlooker = _Onlooker()
    try:
        return _smallest(onlooker)
    finally:
        sys.setswitchinterval(before)
        onlooker.close()


def _smallest(onlooker: "_Onlooker") -> int | None:
    """Bisect: sizes at `low` keep other threads out, sizes at `high` let them in."""
    low, high = 1, LARGEST
    # One element cannot be half done. Who gets in there came through another door (some builds also
    # give the GIL up while they look the loop up), so from then on only a torn array counts.
    onlooker.must_tear = onlooker.gets_in(low)
    if not onlooker.gets_in(high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if onlooker.gets_in(middle):
            high = middle
        else:
            low = middle
    return high


class _Onlooker:
    """A thread that is always waiting for the GIL and looks at the array once it gets it.

    With a long switch interval it gets the GIL only where the working thread gives it up by itself.
    If that happened inside the loop over the elements, the first is new and the last is old.

    Guards: the locks `_look` and `_looked` hand the array back and forth. `_looks` and `_torn` are
    written by the onlooker while it holds the GIL, and read by the worker while it holds the GIL.
    """

    def __init__(self) -> None:
        self.must_tear = False
        self._view: npt.NDArray[np.float64] = np.zeros(LARGEST)
        self._looks = 0
        self._torn = False
        self._closing = False
        self._look = threading.Lock()
        self._looked = threading.Lock()
        self._look.acquire()
        self._looked.acquire()
        self._thread = threading.Thread(target=self._run, name="gil-onlooker", daemon=True)
        self._thread.start()

    def gets_in(self, size: int) -> bool:
        """Whether the onlooker gets to run while an operation on `size` elements is under way."""
        self._view, zeros = np.zeros(size), np.zeros(size)
        deadline = time.perf_counter() + _SECONDS_PER_SIZE
        while time.perf_counter() < deadline:
            looks = self._looks
            self._look.release()
            try:
                while self._looks == looks and time.perf_counter() < deadline:
                    # Slow on purpose, for a wide window; and every call changes every element.
                    np.logaddexp(self._view, zeros, out=self._view)
                got_in = self._looks > looks and (self._torn or not self.must_tear)
            finally:
                self._looked.acquire()  # gives the GIL up: a look that needed this came too late
            if got_in:
                return True
        return False

    def _run(self) -> None:
        while True:
            self._look.acquire()
            if self._closing:
                return
            last, first = self._view[-1], self._view[0]
            self._torn = bool(first != last)
            self._looks += 1
            self._looked.release()

    def close(self) -> None:
        """End the thread."""
        self._closing = True
        self._look.release()
        self._thread.join()
