"""The scenarios that ship with the harness, one room a theme."""

from stress.scenarios import accumulate, bits, disjoint, errors, pool, reset, sharing, step

__all__ = ["SCENARIOS"]

SCENARIOS = (
    accumulate.ONES,
    bits.BITS,
    accumulate.FIRST,
    accumulate.SIZES,
    bits.DTYPES,
    pool.FANOUT,
    sharing.RELEASED,
    sharing.RETAINED,
    sharing.TWICE,
    disjoint.DISJOINT,
    reset.ZERO,
    reset.THIRD,
    reset.TAKE,
    reset.HISTORY,
    reset.READ,
    step.STEP,
    pool.ORDER,
    errors.ONE,
    errors.TWO,
    errors.CANCELLED,
    sharing.MIXED,
    sharing.FUNCTIONS,
)
