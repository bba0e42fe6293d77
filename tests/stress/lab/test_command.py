"""The lab's commands: files, exit codes, and what is said where something is wrong."""

import json
import re
from functools import partial
from unittest.mock import patch

import pytest

from stress import cli
from stress.lab import command, loss, orders, plots
from stress.lab.compare import drifts, pairs
from stress.lab.files import LabError, read
from stress.lab.loss import Contention
from stress.lab.policies import POLICIES, Policy, through
from stress.lab.sources import Sample, Source

FIELDS = {"schema", "command", "environment", "settings", "samples", "exit_code"}


@pytest.fixture(autouse=True)
def _here(monkeypatch):
    """In this process, where what is patched is seen."""

    def call(function, argument, what, total=1):
        return function(argument, lambda said: None)

    monkeypatch.setattr(command, "in_child", call)


def lab(*words):
    return cli.main(["lab", *map(str, words)])


@pytest.fixture
def run(tmp_path):
    path = tmp_path / "run.json"
    assert lab("record", path, "--threads", 2, "--steps", 3, "--seed", 5) == 0
    return path


def change(path, **parts):
    found = json.loads(path.read_text())
    other = path.with_name("other.json")
    other.write_text(json.dumps(found | parts))
    return other


# orders


def test_orders(tmp_path, capsys):
    path = tmp_path / "orders.json"
    assert lab("orders", "--n", 3, "--elements", 50, "--dtypes", "float32", "--json", path) == 0
    assert re.search(r"float32 +3 +arrival +6 +3 +none", capsys.readouterr().out)
    found = read(path, "orders")
    assert found.keys() >= FIELDS | {"rows"}
    assert len(found["samples"]) == len(found["rows"]) == len(POLICIES)
    arrival = next(s for s in found["samples"] if s["policy"] == "arrival")
    assert len(arrival["which"]) == 6
    assert set(arrival["which"]) == {0, 1, 2}


def test_a_policy_that_lies_is_exit_code_1(tmp_path, capsys, monkeypatch):
    liar = Policy("ordered", "as they come", True, True, through("locked"))
    monkeypatch.setattr(command, "measure", partial(orders.measure, policies=[liar]))
    path = tmp_path / "orders.json"
    assert lab("orders", "--n", 3, "--elements", 50, "--dtypes", "float64", "--json", path) == 1
    assert "ordered promises one pattern, and has 3" in capsys.readouterr().err
    assert read(path)["exit_code"] == 1


# sources


def fake(hashes, keeps):
    def run(study, setups, notice):
        return [[Sample(str(i), hash, 0.1) for i, hash in enumerate(hashes)] for _ in setups]

    return Source("workers", "fake", frozenset(keeps), run)


@pytest.mark.parametrize(("hashes", "keeps", "code"), [("aa", {"racy"}, 0), ("ab", {"locked"}, 0),
                                                       ("ab", {"racy"}, 1)])  # fmt: skip
def test_sources(tmp_path, capsys, hashes, keeps, code):
    path = tmp_path / "sources.json"
    with patch("stress.lab.command.SOURCES", (fake(hashes, keeps),)):
        assert lab("sources", "--mode", "racy", "--json", path) == code
    said = capsys.readouterr()
    assert ("one result is promised, there are 2" in said.err) == bool(code)
    assert read(path, "sources").keys() >= FIELDS | {"rows"}


def test_a_source_that_may_not_have_been_on_is_inconclusive(tmp_path, capsys):
    path = tmp_path / "sources.json"
    words = ["-t", "lost", "--runs", 2, "--mode", "locked", "--json", path]
    assert lab("sources", *words) == 0
    said = capsys.readouterr().out
    assert re.search(r"lost +2 +same\* +INCONCLUSIVE", said)
    assert "INCONCLUSIVE: lost may not have been on: its control, racy, was not run" in said
    assert read(path)["doubts"].keys() == {"lost"}


def test_no_such_source(capsys):
    assert lab("sources", "-t", "nonsense") == 5
    assert "ready-queue" in capsys.readouterr().err


def test_a_real_source_through_the_command(tmp_path):
    path = tmp_path / "sources.json"
    words = ["-t", "arrival", "--runs", 2, "--mode", "ordered,locked", "--json", path]
    assert lab("sources", *words) == 0
    assert {row["mode"]: row["results"] for row in read(path)["rows"]} == {"ordered": 1,
                                                                           "locked": 2}  # fmt: skip


