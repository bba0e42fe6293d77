"""What every test gets: a seed, a small heap, and a check that it leaves no thread behind."""

import gc
import random
import signal
import sys
import threading
from collections.abc import Iterator

import hypothesis
import numpy as np
import pytest

import engine
from engine.runtime import pool

PATIENCE = 5.0  # seconds for a thread that is ending already

# Slow machines are no failures, and every run tries the same examples.
hypothesis.settings.register_profile("house", deadline=None, derandomize=True)
hypothesis.settings.load_profile("house")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", type=int, default=0, help="seed of the random generators (0)")
    parser.addoption(
        "--switch-interval",
        type=float,
        metavar="SECONDS",
        help="how long a thread may keep the GIL (Python's default: 5e-3; 1e-6 mixes threads more)",
    )


def pytest_configure(config: pytest.Config) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # by a shell, for what it runs behind
        signal.signal(signal.SIGINT, signal.default_int_handler)  # or processes inherit it
    interval = config.getoption("--switch-interval")
    if interval is not None:
        sys.setswitchinterval(interval)


@pytest.fixture(autouse=True, scope="module")
def _collector_looks_at_this_module() -> None:
    """And not at all that thousands of tests have left in the process: that takes it seconds."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _seeded(request: pytest.FixtureRequest) -> None:
    seed = request.config.getoption("--seed")
    random.seed(seed)
    np.random.seed(seed)
    engine.manual_seed(seed)


@pytest.fixture(autouse=True)
def _no_thread_left_behind() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    left = leftover_threads(before, PATIENCE)
    if left:
        names = ", ".join(thread.name for thread in left)
        pytest.fail(f"the test left threads behind: {names}")


def leftover_threads(before: set[threading.Thread], patience: float) -> list[threading.Thread]:
    """The threads that are not in `before`, do not belong to the default pool and do not end."""
    default = pool._default  # made at its first use; lives until the interpreter exits
    may_stay = before.union(default._threads if default else ())
    new = [thread for thread in threading.enumerate() if thread not in may_stay]
    for thread in new:
        thread.join(patience)
    return [thread for thread in new if thread.is_alive()]
