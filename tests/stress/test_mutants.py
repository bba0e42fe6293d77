"""The self-test: broken engines are noticed, and one that nothing notices fails the harness."""

import json
import re
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import pytest

from engine.runtime.accumulate import Locked, Staged
from stress.core.result import Result
from stress.core.source import SHIPPED, load
from stress.exits import Exit
from stress.mutants import MUTANTS, leaves
from stress.mutants.command import SOURCE, selftest, verdict_on
from stress.mutants.hunt import TIMES, Hunt, Kill, hunt
from stress.mutants.mutant import schedules, threads

BY_NAME = {mutant.name: mutant for mutant in MUTANTS}
SCENARIOS = {scenario.name: scenario for scenario in load(SHIPPED)}
DOC = Path(__file__).parents[2] / "docs" / "stress.md"

# What each of these must come to, within 100 schedules.
QUICK = [("lost-first-write", "lost"), ("lock-released-early", "torn"), ("abba", "deadlock")]


def hunted(name, catch, **how):
    return hunt(Hunt(SOURCE, name, catch, **how))


def test_every_mutant_names_scenarios_that_there_are():
    assert len(BY_NAME) == len(MUTANTS) >= 12
    for mutant in MUTANTS:
        assert mutant.caught
        for catch in mutant.caught:
            assert catch.params.mode in SCENARIOS[catch.scenario].modes


@pytest.mark.parametrize(("name", "outcome"), QUICK)
def test_a_mutant_is_found_within_100_schedules_and_each_replay_finds_it(name, outcome):
    kill = hunted(name, replace(BY_NAME[name].caught[-1], schedules=100))
    assert kill.killed, kill.result
    assert outcome in kill.seen
    assert kill.seen.endswith(f"replayed {TIMES} of {TIMES}")


@pytest.mark.parametrize("name", ["double-count", "functional-writes", "recursion"])
def test_a_mutant_is_found_by_real_threads(name):
    kill = hunted(name, BY_NAME[name].caught[0])
    assert (kill.killed, kill.result.verdict) == (True, "FAIL"), kill.result


@pytest.mark.parametrize(
    "catch",
    [
        replace(BY_NAME["abba"].caught[0], schedules=100),
        threads("accumulate.first", "locked"),
    ],
)
def test_the_engine_as_it_is_survives_the_same(catch):
    kill = hunted("", catch)
    assert (kill.killed, kill.result.verdict) == (False, "PASS"), kill.result


def options(tmp_path, test="", **more):
    chosen = {"test": re.compile(test), "json": tmp_path / "out.json", "markdown": False}
    return Namespace(**{**chosen, **more})


def test_a_mutant_that_nothing_notices_fails_the_harness(tmp_path, capsys):
    assert selftest(options(tmp_path), "tests.stress.harmless") is Exit.HARNESS
    printed = capsys.readouterr()
    assert "harmless survived accumulate.first locked 1, schedules" in printed.err
    assert "0 of 1 mutants caught" in printed.out
    report = json.loads((tmp_path / "out.json").read_text())
    assert (report["exit_code"], report["kills"][0]["killed"]) == (Exit.HARNESS, False)
    assert report["controls"][0]["result"]["verdict"] == "PASS"


def test_the_matrix_of_a_mutant_that_is_caught(tmp_path, capsys):
    assert selftest(options(tmp_path, "no-consume", markdown=True), SOURCE) is Exit.PASS
    printed = capsys.readouterr().out
    assert "| `no-consume-flag` | a backward does not claim" in printed
    assert "| `sharing.released` locked | FAIL: 2 won, at schedule" in printed
    assert "1 of 1 mutants caught" in printed


def test_no_mutant_selected(tmp_path):
    assert selftest(options(tmp_path, "nonsense"), SOURCE) is Exit.NOTHING


def kill_of(catch, verdict):
    return Kill(Hunt(SOURCE, "", catch), Result(1, catch.scenario, catch.params, verdict), 0.0)


def test_a_hang_is_a_kill_by_threads_and_no_finding_under_control():
    assert kill_of(threads("pool.order", "locked"), "TIMEOUT").killed
    assert not kill_of(schedules("pool.order", "locked"), "TIMEOUT").killed
    for verdict in ("PASS", "INCONCLUSIVE", "ERROR", "SKIPPED"):
        assert not kill_of(threads("pool.order", "locked"), verdict).killed


def test_a_control_that_does_not_pass_is_no_success():
    catch = threads("pool.order", "locked")
    assert verdict_on([], []) is Exit.PASS
    assert verdict_on([], [kill_of(catch, "FAIL")]) is Exit.FORBIDDEN
    assert verdict_on([], [kill_of(catch, "INCONCLUSIVE")]) is Exit.HARNESS
    assert verdict_on([kill_of(catch, "PASS")], [kill_of(catch, "FAIL")]) is Exit.HARNESS


def test_the_engine_is_whole_again_afterwards():
    with BY_NAME["late-write"].applied():
        assert vars(Locked)["receive"] is leaves.commit_at_once
    assert Locked.receive is Staged.receive
    assert "receive" not in vars(Locked)


def test_the_readme_knows_how_many_there_are():
    readme = (DOC.parents[1] / "README.md").read_text("utf-8")
    assert f"{len(MUTANTS)} broken engines" in readme


def test_the_matrix_in_the_document_names_the_mutants_that_there_are():
    rows = re.findall(r"^\| `([\w-]+)` \| .* \| `([\w.]+)` (\w+) \|", DOC.read_text(), re.M)
    assert rows == [
        (mutant.name, catch.scenario, catch.params.mode)
        for mutant in MUTANTS
        for catch in mutant.caught
    ]