# record and replay


@pytest.mark.parametrize("words", [(), ("--threads", 1), ("--threads", 3, "--shuffle", 1)])
def test_record_and_replay(run, capsys, words):
    assert lab("replay", run, *words) == 0
    assert f"the same bits: {read(run)['hash']}" in capsys.readouterr().out


def test_a_replay_of_another_order_is_exit_code_1_and_says_where(run, tmp_path, capsys):
    log = read(run)["arrivals"]
    log[1][2] = [*log[1][2][1:], log[1][2][0]]
    again = tmp_path / "again.json"
    assert lab("replay", change(run, arrivals=log), "--json", again) == 1
    assert re.search(r"other bits: .* step 1, weight2\.grad", capsys.readouterr().err)
    assert lab("compare", run, again) == 1
    said = capsys.readouterr().out
    assert "step 1, weight2.grad" in said
    assert "ULP" in said


def test_a_replay_elsewhere_says_what_differs(run, capsys):
    environment = read(run)["environment"] | {"numpy": "1.0"}
    assert lab("replay", change(run, environment=environment, hash="0" * 16)) == 1
    said = capsys.readouterr().err
    assert "all gradients are the same" in said
    assert re.search(r"numpy: 1\.0 there, .* here", said)


def test_a_replay_compares_as_the_same(run, tmp_path, capsys):
    again = tmp_path / "again.json"
    assert lab("replay", run, "--threads", 1, "--json", again) == 0
    assert lab("compare", run, again) == 0
    assert "drifted: 0" in capsys.readouterr().out


# Files that cannot be used


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("{", "is not JSON"),
        ("[]", "is no result of the lab"),
        ('{"schema": 1}', "is no result of the lab"),
        (json.dumps(dict.fromkeys(FIELDS, 0) | {"schema": 99}), "schema 99"),
        (json.dumps(dict.fromkeys(FIELDS, 0) | {"schema": 1, "command": "orders"}), "lab orders"),
    ],
)
def test_a_file_that_is_no_record(tmp_path, capsys, text, what):
    path = tmp_path / "bad.json"
    path.write_text(text)
    assert lab("replay", path) == 4
    assert what in capsys.readouterr().err


def test_a_file_that_is_not_there(tmp_path, capsys):
    assert lab("replay", tmp_path / "none.json") == 4
    assert "cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [["orders", "--n", "1"], ["orders", "--dtypes", "float16"], ["record"], ["nonsense"], []],
)
def test_wrong_usage(words, capsys):
    with pytest.raises(SystemExit) as ended:
        lab(*words)
    assert ended.value.code == 4
    assert "--help` explains" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [["sources", "--runs", "1"], ["sources", "--processes", "1"], ["spread", "--repeats", "1"]],
)
def test_one_training_is_the_same_as_no_other(words, capsys):
    with pytest.raises(SystemExit) as ended:
        lab(*words)
    assert ended.value.code == 4
    assert "must be 2 or more (one has no other to be the same as)" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["replay", "compare"])
@pytest.mark.parametrize(
    ("parts", "what"),
    [
        ({"hash": None}, "damaged: hash is None, not a text"),
        ({"arrivals": [[[0, "1"]]]}, r"damaged: arrivals\[0\]\[0\]\[1\] is '1', not a number"),
        ({"digests": []}, r"damaged: digests is \[\], not a list of something"),
        ({"digests": [["d"] * 4] * 2}, "a digest for each of 4 leaves in each of 3 steps"),
        ({"environment": {"python": "3"}}, "damaged: environment.gil_enabled is missing"),
        ({"settings": 3}, "damaged: settings is 3, not an object"),
    ],
)
def test_a_damaged_record_is_refused(run, capsys, command, parts, what):
    damaged = change(run, **parts)
    assert lab(command, damaged, *([damaged] if command == "compare" else [])) == 4
    assert re.search(what, capsys.readouterr().err)


def test_a_record_that_lacks_a_field_is_refused(run, capsys):
    found = json.loads(run.read_text())
    for name in ("hash", "leaves", "arrivals", "digests", "parameters"):
        other = run.with_name("other.json")
        other.write_text(json.dumps({key: part for key, part in found.items() if key != name}))
        assert lab("compare", run, other) == 4
        assert f"other.json: is damaged: {name} is missing" in capsys.readouterr().err


