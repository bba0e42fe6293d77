"""What drifted between two runs is found, and what did not is not."""

import json
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest

from stress import cli
from stress.compare import drifts, moved, paired, unclear, widened
from stress.core.result import Loss, Result, Row
from stress.core.scenario import Params
from stress.core.stats import wilson
from stress.core.tactics import Tactics
from stress.environment import probe
from stress.report.document import document, ran, write
from stress.report.stream import Stream, read

OLD = Result(
    1, "ones", Params("racy"), "PASS", samples=1_000, trials=100, seconds=1.0, overlap=0.5,
    loss=Loss(10, 1_000, 0.01, 0.005, 0.02), rows=(Row("kept", 1_000, "acceptable", ""),),
    tokens=("ones:abc", "ones:abd"), notes=("one",),
    timelines=((("actor 0", "begin", ""),), (("actor 1", "end", "leaf"),)),
)  # fmt: skip


def figures(new, tolerance=0.3):
    return [drift.figure for drift in drifts(paired([OLD], [new]), tolerance)]


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, []),
        ({"params": Params("racy", seed=7)}, []),
        ({"verdict": "FAIL"}, ["verdict"]),
        ({"loss": Loss(30, 1_000, 0.03, 0.021, 0.04)}, ["loss rate"]),
        ({"loss": Loss(30, 1_000, 0.03, 0.0199, 0.04)}, []),
        ({"loss": Loss(0, 1_000, 0.0, 0.0, 0.004)}, ["loss rate"]),
        ({"loss": None}, []),
        ({"samples": 500}, ["samples/s"]),
        ({"samples": 600}, []),
        ({"samples": 2_000}, ["samples/s"]),
        ({"seconds": 0.0}, []),
    ],
)
def test_what_is_drift(changes, found):
    assert figures(replace(OLD, **changes)) == found


def test_the_tolerance_is_how_far_throughputs_may_be_apart():
    assert figures(replace(OLD, samples=900), tolerance=0.01) == ["samples/s"]
    assert figures(replace(OLD, samples=300), tolerance=0.6) == []


def measured(size, lost, samples):
    """A run that lost so many of independent samples."""
    ends = wilson(lost, samples)
    loss = Loss(lost, samples, lost / samples, ends.low, ends.high)
    return replace(OLD, params=Params("racy", size=size), loss=loss)


def test_many_rates_that_have_not_changed_have_not_drifted_by_chance():
    rng, apart = np.random.default_rng(0), 0
    for _ in range(20):
        counts = rng.binomial(10_000, 0.01, (2, 500)).tolist()
        pairs = [
            (measured(size, old, 10_000), measured(size, new, 10_000))
            for size, (old, new) in enumerate(zip(*counts, strict=True))
        ]
        apart += bool(drifts(pairs, 0.3))
    assert apart <= 1


def test_one_rate_of_many_that_has_changed_is_still_found():
    pairs = [(measured(size, 100, 10_000), measured(size, 100, 10_000)) for size in range(500)]
    pairs.append((measured(501, 100, 10_000), measured(501, 300, 10_000)))
    (drift,) = drifts(pairs, 0.3)
    assert "size=501" in drift.run


@pytest.mark.parametrize("chance", [0.05, 1e-4])
@pytest.mark.parametrize("lost", [1, 50, 999, 1_000])
def test_an_interval_of_another_level_is_the_one_of_the_samples(lost, chance):
    ends = wilson(lost, 1_000, NormalDist().inv_cdf(1 - chance / 2))
    assert widened(measured(5, lost, 1_000).loss, chance) == pytest.approx((ends.low, ends.high))


def test_where_nothing_was_lost_the_bound_is_of_another_level():
    loss = Loss(0, 10_000, 0.0, 0.0, 3 / 1_000)
    low, high = widened(loss, 1e-4)
    assert low == 0.0
    assert (1 - high) ** 1_000 == pytest.approx(1e-4, rel=0.1)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "other"},
        {"params": Params("locked")},
        {"params": Params("racy", size=5)},
        {"tactics": Tactics(chaos="yield")},
        {"tactics": Tactics(switch_interval=1e-3)},
        {"fork": 1},
    ],
)
def test_only_the_same_configuration_is_compared(changes):
    assert paired([OLD], [replace(OLD, **changes)]) == []


