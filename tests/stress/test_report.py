"""What is printed, and what stands in the JSON report."""

import io
import json
import math
from dataclasses import replace

import numpy as np
import pytest

from engine.hogwild import EpochStats, TrainResult
from stress.core.outcome import acceptable, interesting
from stress.core.result import Loss, Result, tabulate
from stress.core.scenario import Params
from stress.core.source import SHIPPED
from stress.core.tactics import Tactics
from stress.environment import Blas, Environment
from stress.exits import Exit, exit_code
from stress.report import tables, terminal, view
from stress.report.document import SCHEMA, document, finite, write
from stress.report.terminal import Table, progress, show
from stress.report.verdicts import verdicts as verdicts_of
from stress.train import Training, judge

ENVIRONMENT = Environment(
    python="3.13", free_threaded_build=True, gil_enabled=False, numpy="2.4",
    blas=(Blas("openblas", "0.3", 1),), cores=2, platform="Linux", switch_interval=0.005,
    gil_release_size=None,
)  # fmt: skip
RESULT = Result(
    3, "accumulate.sizes", Params("racy"), "PASS", unit="contributions", samples=100, trials=4,
    seconds=0.5, overlap=0.75, loss=Loss(5, 1000, 0.005, 0.002, 0.01),
    rows=tabulate([acceptable("kept", "all there"), interesting("lost", "gone")], {"kept": 100}),
    notes=("thread 0 #1",),
)  # fmt: skip
TRAINED = TrainResult(
    mode="racy", threads=2,
    epochs=(EpochStats(0, 0.5, 0.9, 0.1, 450.0), EpochStats(1, 0.2, 0.97, 0.1, 450.0)),
    staleness={0: 80, 1: 8, 7: 2}, environment={"python": "3.13"}, steps=90, seconds=0.2,
)  # fmt: skip


def verdicts(*names):
    return [replace(RESULT, verdict=name) for name in names]


# Exit codes


@pytest.mark.parametrize(
    ("seen", "code"),
    [
        ([], 0),
        (["PASS", "PASS"], 0),
        (["PASS", "INCONCLUSIVE", "SKIPPED"], 0),
        (["PASS", "FAIL"], 1),
        (["FAIL", "ERROR"], 3),
        (["FAIL", "ERROR", "TIMEOUT"], 7),
        (["TIMEOUT", "CRASH", "FAIL"], 8),
    ],
)
def test_the_worst_verdict_decides(seen, code):
    assert exit_code(verdicts(*seen)) == code


def test_fail_on():
    lost = tabulate([interesting("lost", "")], {"lost": 1})
    raced = [replace(RESULT, rows=lost)]
    assert exit_code(raced) == Exit.PASS
    assert exit_code(raced, ["interesting"]) == Exit.FORBIDDEN
    assert exit_code([RESULT], ["interesting", "inconclusive"]) == Exit.PASS
    unclear = verdicts("PASS", "INCONCLUSIVE")
    assert exit_code(unclear, ["interesting"]) == Exit.PASS
    assert exit_code(unclear, ["inconclusive"]) == Exit.INCONCLUSIVE
    assert exit_code(verdicts("INCONCLUSIVE", "FAIL"), ["inconclusive"]) == Exit.FORBIDDEN


def test_exit_codes_are_plain_integers_with_a_meaning():
    assert [int(code) for code in Exit] == list(range(9))
    assert all(code.meaning for code in Exit)


# Tables


def test_the_verdict_table_says_what_was_seen():
    failed = replace(RESULT, verdict="FAIL", reason="forbidden outcome 'doubled'", loss=None)
    table = tables.verdict_table([RESULT, failed])
    first, second = table.rows
    assert first == (
        "accumulate.sizes", "racy", "10,000", "100", "0.5 % [0.2, 1]", "75 %", "PASS",
    )  # fmt: skip
    assert second[-3:] == ("-", "75 %", "FAIL")


