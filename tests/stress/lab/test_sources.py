"""Sources of variation: each shows in the modes that do not mind it, and broken modes are seen."""

from dataclasses import replace
from unittest.mock import patch

import pytest

from engine.runtime.accumulate.tickets import Tickets
from stress.lab import sources
from stress.lab.process import ProcessError, in_process
from stress.lab.sources import SOURCES, Cell, Sample, Study, cells
from stress.lab.sources_table import costs_table, doubts, table
from stress.lab.training import MODES, Setup, train
from stress.mutants import leaves
from stress.mutants.sequences import fold_at_once

BY_NAME = {source.name: source for source in SOURCES}
SMALL = Study(runs=3, processes=2, workers=(1, 3), steps=6)


def patterns(name, study=SMALL):
    return {cell.mode: cell.patterns for cell in cells(study, [BY_NAME[name]])}


def test_an_order_of_arrival_changes_the_bits_of_racy_and_locked_alone():
    found = patterns("arrival")
    assert found["racy"] > 1
    assert found["locked"] > 1
    assert (found["ordered"], found["reproducible"], found["functional"]) == (1, 1, 1)


TRIES = 10  # at a race that threads may not come to where there is one core, or a busy one


def test_lost_updates_are_those_of_racy_alone():
    racy = set()
    for _ in range(TRIES):
        found = patterns("lost")
        racy.add(found.pop("racy"))
        assert set(found.values()) == {1}
        if racy != {1}:
            return
    pytest.fail("nothing was lost")


def test_who_runs_which_node_changes_nothing_and_nodes_were_handed_off():
    for _ in range(TRIES):
        found = list(cells(Study(runs=8, steps=3), [BY_NAME["ready-queue"]]))
        assert {cell.patterns for cell in found} == {1}
        if not all(sources.alone(sample) for cell in found for sample in cell.samples):
            return
    pytest.fail("no worker took a node")


def test_a_shared_generator_spoils_every_mode_and_keys_none():
    assert set(patterns("rng-shared").values()) == {3}
    assert set(patterns("rng-keyed").values()) == {1}


def test_a_backward_that_raises_leaves_no_trace_but_in_racy():
    found = patterns("failure")
    found.pop("racy")
    assert set(found.values()) == {1}


def test_of_the_two_errors_that_of_a_sequential_run_is_told_in_each_step():
    assert set(patterns("error-told").values()) == {1}
    (alone, *_) = sources.told(Study(runs=1), Setup(steps=3))
    names = alone.hash.split()
    assert len(names) == 3
    assert len(set(names)) == 1
    assert set(names) < {"weight1", "bias1"}


def test_threads_as_they_come_change_nothing_where_that_is_promised():
    found = patterns("workers")
    assert (found["ordered"], found["reproducible"], found["functional"]) == (1, 1, 1)


def test_other_processes_come_to_the_same_bits():
    study = Study(("ordered", "reproducible"), runs=2, processes=2, steps=2)
    for name in ("processes", "warm-up"):
        for cell in cells(study, [BY_NAME[name]]):
            assert (cell.settings, len(cell.samples), cell.patterns) == (2, 2, 1)
    here = Setup("reproducible", workers=3, steps=2)
    assert {sample.hash for sample in cell.samples} == {train(here).hash}


def test_a_variable_reaches_the_process():
    study = Study(("ordered",), runs=2, steps=1)
    (cell,) = cells(study, [BY_NAME["hash-seed"]])
    assert [sample.setting for sample in cell.samples] == ["PYTHONHASHSEED=0", "PYTHONHASHSEED=1"]
    with pytest.raises(ProcessError, match="PYTHONHASHSEED"):
        in_process([], {"PYTHONHASHSEED": "no number"})


def test_a_process_that_fails_is_told():
    with pytest.raises(ProcessError, match=r"ended with 1: [\s\S]*unknown accumulation mode"):
        in_process([Setup("no such mode")], {})