@pytest.mark.parametrize("verdicts", [("PASS", "INCONCLUSIVE"), ("INCONCLUSIVE", "PASS")])
def test_too_little_seen_is_named_and_is_no_drift(verdicts):
    pairs = paired(*([replace(OLD, verdict=verdict)] for verdict in verdicts))
    assert drifts(pairs, 0.3) == []
    assert f"of 1: ones[racy,threads=2,size=10000,float64] ({verdicts[0]}, now" in unclear(pairs)
    assert unclear(paired([OLD], [replace(OLD, verdict="FAIL")])) == ""


def test_other_machines_are_named():
    here = probe()
    other = replace(here, cores=here.cores + 1, numpy="9.9")
    assert moved(here, here) == []
    assert moved(here, other) == [
        ("NumPy", here.numpy, "9.9"), ("cores", str(here.cores), str(here.cores + 1))
    ]  # fmt: skip


@pytest.fixture
def written(tmp_path):
    """Writes a summary."""
    environment = probe()

    def make(name, *results):
        path = tmp_path / name
        write(path, document("run", environment, 0, results, [], 0))
        return str(path)

    return make


def test_the_command_ends_with_1_on_drift_0_without_and_5_with_nothing_to_compare(written, capsys):
    old, slow = written("old.json", OLD), written("new.json", replace(OLD, samples=100))
    other = written("other.json", replace(OLD, name="other"))
    assert cli.main(["compare", old, old]) == 0
    assert cli.main(["compare", old, slow]) == 1
    assert "samples/s" in capsys.readouterr().out
    assert cli.main(["compare", old, slow, "--tolerance", "0.95"]) == 0
    assert cli.main(["compare", old, other]) == 5


def test_the_time_of_a_search_is_no_throughput():
    searched = replace(OLD, params=replace(OLD.params, explored=True))
    pairs = paired([searched], [replace(searched, seconds=9.0)])
    assert list(drifts(pairs, 0.3)) == []


def test_what_is_missing_in_new_is_named(written, capsys):
    gone = [replace(OLD, fork=fork) for fork in range(1, 14)]
    old, new = written("old.json", OLD, *gone), written("new.json", OLD)
    assert cli.main(["compare", old, new]) == 0
    said = capsys.readouterr().out
    assert (
        "13 of OLD's 14 are missing in NEW: ones[racy,threads=2,size=10000,float64,fork=1]" in said
    )
    assert said.endswith("fork=10] and 3 more\n")
    assert cli.main(["compare", new, old]) == 0
    said = capsys.readouterr().out
    assert "missing" not in said
    assert "13 of NEW's 14 were not in OLD: ones[racy,threads=2,size=10000,float64,fork=1]" in said


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"tactics": Tactics(gil="1")}, "gil is auto in OLD, 1 in NEW"),
        ({"name": "other"}, "scenario is ones in OLD, other in NEW"),
        ({"params": Params("racy", explored=True)}, "explored is no in OLD, yes in NEW"),
    ],
)
def test_what_cannot_be_compared_says_why(written, capsys, changes, why):
    old, new = written("old.json", OLD), written("new.json", replace(OLD, **changes))
    assert cli.main(["compare", old, new]) == 5
    assert why in capsys.readouterr().err


def test_results_come_back_from_a_summary_as_they_were(written):
    (result,) = read(Path(written("old.json", OLD))).results
    assert result == OLD


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"schema": 1}', '{"event": "result"}\n', json.dumps({"schema": 2})]
)
def test_what_is_no_result_is_refused(tmp_path, capsys, text):
    path = tmp_path / "results.jsonl"
    path.write_text(text)
    assert cli.main(["report", str(path)]) == 4
    assert "results.jsonl" in capsys.readouterr().err
    assert cli.main(["compare", str(path), str(path)]) == 4


