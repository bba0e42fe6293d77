"""What is done with results that are there already: ``report`` and ``compare``."""

from __future__ import annotations

import argparse

from stress import compare as comparing
from stress.core.result import in_order
from stress.exits import Exit, exit_code, worst
from stress.report import tables
from stress.report.document import save
from stress.report.html import render
from stress.report.junit import junit
from stress.report.stream import RecordError, read
from stress.report.terminal import complain, say, show
from stress.report.verdicts import progress_of, verdicts

__all__ = ["compare", "report"]


def report(args: argparse.Namespace) -> Exit:
    """Show a run again, from its file alone; the exit code is the run's."""
    try:
        recorded = read(args.results)
    except RecordError as error:
        complain(str(error))
        return Exit.USAGE
    show(tables.environment_table(recorded.environment))
    results, ended = in_order(recorded.results), recorded.exit_code
    cut = ended in (None, Exit.INTERRUPTED)
    code = worst(Exit.INTERRUPTED if ended is None else ended, exit_code(results, args.fail_on))
    verdicts(results, code, recorded.seed, recorded.scenarios, interesting=True)
    if ended is None:
        say("the run was killed before its end: these are the results until then")
    if cut and recorded.planned is not None:
        say(progress_of(results, recorded.planned))
    if args.junit:
        junit(args.junit, results)
    if args.html:
        told = None if ended is None else code
        page = render(results, recorded.environment, command=recorded.command, seed=recorded.seed,
                      code=told, scenarios=recorded.scenarios)  # fmt: skip
        save(args.html, page)
    return code


def compare(args: argparse.Namespace) -> Exit:
    """Say what has drifted between two runs."""
    try:
        old, new = read(args.old), read(args.new)
    except RecordError as error:
        complain(str(error))
        return Exit.USAGE
    pairs = comparing.paired(old.results, in_order(new.results))
    if not pairs:
        why = comparing.strangers(old.results, new.results)
        complain(f"the two have no configuration in common: {why}; run both with the same options")
        return Exit.NOTHING
    for name, before, now in comparing.moved(old.environment, new.environment):
        say(f"not the same {name}: {before}, now {now}")
    found = comparing.drifts(pairs, args.tolerance)
    show(comparing.drift_table(found, len(pairs)))
    gone, come = (of(old.results, new.results) for of in (comparing.missing, comparing.added))
    for words in filter(None, (comparing.unclear(pairs), gone, come)):
        say(words)
    return Exit.FORBIDDEN if found else Exit.PASS
