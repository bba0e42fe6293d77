"""The scenarios that ship with the harness, one room a theme."""

from stress.scenarios import accumulate, bits, disjoint, errors, pool, reset, sharing, step, tasks

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
    tasks.HISTORY,
    tasks.WOKEN,
    pool.NEWEST,
    errors.ONE,
    errors.TWO,
    errors.CANCELLED,
    tasks.INSIDE,
    tasks.RESIZED,
    tasks.FAIR,
    sharing.MIXED,
    sharing.FUNCTIONS,
)