def streamed(path):
    """The text of the stream of a run with one result, written to ``path``."""
    with path.open("w") as file:
        stream = Stream(file)
        stream.write("begin", schema=2, command="run", seed=0, environment=probe().as_dict())
        stream.write("result", **ran(OLD))
    return path.read_text()


def test_a_line_that_was_cut_off_is_left_out(tmp_path):
    path = tmp_path / "results.jsonl"
    whole = streamed(path)
    path.write_text(whole + whole.splitlines()[1][:-9])
    assert read(path).results == (OLD,)


def test_a_stream_that_was_cut_off_in_its_first_line_says_so(tmp_path, capsys):
    path = tmp_path / "results.jsonl"
    path.write_text('{"event": "begin", "sche')
    assert cli.main(["report", str(path)]) == 4
    assert "no line says how it began" in capsys.readouterr().err


def test_a_line_that_was_cut_off_after_a_brace_is_left_out(tmp_path):
    path = tmp_path / "results.jsonl"
    whole = streamed(path)
    line = whole.splitlines()[1]
    for end in (place + 1 for place, letter in enumerate(line[:-1]) if letter == "}"):
        path.write_text(whole + line[:end])
        assert read(path).results == (OLD,)


def test_a_file_from_before_there_were_several_schedules_is_still_read(tmp_path):
    path = tmp_path / "results.jsonl"
    old = {name: value for name, value in ran(OLD).items() if name != "timelines"}
    with path.open("w", encoding="utf-8") as file:
        stream = Stream(file)
        stream.write("begin", schema=2, command="run", seed=0, environment=probe().as_dict())
        stream.write("result", **old)
    (result,) = read(path).results
    assert result.timelines == OLD.timelines[:1]


# How `report` ends


@pytest.fixture
def stream(tmp_path):
    """Writes the stream of a run of two configurations."""
    path = tmp_path / "results.jsonl"

    def make(*results, **end):
        with path.open("w", encoding="utf-8") as file:
            stream = Stream(file)
            stream.write("begin", schema=2, command="run", seed=0, planned=2,
                         environment=probe().as_dict())  # fmt: skip
            for result in results:
                stream.write("result", **ran(result))
            if end:
                stream.write("end", seconds=1.0, **end)
        return str(path)

    return make


@pytest.mark.parametrize(
    ("end", "options", "code"),
    [
        ({"exit_code": 0}, [], 0),
        ({"exit_code": 3}, [], 3),
        ({"exit_code": 2}, [], 2),
        ({}, [], 2),
        ({"exit_code": 0}, ["--fail-on", "inconclusive"], 6),
        ({"exit_code": 2}, ["--fail-on", "inconclusive"], 6),
        ({"exit_code": 1}, ["--fail-on", "inconclusive"], 1),
    ],
)
def test_a_report_ends_as_its_run_did_or_worse(stream, end, options, code):
    unclear = replace(OLD, verdict="INCONCLUSIVE")
    assert cli.main(["report", stream(unclear, **end), *options]) == code


def test_what_failed_before_a_run_was_killed_still_counts(stream):
    assert cli.main(["report", stream(replace(OLD, verdict="FAIL"))]) == 1


@pytest.mark.parametrize(
    ("end", "told"), [({}, True), ({"exit_code": 2}, True), ({"exit_code": 0}, False)]
)
def test_a_report_says_how_far_a_run_came(stream, capsys, end, told):
    cli.main(["report", stream(OLD, **end)])
    said = capsys.readouterr().out
    assert ("1 of 2 planned were run" in said) is told
    assert ("was killed" in said) is (end == {})


def test_of_rounds_a_configuration_has_one_result(stream):
    later = replace(OLD, samples=9, params=replace(OLD.params, seed=1))
    assert read(Path(stream(OLD, later))).results == (later,)
    failed = replace(OLD, verdict="FAIL")
    assert read(Path(stream(failed, later))).results == (failed,)
