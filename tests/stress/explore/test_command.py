"""The commands, as they are typed."""

import json
import re
import shlex
from io import StringIO

import pytest

from stress.cli import main
from stress.core.scenario import Params
from stress.exits import Exit
from stress.explore.token import Recorded, encode
from tests.stress.explore.toys import PARAMS

MINE = '''
"""Two leaves whose locks are taken crosswise, and a race that may be lost."""
import engine
from stress.core.outcome import acceptable, forbidden, required
from stress.core.scenario import Observation, Scenario

def crossed(state, index):
    first, second = state if index == 0 else reversed(state)
    with first.grad_lock, second.grad_lock:
        pass

def bump(state, index):
    engine.sync.hook("read", None)
    value = state[0]
    engine.sync.hook("write", None)
    state[0] = value + 1

def made(name, setup, actor, arbiter, *outcomes):
    return Scenario(90, name, name, "trials", setup, actor, arbiter,
                    {"locked": lambda params: outcomes})

SCENARIOS = (
    made("mine.crossed", lambda params: [engine.zeros(1, requires_grad=True) for _ in range(2)],
         crossed, lambda state: Observation({"kept": 1}), acceptable("kept", "")),
    made("mine.bump", lambda params: [0], bump,
         lambda state: Observation({"kept" if state[0] == 2 else "lost": 1}),
         acceptable("kept", ""), required("lost", "")),
)
'''


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    return str(path)


def token_in(text):
    found = re.search(r"replay (\S+:\S+) --trace", text)
    assert found
    return found[1]


def test_a_deadlock_is_explored_printed_replayed_and_made_smaller(mine, tmp_path, capsys):
    out = tmp_path / "out.json"
    options = ["--scenarios", mine, "--json", str(out), "--jobs", "2", "--minimise"]
    assert main(["explore", "mine.crossed", *options]) == Exit.FORBIDDEN
    said = capsys.readouterr().out
    assert re.search(r"actor 0 +rlock 2 +actor 1 +rlock 1", said)
    assert "reproduced 10/10" in said
    report = json.loads(out.read_text())
    assert report["results"][0]["verdict"] == "FAIL"
    (timeline,) = report["results"][0]["timelines"]
    assert timeline[0] == ["trial", "begin", ""]
    assert report["results"][0]["timeline"] == timeline
    assert report["explored"][0]["findings"][0]["blocked"]
    token = token_in(said)
    assert token in report["results"][0]["tokens"]

    again = ["replay", token, "--scenarios", mine, "--times", "20", "--trace"]
    assert main(again) == Exit.FORBIDDEN
    said = capsys.readouterr().out
    assert "20/20 deadlock" in said
    assert re.search(r"step +trial +actor 0 +actor 1", said)
    assert main([*again, "--expect", "deadlock"]) == Exit.PASS
    assert main([*again, "--expect", "kept"]) == Exit.FORBIDDEN
    capsys.readouterr()

    assert main(["minimise", token, "--scenarios", mine]) == Exit.PASS
    said = capsys.readouterr().out
    assert "deadlock: 1 → 1 preemptions" in said
    assert re.search(r"^ +before +after\nthreads +2 +2\nsize +1 +1\npreemptions +1 +1$", said, re.M)
    before, after = re.findall(r"^(?:before|after): +python -m stress replay (\S+) ", said, re.M)
    assert (before, after) == (token, token)


def test_a_required_outcome_has_a_token_and_a_search_goes_on(mine, tmp_path, capsys):
    where = tmp_path / "kept"
    command = ["explore", "mine.bump", "--scenarios", mine, "--checkpoint", str(where),
               "--jobs", "1"]  # fmt: skip
    assert main(command) == Exit.PASS
    first = capsys.readouterr().out
    assert "lost (required;" in first
    assert main(command) == Exit.PASS  # nothing is left to run
    said = capsys.readouterr().out
    assert "28 schedules" in said
    assert "2 PASS; 2 with all of the schedules\n" in said
    assert main([*command, "--preemptions", "1"]) == Exit.USAGE
    assert "made with bound=None" in capsys.readouterr().err


def test_a_smaller_size_of_what_ships_is_counted_and_not_run(capsys):
    assert main(["explore", "sharing.twice", "--mode", "functional", "--jobs", "1"]) == Exit.PASS
    said = capsys.readouterr().out
    assert "1 PASS; 1 with all of the schedules; 1 not run again in a smaller size" in said


def test_too_little_is_inconclusive(mine, capsys):
    command = ["explore", "mine.bump", "--scenarios", mine, "--preemptions", "0", "--jobs", "1"]
    assert main(command) == Exit.PASS
    assert "was never reached" in capsys.readouterr().out
    assert main([*command, "--fail-on", "inconclusive"]) == Exit.INCONCLUSIVE