def test_what_was_explored_has_a_table_of_its_own():
    explored = replace(RESULT, params=Params("locked", size=4, explored=True))
    sampled, other = tables.verdict_tables([explored, RESULT])
    assert [row[1] for row in sampled.rows] == ["racy"]
    assert [row[1] for row in other.rows] == ["locked"]
    assert "schedules" in other.columns
    assert len(tables.verdict_tables([RESULT])) == len(tables.verdict_tables([])) == 1


APART = [
    {"params": Params("racy", threads=3)},
    {"params": Params("racy", dtype="float32")},
    {"tactics": Tactics("free")},
    {"tactics": Tactics(chaos="yield")},
    {"tactics": Tactics(switch_interval=1e-3)},
    {"tactics": Tactics(gil="1")},
    {"fork": 1},
]


@pytest.mark.parametrize("difference", APART)
def test_no_two_runs_look_the_same(difference, capsys):
    unclear = replace(RESULT, verdict="INCONCLUSIVE", reason="too little")
    pair = [unclear, replace(unclear, **difference)]
    first, second = tables.verdict_table(pair).rows
    assert first != second
    verdicts_of(pair, Exit.PASS, 0, SHIPPED, interesting=True)
    reasons = [line for line in capsys.readouterr().out.splitlines() if "too little" in line]
    assert len(set(reasons)) == 2
    assert tables.outcome_table(pair[0]).title != tables.outcome_table(pair[1]).title
    assert len({run.configuration for run in view.runs(pair, SHIPPED)}) == 2


def test_a_column_is_there_only_for_what_differs():
    training = replace(RESULT, number=0, params=Params("racy", threads=9))
    plain = tables.verdict_table([training, RESULT]).columns
    assert "threads" not in plain
    both = tables.verdict_table([training, RESULT, replace(RESULT, fork=1)])
    assert [name for name in both.columns if name not in plain] == ["fork"]
    assert [row[3] for row in both.rows] == ["-", "0", "1"]


def test_the_outcome_table_shows_unseen_outcomes_as_well():
    table = tables.outcome_table(RESULT)
    assert [row[:4] for row in table.rows] == [
        ("kept", "100", "100.000 %", "acceptable"),
        ("lost", "0", "0.000 %", "interesting"),
    ]


def test_the_staleness_histogram_counts_every_step_in_its_bin():
    many = {0: 80, 1: 1, 2: 2, 3: 1, 4: 2, 5: 1, 8: 1, 9: 1, 16: 1}
    rows = tables.staleness_table(replace(TRAINED, staleness=many)).rows
    assert [row[:2] for row in rows] == [
        ("0", "80"), ("1", "1"), ("2", "2"), ("3-4", "3"), ("5-8", "2"), ("9-16", "2")
    ]  # fmt: skip
    assert rows[0][3] == "#" * 40
    assert rows[1][3] == "#"


def test_plain_tables_are_aligned_and_carry_no_escapes(capsys):
    show(Table("Title", ("name", "n"), [("a", "1"), ("longer", "12")], frozenset({"name"})))
    assert capsys.readouterr().out == "\nTitle\nname     n\na        1\nlonger  12\n"


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self):
        return True


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_a_terminal_gets_colour_unless_it_is_not_wanted(monkeypatch, no_color, coloured):
    pytest.importorskip("rich")
    screen = Screen()
    monkeypatch.setattr("sys.stdout", screen)
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setenv("TERM", "xterm-256color")
    show(tables.verdict_table([RESULT]))
    assert "PASS" in screen.getvalue()
    assert ("\x1b[32m" in screen.getvalue()) is coloured


def test_without_rich_a_terminal_gets_plain_text(monkeypatch):
    screen = Screen()
    monkeypatch.setattr("sys.stdout", screen)
    monkeypatch.setattr(terminal, "find_spec", lambda name: None)
    show(tables.verdict_table([RESULT]))
    assert "\x1b" not in screen.getvalue()


