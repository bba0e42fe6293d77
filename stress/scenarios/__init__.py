"""The scenarios that ship with the harness, one room a theme."""

from stress.scenarios.accumulate import FIRST, ONES, SIZES
from stress.scenarios.disjoint import DISJOINT
from stress.scenarios.pool import FANOUT, ORDER
from stress.scenarios.reset import TAKE, ZERO

__all__ = ["SCENARIOS"]

SCENARIOS = (ONES, FIRST, SIZES, FANOUT, DISJOINT, ZERO, TAKE, ORDER)