LONG = """
def long(state, index):
    for _ in range(200):
        engine.sync.hook("step", None)

SCENARIOS = (
    made("mine.long", lambda params: [0], long, lambda state: Observation({"kept": 1}),
         acceptable("kept", "")),
    *SCENARIOS[1:],
)
"""


def test_what_has_no_end_leaves_time_for_what_has_one(tmp_path, capsys):
    path, out = tmp_path / "mine.py", tmp_path / "out.json"
    path.write_text(MINE + LONG)
    command = ["explore", "--all", "--scenarios", str(path), "--jobs", "1", "--json", str(out)]
    for budget in ("3s", "10s", "30s"):  # enough for what has an end, on a busy machine, too
        assert main([*command, "--budget", budget]) == Exit.PASS
        said = capsys.readouterr().out
        if "2 INCONCLUSIVE; 2 PASS" in said:
            break
    assert "2 INCONCLUSIVE; 2 PASS" in said
    assert "with --checkpoint FILE the same command goes on" in said
    report = json.loads(out.read_text())
    reasons = [result["reason"] for result in report["results"] if result["reason"]]
    assert all(
        reason.endswith("left: a larger --budget") for reason in reasons
    )  # `run` has no other
    _, long, bump, _ = report["explored"]
    assert (long["exhaustive"], bump["exhaustive"], bump["preemptions_done"]) == (False, True, 2)
    assert long["preemptions_done"] in (0, 1)


def test_a_token_that_does_not_fit_is_refused(mine, capsys):
    stale = encode(Recorded("accumulate.ones", PARAMS, b"\1\2"))
    scenario, text = stale.split(":")
    assert main(["replay", f"{scenario}:b{text[1:]}"]) == Exit.USAGE
    assert main(["replay", encode(Recorded("mine.bump", PARAMS, b""))]) == Exit.USAGE
    assert main(["minimise", f"mine.bump:{text}", "--scenarios", mine]) == Exit.USAGE
    said = capsys.readouterr().err
    assert "damaged" in said
    assert "there is no scenario 'mine.bump'" in said
    assert "mine.bump has no mode 'racy'" in said


def test_a_schedule_that_goes_otherwise_is_no_replay(mine, capsys):
    params = Params("locked", 2, 1, explored=True)
    other = encode(Recorded("mine.bump", params, bytes([1, 1, 3])))
    assert main(["replay", other, "--scenarios", mine]) == Exit.HARNESS
    assert "decision 2: thread 3 is to go on" in capsys.readouterr().err


MORE = """
def fail(state, index):
    engine.sync.hook("here", Named())
    if index == 1:
        secret = "found in the frame"
        raise RuntimeError("an actor's")

def refuse(state):
    hidden = "found in the arbiter"
    raise ValueError("an arbiter's")

class Named:
    def name(self):
        return "of two\\nlines"

SCENARIOS += (
    made("mine.raising", lambda params: [0], fail, None, acceptable("kept", "")),
    made("mine.refusing", lambda params: [0], bump, refuse, acceptable("kept", "")),
)
"""


def test_what_an_exception_says_is_told_and_the_command_can_be_pasted(tmp_path, capsys):
    path, out = tmp_path / "of mine.py", tmp_path / "out.json"
    path.write_text(MINE + MORE)
    command = ["explore", "mine.raising", "--scenarios", str(path), "--jobs", "1"]
    assert main([*command, "--json", str(out)]) == Exit.FORBIDDEN
    said = capsys.readouterr().out
    assert "actor 1: RuntimeError: an actor's" in said
    (result, *_) = json.loads(out.read_text())["results"]
    assert "raised RuntimeError (unknown;" in result["notes"][0]
    assert result["notes"][1] == "actor 1: RuntimeError: an actor's"
    (again, *_) = re.findall(r"python -m stress (replay .*)", said)
    assert shlex.split(again)[-1] == str(path)
    assert main(shlex.split(again)) == Exit.FORBIDDEN


@pytest.fixture
def stopped(tmp_path, monkeypatch, capsys):
    """What is said when one schedule is replayed and stopped at, and these lines are typed."""
    path = tmp_path / "more.py"
    path.write_text(MINE + MORE)

    def replayed(name, decisions, *typed):
        monkeypatch.setattr("sys.stdin", StringIO("\n".join((*typed, "continue", ""))))
        token = encode(Recorded(name, Params("locked", 2, 1, explored=True), decisions))
        code = main(["replay", token, "--scenarios", str(path), "--pdb", "--trace"])
        return code, capsys.readouterr()

    return replayed