# Broken engines


@pytest.mark.parametrize("name", ["arrival", "workers"])
def test_an_engine_that_ignores_tickets_is_seen(name):
    study = Study(("ordered",), runs=8, workers=(3,))
    with patch.object(Tickets, "arrive", fold_at_once):
        (cell,) = cells(study, [BY_NAME[name]])
    assert cell.broken


def test_locks_that_lock_nothing_are_seen():
    mutant = next(mutant for mutant in leaves.MUTANTS if mutant.name == "no-lock")
    give_way = sources.give_way
    give_way.chunks = 2  # type: ignore[attr-defined]  # additions have points inside of the lock
    try:
        with mutant.applied():
            (cell,) = cells(Study(("locked",), runs=6), [BY_NAME["lost"]])
    finally:
        del give_way.chunks  # type: ignore[attr-defined]
    assert cell.broken


# Tables


def cell(mode, hashes, promised=True, source="workers"):
    samples = tuple(Sample("2 threads", hash, 0.5) for hash in hashes)
    return Cell(source, mode, promised, samples)


def test_the_table_says_what_is_the_same_and_what_was_promised():
    free = [cell("racy", "abca", False), cell("locked", "aaaa", False)]
    shown = table([*free, cell("ordered", "aa"), cell("reproducible", "ab")], {})
    columns = ("source", "settings", "racy", "locked", "ordered", "reproducible", "verdict")
    assert shown.columns == columns
    assert shown.rows == [("workers", "1", "3 of 4", "same", "same*", "BROKEN: 2 of 2", "FAIL")]


def verdicts(*found):
    return [row[-1] for row in table(found, doubts(found, SOURCES)).rows]


@pytest.mark.parametrize(
    ("name", "control"),
    [("arrival", "locked"), ("lost", "racy"), ("workers", "locked"), ("processes", "locked")],
)
def test_where_the_control_does_not_vary_nothing_is_shown(name, control):
    kept = cell("ordered", "aa", source=name)
    for control_has, said in (("ab", "PASS"), ("aa", "INCONCLUSIVE")):
        assert verdicts(cell(control, control_has, False, name), kept) == [said]
    assert verdicts(kept) == ["INCONCLUSIVE"]
    assert doubts([kept], SOURCES) == {
        name: f"its control, {control}, was not run; add it to --mode"
    }
    assert verdicts(cell("ordered", "ab", source=name)) == ["FAIL"]
    assert verdicts(cell("racy", "aa", False, name)) == ["none"]


def test_where_no_node_is_handed_off_nothing_is_shown():
    source = BY_NAME["ready-queue"]
    with patch.object(sources, "train", lambda setup: train(replace(setup, workers=1))):
        found = list(cells(Study(("locked", "racy"), runs=2, steps=1), [source]))
    assert verdicts(*found) == ["INCONCLUSIVE"]
    assert doubts(found, [source])["ready-queue"].endswith("another thread in locked, racy")
    busy = [replace(cell, samples=(Sample("2 workers, 10 nodes handed off", "a"),))
            for cell in found]  # fmt: skip
    assert verdicts(*busy) == ["PASS"]


def test_costs_are_against_locked_and_of_the_same_number_of_threads():
    slow = Cell("workers", "ordered", True, (Sample("2 threads", "a", 0.75),) * 4)
    shown = costs_table([cell("locked", "aabb", False), slow])
    assert shown is not None
    assert list(shown.rows) == [
        ("locked", "2 threads", "2 of 4", "500.0", "1.00"),
        ("ordered", "2 threads", "1 of 4", "750.0", "1.50"),
    ]
    assert costs_table([cell("locked", "a", source="arrival")]) is None


def test_every_source_says_which_modes_keep_the_bits():
    assert all(source.keeps <= set(MODES) for source in SOURCES)
    assert len({source.name for source in SOURCES}) == len(SOURCES)