def test_parameters_that_are_not_those_of_the_hash_are_refused(run, capsys):
    whole = read(run)["parameters"]
    short = {**whole[0], "data": whole[0]["data"][:40]}
    for parameters in (whole[1:], [short, *whole[1:]]):
        assert lab("compare", run, change(run, parameters=parameters)) == 4
        assert "the record's parameters are damaged" in capsys.readouterr().err


# compare


def drifted(one, other):
    return drifts(one, other, pairs(one, other))


def result(command, **parts):
    environment = {"python": "3", "numpy": "2", "blas": [], "platform": "x", "cores": 2,
                   "gil_enabled": True}  # fmt: skip
    return {"schema": 1, "command": command, "environment": environment, "settings": {},
            "exit_code": 0, **parts}  # fmt: skip


def test_sources_that_drifted():
    def found(results, *hashes):
        where = {"source": "arrival", "mode": "ordered"}
        samples = [where | {"samples": [{"hash": hash} for hash in hashes]}]
        return result("sources", rows=[where | {"results": results}], samples=samples)

    assert drifted(found(1, "a"), found(1, "a")) == []
    assert drifted(found(3, *"abc"), found(2, *"ab")) == []  # how many is chance
    (drift,) = drifted(found(1, "a"), found(1, "b"))
    assert (drift.run, drift.figure, drift.old, drift.new) == ("arrival ordered", "bits", "a", "b")
    (drift,) = drifted(found(1, "a"), found(2, *"ab"))
    assert (drift.figure, drift.old, drift.new) == ("same", "same", "several")


def summed(count=3, patterns=1, **settings):
    row = {"policy": "ordered", "dtype": "float32", "count": count, "patterns": patterns,
           "ulp": 2.0, "which": [0]}  # fmt: skip
    settings = {"counts": [count], "elements": 50, "seed": 0, **settings}
    return result("orders", rows=[row], samples=[row], settings=settings)


def test_orders_that_drifted():
    assert drifted(summed(), summed()) == []
    (drift,) = drifted(summed(), summed(patterns=3))
    assert (drift.run, drift.figure, drift.new) == ("ordered float32 3", "patterns", "3")


def compared(tmp_path, one, other):
    files = [tmp_path / "one.json", tmp_path / "other.json"]
    for path, found in zip(files, (one, other), strict=True):
        path.write_text(json.dumps(found))
    return lab("compare", *files)


def test_rows_that_both_have_are_compared_and_counted(tmp_path, capsys):
    two = summed(2)
    two["rows"] += summed(3)["rows"]
    assert compared(tmp_path, two, two) == 0
    assert "2 runs compared; drifted: 0" in capsys.readouterr().out
    assert compared(tmp_path, two, summed(3, patterns=3)) == 1
    assert "1 runs compared; drifted: 1" in capsys.readouterr().out
    assert compared(tmp_path, summed(2), summed(3)) == 5
    assert "have no row in common" in capsys.readouterr().err


def test_other_settings_are_no_drift(tmp_path, capsys):
    assert compared(tmp_path, summed(), summed(elements=60, seed=1, patterns=2)) == 4
    assert "elements 50 and 60; seed 0 and 1" in capsys.readouterr().err


def test_what_cannot_be_compared():
    with pytest.raises(LabError, match="nothing in common"):
        pairs(result("orders"), result("sources"))
    with pytest.raises(LabError, match=r"other settings.*: steps None and 3"):
        pairs(result("record"), result("replay", settings={"steps": 3, "workers": 4}))
    with pytest.raises(LabError, match="lab report"):
        pairs(result("spread"), result("spread"))


# loss


def test_a_mode_that_loses_what_it_must_not_is_exit_code_1(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(command, "contentions", lambda mode, threads: [Contention(mode=mode)])
    path = tmp_path / "loss.json"
    assert lab("loss", "--mode", "locked", "--seconds", 0.05, "--json", path) == 0
    assert len(read(path, "loss")["samples"]) == 1
    monkeypatch.setattr(loss, "contribute", lambda *arguments: None)
    assert lab("loss", "--mode", "locked", "--seconds", 0.05) == 1
    assert "locked loses nothing" in capsys.readouterr().err


# report


def test_without_matplotlib_it_says_what_to_install(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(plots, "find_spec", lambda name: None)
    assert lab("report", tmp_path) == 4
    assert "pip install 'hogwild-engine[lab]'" in capsys.readouterr().err


def test_no_folder(tmp_path, capsys):
    assert lab("report", tmp_path / "none") == 4
    assert "is no folder" in capsys.readouterr().err
