"""Mutants that nothing can notice: what the self-test must complain about."""

from stress.mutants.mutant import Mutant, schedules

MUTANTS = (Mutant("harmless", "nothing is broken", (), (schedules("accumulate.first", "locked"),)),)