def test_progress_lines_come_every_15_seconds_and_tell_how_it_goes(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(terminal, "monotonic", lambda: now[0])
    with progress(3) as shown:
        shown.begin("one")
        for now[0] in (1.0, 14.9, 15.0, 29.9):
            shown.update(0.5, "half-way")
        shown.end("ok")
        now[0] = 30.0
        shown.begin("two")
    assert capsys.readouterr().err == "[1/3] one; half-way\n[2/3] two; 1 ok; 60 s left\n"


def test_a_piece_that_goes_on_is_the_one_that_is_named(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(terminal, "monotonic", lambda: now[0])
    with progress(2) as shown:
        shown.begin("one")
        shown.begin("two")
        shown.resume("one")
        now[0] = 15.0
        shown.update(0.5, "half-way")
    assert capsys.readouterr().err == "[2/2] one; half-way; 15 s left\n"


def test_a_terminal_gets_a_bar(monkeypatch):
    pytest.importorskip("rich")
    screen = Screen()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with progress(2) as shown:
        shown.begin("one")
        shown.update(0.5, "half-way")
        shown.end("failed")
        shown.begin("two")
    assert "two" in screen.getvalue()
    assert "1 failed" in screen.getvalue()


# The JSON report


@pytest.fixture
def report(tmp_path):
    path = tmp_path / "out.json"
    write(path, document("run", ENVIRONMENT, 7, [RESULT], [TRAINED], Exit.PASS))
    return json.loads(path.read_text("utf-8"))


def test_the_report_says_what_ran_on_what_and_how_it_ended(report):
    assert report["schema"] == SCHEMA == 2
    assert (report["command"], report["seed"], report["exit_code"]) == ("run", 7, 0)
    assert report["environment"]["cores"] == 2


def test_the_report_holds_every_outcome_and_interval(report):
    (result,) = report["results"]
    assert result["params"] == {
        "mode": "racy", "threads": 2, "size": 10_000, "dtype": "float64", "seed": 0,
        "explored": False,
    }  # fmt: skip
    assert result["loss"] == {"lost": 5, "offered": 1000, "rate": 0.005, "low": 0.002, "high": 0.01}
    assert result["rows"][0] == {
        "key": "kept", "count": 100, "expect": "acceptable", "why": "all there", "share": 1.0,
        "low": pytest.approx(0.963, abs=1e-3), "high": 1.0,
    }  # fmt: skip
    assert result["tactics"] == {
        "sync": "auto",
        "chaos": "off",
        "switch_interval": 1e-4,
        "gil": "auto",
    }
    assert (result["verdict"], result["overlap"], result["notes"]) == (
        "PASS",
        0.75,
        ["thread 0 #1"],
    )


def test_the_report_holds_the_training(report):
    (training,) = report["training"]
    assert training["staleness"] == {"0": 80, "1": 8, "7": 2}
    assert training["epochs"][1]["metric"] == 0.97


def test_the_documented_fields_are_those_of_the_report(report):
    from stress.report import document as module

    words = set(module.__doc__.replace(",", " ").replace(":", " ").split())
    assert set(report) <= words
    assert set(report["results"][0]) <= words
    assert set(report["training"][0]) <= words
    assert set(report["training"][0]["epochs"][0]) <= words


def test_what_json_cannot_say_becomes_null(tmp_path):
    path = tmp_path / "out.json"
    write(path, {"loss": math.nan, "rates": [math.inf, 1.0]})
    assert json.loads(path.read_text()) == {"loss": None, "rates": [None, 1.0]}


# The promise of training


@pytest.mark.parametrize(
    ("accuracy", "loss", "verdict"),
    [(0.95, 0.1, "PASS"), (0.949, 0.1, "FAIL"), (0.99, math.nan, "FAIL"), (None, 0.1, "FAIL")],
)
def test_training_is_promised_to_reach_its_accuracy(accuracy, loss, verdict):
    trained = replace(TRAINED, epochs=(EpochStats(0, loss, accuracy, 0.1, 450.0),))
    result = judge(Training(), trained)
    assert result.verdict == verdict
    assert bool(result.reason) is (verdict == "FAIL")
    assert result.overlap == pytest.approx(10 / 90)


def test_counts_of_numpy_are_written_as_numbers():
    assert json.dumps(finite({"late": np.int64(3), "loss": [np.float64("nan")]})) == (
        '{"late": 3, "loss": [null]}'
    )