def test_the_debugger_stops_at_the_outcome_with_the_state(stopped):
    code, said = stopped("mine.bump", bytes([1, 1, 2, 2, 2]), "p state, seen[0].outcomes")
    assert (code, said.err) == (Exit.PASS, "")
    assert "([1], {'lost': 1})" in said.out
    code, said = stopped("mine.bump", b"\1\1\1", "p state, threads")
    assert code == Exit.PASS
    assert "([2], {})" in said.out
    assert "1/1 kept" in said.out


def test_the_debugger_shows_where_threads_wait_for_each_other(stopped):
    frame = "threads['actor 0'].f_back.f_locals['first'] is state[0]"
    code, said = stopped("mine.crossed", bytes([1, 1, 2, 2, 1]), f"p {frame}", "p sorted(threads)")
    assert code in (Exit.FORBIDDEN, Exit.HARNESS)
    assert "True" in said.out
    assert "['actor 0', 'actor 1']" in said.out
    assert re.search(r"actor 1 is at .*\.py:\d+, __enter__", said.out)
    assert "deadlock" in said.out


def test_the_debugger_stops_where_something_was_raised(stopped):
    code, said = stopped("mine.raising", b"\1\1", "p secret", "up", "p state")
    assert code == Exit.FORBIDDEN
    assert "RuntimeError: an actor's" in said.out
    assert "'found in the frame'" in said.out
    assert "[0]" in said.out
    code, said = stopped("mine.refusing", b"\1\1\1", "p hidden", "p state")
    assert code == Exit.HARNESS
    assert "'found in the arbiter'" in said.out
    assert "ValueError: an arbiter's" in said.err


def test_a_name_of_several_lines_is_one_line_of_the_table(stopped):
    _, said = stopped("mine.raising", b"\1\1")
    assert re.search(r"^ *\d+ +here of two lines 1$", said.out, re.M)


def test_nothing_to_explore(mine, capsys):
    assert main(["explore"]) == Exit.NOTHING
    assert "nothing to explore" in capsys.readouterr().err
    assert main(["explore", "process.exit", "nesting.collected"]) == Exit.NOTHING
    said = capsys.readouterr().err
    assert "process.exit is not explored" in said
    assert "nesting.collected is not explored" in said
    assert "give one" not in said
    command = ["explore", "mine.bump", "mine.crossed", "--scenarios", mine, "--mode", "racy"]
    assert main(command) == Exit.NOTHING
    assert "mine.bump has no mode racy: locked" in capsys.readouterr().err


def test_what_is_not_explored_is_told_beside_what_is(tmp_path, capsys):
    path = tmp_path / "mine.py"
    path.write_text(MINE + "import dataclasses\nSCENARIOS += (dataclasses.replace(SCENARIOS[1], "
                           "name='mine.slow', explore=lambda params: ()),)\n")  # fmt: skip
    command = ["explore", "mine.bump", "mine.slow", "--scenarios", str(path), "--jobs", "1"]
    assert main(command) == Exit.PASS
    said = capsys.readouterr()
    assert "mine.slow is not explored" in said.out
    assert "mine.slow" not in said.err


@pytest.mark.parametrize(
    ("option", "place"), [("--checkpoint", "file/x"), ("--checkpoint", "none/x"),
                          ("--checkpoint", "."), ("--files", "file"), ("--files", "file/x")],
)  # fmt: skip
def test_a_place_that_cannot_be_written_is_refused_at_once(mine, tmp_path, option, place, capsys):
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit) as ended:
        main(["explore", "mine.bump", "--scenarios", mine, option, str(tmp_path / place)])
    assert ended.value.code == Exit.USAGE
    assert f"argument {option}: cannot write" in capsys.readouterr().err


def test_a_folder_for_schedules_is_made_and_left_empty(mine, tmp_path):
    command = ["explore", "mine.bump", "--scenarios", mine, "--jobs", "1"]
    assert main([*command, "--files", str(tmp_path / "new" / "one")]) == Exit.PASS
    assert not list((tmp_path / "new" / "one").iterdir())


@pytest.mark.parametrize(
    ("options", "fix"),
    [
        (["--depth", "2"], "--depth is for --strategy pct, and this is dfs"),
        (["--depth", "2", "--strategy", "random"], "--depth is for --strategy pct"),
        (["--preemptions", "0", "--strategy", "pct"], "--preemptions is for --strategy dfs"),
        (["--preemptions", "2", "--strategy", "random"], "--preemptions is for --strategy dfs"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(mine, options, fix, capsys):
    assert main(["explore", "mine.bump", "--scenarios", mine, *options]) == Exit.USAGE
    assert fix in capsys.readouterr().err
