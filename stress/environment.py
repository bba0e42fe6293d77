"""What a run ran on (`probe`), and the known traps on this machine (`doctor`)."""

import os
import platform
import sys
import sysconfig
import threading
import time
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import threadpoolctl

from stress.gilprobe import LARGEST, gil_enabled, gil_release_size

Level = Literal["ok", "warning", "problem"]
_Matrix = npt.NDArray[np.float32]

_SLOW_MATMUL = 3.0  # GF/s; a NumPy without BLAS stays under 1, any BLAS on one busy core is above 5
_FIRST_SOUND_NUMPY = "2.3.5"  # before: numpy#29391, concurrent products mixed up by OpenBLAS


@dataclass(frozen=True)
class Blas:
    """One BLAS library loaded into this process, and the number of threads it uses per call."""

    name: str
    version: str
    threads: int


@dataclass(frozen=True)
class Environment:
    """The facts that a measurement depends on. Immutable."""

    python: str
    free_threaded_build: bool
    gil_enabled: bool
    numpy: str
    blas: tuple[Blas, ...]
    cores: int
    platform: str
    switch_interval: float
    gil_release_size: int | None

    def rows(self) -> list[tuple[str, str]]:
        """The facts as (label, value) pairs for a table."""
        return [
            ("Python", self.python),
            ("GIL", self._gil()),
            ("NumPy", self.numpy),
            ("BLAS", self._blas()),
            ("cores", str(self.cores)),
            ("platform", self.platform),
            ("switch interval", f"{self.switch_interval * 1e3:g} ms"),
            ("NumPy releases the GIL", self._release()),
        ]

    def as_dict(self) -> dict[str, Any]:
        """The facts as a dict that `json.dumps` takes."""
        return asdict(self)

    def _gil(self) -> str:
        build = "free-threaded build" if self.free_threaded_build else "ordinary build"
        return f"{'on' if self.gil_enabled else 'off'} ({build})"

    def _blas(self) -> str:
        found = (f"{b.name} {b.version}, {_count(b.threads, 'thread')}" for b in self.blas)
        return "; ".join(found) or "none found"

    def _release(self) -> str:
        if not self.gil_enabled:
            return "no GIL"
        if self.gil_release_size is None:
            return f"not up to {LARGEST} elements"
        return f"from {self.gil_release_size} elements on"


@dataclass(frozen=True)
class Finding:
    """One thing that `doctor` looked at: what it saw and, unless all is well, what to do."""

    check: str
    level: Level
    message: str
    fix: str = ""


def probe() -> Environment:
    """Look at this process. Takes under a second; call it while no other thread is at work."""
    implementation, version = platform.python_implementation(), platform.python_version()
    return Environment(
        python=f"{version} ({implementation}, {platform.python_compiler()})",
        free_threaded_build=bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
        gil_enabled=gil_enabled(),
        numpy=np.__version__,
        blas=_blas_libraries(),
        cores=_cores(),
        platform=f"{platform.system()} {platform.machine()}",
        switch_interval=sys.getswitchinterval(),
        gil_release_size=gil_release_size(),
    )


def doctor() -> list[Finding]:
    """Check this machine for the traps that are known to spoil concurrent training or its tests.

    Every check yields one finding, also where all is well. Takes under a second.
    """
    blas = _blas_libraries()
    return [
        check_gil(bool(sysconfig.get_config_var("Py_GIL_DISABLED")), gil_enabled()),
        check_cores(_cores()),
        check_numpy(np.__version__),
        check_blas_threads(blas),
        check_matmul_speed(_matmul_speed()),
        check_concurrent_products(_worst_concurrent_error()),
    ]


def check_gil(free_threaded_build: bool, enabled: bool) -> Finding:
    """A free-threaded build can get its GIL back, and then threads take turns without a word."""
    if free_threaded_build and enabled:
        message = "on in a free-threaded build: an extension module or PYTHON_GIL=1 turned it on"
        fix = "set PYTHON_GIL=0, or run `python -W error` to see which import turned it on"
        return Finding("GIL", "problem", message, fix)
    return Finding("GIL", "ok", "on: threads take turns" if enabled else "off: threads run at once")


def check_cores(cores: int) -> Finding:
    """On one core, threads only take turns."""
    if cores > 1:
        return Finding("cores", "ok", f"{cores} usable")
    message = "one usable core: threads only take turns, and few races show"
    return Finding("cores", "warning", message, "allow more cores (taskset, container limits)")


