"""Trainings in fresh processes, for what is settled when an interpreter starts.

``python -m stress.lab.process`` is such a process: setups come in on standard input, hashes go out.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial

from stress.lab.training import Setup, train

__all__ = ["ProcessError", "hashes", "in_processes"]

LIMIT = 120.0  # seconds of a process
AT_ONCE = max(1, min(4, os.cpu_count() or 1))

Hashes = list[str]


class ProcessError(Exception):
    """A process of a training did not end well; the message has the end of what it said."""


def in_processes(
    setups: Sequence[Setup],
    environments: Sequence[Mapping[str, str]],
    notice: Callable[[str], None] = lambda note: None,
) -> list[Hashes]:
    """For each environment, the hashes of all setups, trained one after the other in one process.

    ``notice(text)``: after each process. Raises ``ProcessError``.
    """
    found = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for hashes in pool.map(partial(in_process, setups), environments):
            found.append(hashes)
            notice(f"process {len(found)} of {len(environments)}")
    return found


def in_process(setups: Sequence[Setup], variables: Mapping[str, str]) -> Hashes:
    """One process."""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    environment = {**os.environ, "PYTHONPATH": path, **variables}
    said = json.dumps([asdict(setup) for setup in setups])
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "stress.lab.process"], input=said, env=environment,
            capture_output=True, text=True, timeout=LIMIT, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise ProcessError(f"a training in a process of its own hung for {LIMIT:g} s") from None
    if ended.returncode:
        said = ended.stderr.strip()[-500:]
        code = ended.returncode
        raise ProcessError(f"a training in a process of its own ended with {code}: {said}")
    return list(json.loads(ended.stdout))


def hashes(said: str) -> str:
    """The process's part: setups as JSON in, hashes as JSON out.

    >>> len(json.loads(hashes('[{"steps": 1}]'))[0])
    16
    """
    return json.dumps([train(Setup(**setup)).hash for setup in json.loads(said)])


if __name__ == "__main__":
    print(hashes(sys.stdin.read()))
