"""Engines that are broken on purpose, each in one way, and the scenarios that must notice.

The one place outside of ``engine/`` and its tests that reaches into the engine's inside: a mutant
replaces a part of it, in a process of its own.
"""

from stress.mutants import graphs, leaves, pools, sequences

__all__ = ["MUTANTS"]

MUTANTS = (*leaves.MUTANTS, *sequences.MUTANTS, *graphs.MUTANTS, *pools.MUTANTS)