def check_numpy(version: str) -> Finding:
    """Some NumPy wheels carry an OpenBLAS that mixes up concurrent products."""
    if np.lib.NumpyVersion(version) >= _FIRST_SOUND_NUMPY:
        return Finding("NumPy", "ok", version)
    message = f"{version} may carry an OpenBLAS that returns wrong products to concurrent callers"
    fix = f"pip install --only-binary numpy 'numpy>={_FIRST_SOUND_NUMPY}'"
    return Finding("NumPy", "warning", message, fix)


def check_blas_threads(blas: tuple[Blas, ...]) -> Finding:
    """BLAS threads multiply with the workers and oversubscribe the cores."""
    most = max((library.threads for library in blas), default=1)
    if most == 1:
        return Finding("BLAS threads", "ok", "one per call")
    message = f"{most} per call, times the number of workers (hogwild.train caps them by itself)"
    fix = "set OPENBLAS_NUM_THREADS=1 and OMP_NUM_THREADS=1 before Python starts"
    return Finding("BLAS threads", "warning", message, fix)


def check_matmul_speed(gflops: float) -> Finding:
    """A NumPy that pip built from source has no BLAS, and multiplies some 70 times slower."""
    message = f"{gflops:.3g} GF/s for 256 x 256 float32"
    if gflops >= _SLOW_MATMUL:
        return Finding("matmul", "ok", message)
    fix = "reinstall NumPy from a wheel: pip install --force-reinstall --only-binary :all: numpy"
    return Finding("matmul", "problem", f"{message}: this NumPy seems to have no BLAS", fix)


def check_concurrent_products(worst: float) -> Finding:
    """Products computed by two threads at once must be the ones that one thread computes alone."""
    if worst == 0.0:
        return Finding("concurrent BLAS", "ok", "two threads at once: the same bits as one alone")
    fix = "set OPENBLAS_NUM_THREADS=1 before Python starts, and use a current NumPy wheel"
    if worst < 1e-4:
        message = f"two threads at once change the last bits (relative {worst:.1g})"
        return Finding("concurrent BLAS", "warning", message, fix)
    message = f"two threads at once get WRONG products (relative error {worst:.1g})"
    return Finding("concurrent BLAS", "problem", message, fix)


def _blas_libraries() -> tuple[Blas, ...]:
    pools = threadpoolctl.threadpool_info()
    return tuple(
        Blas(pool["internal_api"], pool["version"] or "(version unknown)", pool["num_threads"])
        for pool in pools
        if pool["user_api"] == "blas"
    )


def _cores() -> int:
    if hasattr(os, "process_cpu_count"):
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _matmul_speed(size: int = 256, repeats: int = 5) -> float:
    """GF/s of the fastest of a few products."""
    a = np.ones((size, size), np.float32)
    out = np.empty_like(a)
    np.matmul(a, a, out=out)  # BLAS starts its threads here
    best = float("inf")
    for _ in range(repeats):
        begun = time.perf_counter()
        np.matmul(a, a, out=out)
        best = min(best, time.perf_counter() - begun)
    return 2.0 * size**3 / best / 1e9


def _worst_concurrent_error(repeats: int = 40) -> float:
    """Largest relative error of products that two threads compute at once.

    One thread multiplies by a contiguous matrix and the other by a transposed one, because BLAS
    locks the two kinds separately. Tall and thin on purpose: that is where errors were seen.
    """
    random = np.random.RandomState(0)
    tall = random.rand(20_000, 4).astype(np.float32)
    square = random.rand(4, 4).astype(np.float32)
    pairs = ((tall, square), (np.asfortranarray(tall), square.T))
    errors = [0.0, 0.0]  # errors[i] belongs to thread i until it is joined
    together = threading.Barrier(len(pairs))

    def multiply(i: int, left: _Matrix, right: _Matrix, expected: _Matrix) -> None:
        for _ in range(repeats):
            together.wait(timeout=10.0)
            off = np.abs(left @ right - expected).max() / np.abs(expected).max()
            errors[i] = max(errors[i], float(np.nan_to_num(off, nan=np.inf)))

    threads = [
        threading.Thread(target=multiply, args=(i, left, right, left @ right))
        for i, (left, right) in enumerate(pairs)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return max(errors)


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
