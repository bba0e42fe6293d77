"""What is in the file of a recorded run, checked before it is trusted.

Beside the fields of every result (``stress.lab.files``)::

    settings      object: the training
    leaves        list of str: their names, in the order used below
    arrivals      arrivals[step][leaf]: contributions in the order in which they were added
    digests       digests[step][leaf]: of ``.grad``, 16 characters
    hash          str: of the parameters at the end
    parameters    list of {dtype, shape, data}: these, compressed, in base64
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

from stress.lab.bits import Array, digest, unpacked
from stress.lab.files import LabError
from stress.lab.recording import Log
from stress.lab.training import LEAVES, MODES, Setup

__all__ = ["log_of", "parameters_of", "setup_of"]


def setup_of(found: Mapping[str, Any]) -> Setup:
    """The training of a record; raises ``LabError``."""
    try:
        setup = Setup(**found["settings"])
    except TypeError as error:
        raise LabError(f"the record's settings are not those of a training: {error}") from None
    counts = (setup.workers, setup.steps, setup.contributions, setup.batch)
    if setup.mode not in MODES or not all(isinstance(n, int) and n > 0 for n in counts):
        raise LabError(f"the record's settings make no training: {found['settings']}")
    return setup


def log_of(found: Mapping[str, Any]) -> Log:
    """The orders of a record; raises ``LabError`` where one is no permutation, or a digest lacks.

    The fields are there, and of their kinds: ``stress.lab.files.read`` has seen to it.
    """
    setup = setup_of(found)
    log = found["arrivals"]
    if len(log) != setup.steps:
        raise LabError(f"the record must have arrivals for each of {setup.steps} steps")
    if [len(digests) for digests in found["digests"]] != [len(LEAVES)] * setup.steps:
        raise LabError(f"the record must have a digest for each of {len(LEAVES)} leaves in each of "
                       f"{setup.steps} steps: what is missing cannot be compared")  # fmt: skip
    everyone = list(range(setup.contributions))
    for step, orders in enumerate(log):
        if len(orders) != len(LEAVES):
            raise LabError(f"the record must have an order for each leaf in step {step}")
        for leaf, order in zip(LEAVES, orders, strict=True):
            if sorted(order) != everyone:
                raise LabError(f"step {step}, {leaf}: {order} is no order of {len(everyone)}")
    return tuple(tuple(tuple(order) for order in orders) for orders in log)


def parameters_of(found: Mapping[str, Any]) -> dict[str, Array]:
    """The parameters at the end, by the names of the leaves; raises ``LabError``."""
    try:
        arrays = [unpacked(array) for array in found["parameters"]]
    except (ValueError, TypeError, zlib.error) as error:
        raise LabError(f"the record's parameters are damaged: {error}; record again") from None
    if found["leaves"] != list(LEAVES) or digest(arrays) != found["hash"]:
        raise LabError(f"the record's parameters are damaged: they are not the {', '.join(LEAVES)} "
                       f"of hash {found['hash']}; record again")  # fmt: skip
    return dict(zip(LEAVES, arrays, strict=True))
