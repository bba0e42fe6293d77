"""The command line: what is refused, what is run, and what is printed and written."""

import json
import os
import re
import shlex
import subprocess
import sys
import sysconfig
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from stress import cli, record
from stress.core.source import SHIPPED
from stress.report.stream import read
from stress.report.view import replay

TOP = Path(__file__).parents[2]
FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


def stress(*words, **options):
    return subprocess.run(
        [sys.executable, "-m", "stress", *map(str, words)], cwd=TOP, capture_output=True, text=True,
        timeout=100, check=False, **options,
    )  # fmt: skip


@pytest.fixture
def not_data(tmp_path):
    path = tmp_path / "broken.npz"
    path.write_bytes(b"no archive")
    return path


@pytest.mark.parametrize(
    ("words", "fix"),
    [
        (["--threads", "0"], "must be from 2"),
        (["run", "--threads", "1"], "or nothing can race"),
        (["run", "--threads", "two"], "whole number"),
        (["run", "--mode", "fast"], "choose from racy, locked, ordered, reproducible, functional"),
        (["run", "-t", "("], "not a regular expression"),
        (["run", "--seconds", "nan"], "finite"),
        (["run", "--seed", "-1"], "0 or more"),
        (["run", "--json", "/nowhere/out.json"], "name another file"),
        (["run", "--fail-on", "rain"], "inconclusive"),
        (["run", "--threads", "2,1"], "or nothing can race"),
        (["run", "--sizes", "1,2.5"], "whole numbers of elements"),
        (["run", "--sizes", "1e99"], "at most 1,000,000,000 elements"),
        (["run", "--budget", "soon"], "such as 90, 90s, 2m or 1h"),
        (["run", "--profile", "weekly"], "nightly"),
        (["run", "--chaos", "some"], "starve"),
        (["run", "-o", "/proc/nowhere"], "name another folder"),
        (["run", "--limit", "0.15"], "must be 1s or more"),
        (["run", "--gil", "2"], "one of auto, 0, 1"),
        (["train", "--threads", "0"], "1 or more"),
        (["train", "--mode", "functional"], "serial"),
        (["train", "--lr", "0"], "more than 0"),
        (["train", "--hidden", "64,x"], "whole number"),
        (["train", "--data", "/nowhere/data.csv"], "there is no such file"),
        (["nonsense"], "choose from"),
        (["--nonsense"], "unrecognized arguments"),
    ],
)
def test_bad_input_is_refused_with_exit_code_4_and_the_fix(words, fix, capsys):
    code: object
    try:
        code = cli.main(words)
    except SystemExit as ended:  # as argparse ends
        code = ended.code
    printed = capsys.readouterr()
    assert code == 4
    assert fix in printed.err
    assert printed.out == ""


def test_a_refusal_is_the_exit_code_of_the_process():
    ended = stress("run", "--threads", "1")
    assert ended.returncode == 4
    assert "Traceback" not in ended.stderr


def test_data_that_is_none_is_refused(not_data):
    ended = stress("train", "--data", not_data)
    assert ended.returncode == 4
    assert str(not_data) in ended.stderr
    assert "numpy.savez" in ended.stderr


@pytest.mark.parametrize("command", ["run", "list"])
def test_selecting_nothing_is_exit_code_5(command):
    ended = stress(command, "-t", "no such scenario")
    assert ended.returncode == 5
    assert "python -m stress list" in ended.stderr


def test_where_nothing_runs_nothing_is_written(tmp_path):
    words = ["run", "-t", "no such scenario", "--json", str(tmp_path / "it.json")]
    words += ["-o", str(tmp_path / "new" / "folder")]
    assert cli.main(words) == 5
    assert not list(tmp_path.iterdir())


def test_what_is_named_twice_is_run_once():
    given = cli.parser().parse_args(["run", "--mode", "racy,racy", "--sizes", "5,5e0", "--threads",
                                     "3,3", "--switch-interval", "1e-3,0.001"])  # fmt: skip
    assert (given.mode, given.sizes, given.threads) == (("racy",), (5,), (3,))
    assert given.switch_interval == (1e-3,)


def test_the_mode_is_part_of_the_selection():
    assert stress("run", "-t", "reset.take", "--mode", "functional").returncode == 5


def test_help_teaches():
    ended = stress("--help")
    assert ended.returncode == 0
    for word in ("racy", "INCONCLUSIVE", "examples:", "exit codes", "7  ", "python -m stress run"):
        assert word in ended.stdout
    run = stress("run", "--help").stdout
    for word in ("examples:", "my_scenarios.py", "profiles:", "nightly  1 h", "--chaos", "starve"):
        assert word in run


def test_the_list_names_every_scenario():
    ended = stress("list")
    assert ended.returncode == 0
    for name in ("accumulate.ones", "pool.order", "reset.take"):
        assert name in ended.stdout


def test_the_list_as_json_has_every_outcome_that_is_declared():
    ended = stress("list", "-t", "accumulate.ones", "--json")
    (scenario,) = json.loads(ended.stdout)
    assert scenario["name"] == "accumulate.ones"
    assert {"key", "expect", "why"} == set(scenario["outcomes"]["locked"][0])
    assert scenario["modes"] == list(scenario["outcomes"]) == list(scenario["parameters"])
    locked = scenario["parameters"]["locked"]
    assert (locked["actors"], locked["preemptions"]) == (2, 2)
    assert locked["explored"] == [{"threads": 2, "size": 1}, {"threads": 2, "size": 4}]


def test_the_list_by_tag(capsys):
    assert cli.main(["list", "--tag", "quick"]) == 0
    assert "accumulate.ones" in capsys.readouterr().out
    assert cli.main(["list", "--tag", "no such tag"]) == 5


def test_every_dimension_is_run(tmp_path):
    ended = stress(
        "run", "-t", "accumulate.first", "--mode", "locked", "--threads", "2,3", "--sizes",
        "10,2e4", "--switch-interval", "1e-4,1e-5", "--forks", "2", "--chaos", "yield", "--sync",
        "barrier", "--seconds", "0.02", "-o", tmp_path,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    results = json.loads((tmp_path / "summary.json").read_text("utf-8"))["results"]
    seen = [
        (result["params"]["threads"], result["params"]["size"],
         result["tactics"]["switch_interval"], result["fork"]) for result in results
    ]  # fmt: skip
    assert seen == list(product((2, 3), (10, 20_000), (1e-5, 1e-4), (0, 1)))
    assert {(r["tactics"]["chaos"], r["tactics"]["sync"]) for r in results} == {
        ("yield", "barrier")
    }


def test_forever_ends_with_its_budget(tmp_path):
    ended = stress("run", "-t", "accumulate.first", "--mode", "locked", "--seconds", "0.05",
                   "--forever", "--budget", "2s", "-o", tmp_path)  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    lines = (tmp_path / "results.jsonl").read_text("utf-8").splitlines()
    events = [json.loads(line) for line in lines]
    seeds = [event["params"]["seed"] for event in events if event["event"] == "result"]
    assert seeds == list(range(len(seeds)))  # a round has the seed after the last one's
    assert len(seeds) > 1
    assert len(json.loads((tmp_path / "summary.json").read_text("utf-8"))["results"]) == 1


def test_a_run_prints_its_verdicts_and_writes_its_report(tmp_path):
    path = tmp_path / "out.json"
    ended = stress(
        "run", "-t", "first", "--mode", "locked,functional", "--seconds", "0.1", "--seed", "3",
        "--json", path,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert re.search(r"accumulate\.first +locked .* PASS", ended.stdout)
    assert "\x1b" not in ended.stdout
    report = json.loads(path.read_text("utf-8"))
    assert [result["params"]["mode"] for result in report["results"]] == ["locked", "functional"]
    assert (report["seed"], report["exit_code"]) == (3, 0)


def test_training_prints_every_epoch_and_the_staleness(tmp_path):
    path = tmp_path / "out.json"
    ended = stress("train", "--epochs", "3", "--hidden", "16,8", "--json", path)
    assert ended.returncode == 0, ended.stderr
    assert "64-16-8-10" in ended.stdout
    assert "Staleness" in ended.stdout
    (training,) = json.loads(path.read_text("utf-8"))["training"]
    assert [epoch["epoch"] for epoch in training["epochs"]] == [0, 1, 2]


def test_training_takes_data_of_the_users(tmp_path):
    random = np.random.default_rng(0)
    y = random.integers(0, 3, 300)
    np.savez(tmp_path / "mine.npz", x=random.normal(size=(300, 5)) + 4.0 * y[:, None], y=y)
    ended = stress("train", "--data", tmp_path / "mine.npz", "--epochs", "30", "--mode", "serial")
    assert ended.returncode == 0, ended.stderr
    assert "mine: 240 train / 60 test" in ended.stdout
    accuracy = re.search(r"test accuracy (\d+\.\d+)%", ended.stdout.splitlines()[-1])
    assert accuracy is not None
    assert float(accuracy[1]) > 90


def test_training_that_diverges_is_exit_code_1_and_says_what_to_do():
    ended = stress("train", "--lr", "1e30", "--epochs", "2")
    assert ended.returncode == 1
    assert "smaller --lr" in ended.stderr


def test_the_same_seed_trains_to_the_same_bits_in_serial(tmp_path):
    def loss(seed):
        stress("train", "--mode", "serial", "--epochs", "2", "--seed", seed, "--json", path)
        return json.loads(path.read_text("utf-8"))["training"][0]["epochs"][-1]["loss"]

    path = tmp_path / "out.json"
    assert loss(1) == loss(1) != loss(2)


@pytest.mark.skipif(FREE_THREADED, reason="has the choice")
def test_where_there_is_no_choice_the_refusal_names_who_has_it(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["run", "--gil", "0"])
    assert ended.value.code == 4
    assert "python3.14t" in capsys.readouterr().err
    assert cli.parser().parse_args(["run", "--gil", "1"]).gil == "1"


@pytest.mark.skipif(not FREE_THREADED, reason="needs the choice")
@pytest.mark.parametrize("state", ["0", "1"])
def test_processes_have_the_gil_or_not_as_asked_for(tmp_path, state):
    ended = stress("run", "-t", "accumulate.first", "--mode", "locked", "--seconds", "0.05",
                   "--gil", state, "-o", tmp_path)  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    summary = json.loads((tmp_path / "summary.json").read_text("utf-8"))
    (result,) = summary["results"]
    assert result["verdict"] == "PASS"
    assert result["gil"] is summary["environment"]["gil_enabled"] is (state == "1")
    assert result["tactics"]["gil"] == state


@pytest.mark.skipif(not FREE_THREADED, reason="needs the choice")
def test_a_process_that_turns_out_otherwise_proves_nothing(tmp_path):
    words = ["run", "-t", "accumulate.first", "--mode", "locked", "--seconds", "0.05", "--gil", "1"]
    ended = subprocess.run(
        [sys.executable, "-X", "gil=0", "-m", "stress", *words], cwd=TOP, capture_output=True,
        text=True, timeout=50, check=False,
    )  # fmt: skip
    assert "INCONCLUSIVE: --gil 1, but the GIL was off here" in ended.stdout


@pytest.mark.parametrize(
    "words",
    [("list",), ("--help",), ("run", "-t", "first", "--mode", "locked", "--seconds", "0.05")],
)
def test_a_reader_that_has_gone_is_no_error(words):
    read, write = os.pipe()
    os.close(read)
    ended = subprocess.run(
        [sys.executable, "-m", "stress", *words], cwd=TOP, stdout=write, stderr=subprocess.PIPE,
        text=True, timeout=50, check=False,
    )  # fmt: skip
    os.close(write)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_the_nightly_profile_explores_as_well(tmp_path):
    ended = stress("run", "--profile", "nightly", "-t", "accumulate.sizes", "--mode", "racy",
                   "--sizes", "10000", "--budget", "8s", "-o", tmp_path)  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    results = read(tmp_path / "results.jsonl").results
    sampled = [result for result in results if not result.params.explored]
    explored = [result for result in results if result.params.explored]
    assert [result.fork for result in sampled] == [0, 1]
    assert sorted(result.params.size for result in explored) == [1, 4]
    assert {result.search for result in explored} == {"--preemptions 3"}
    assert explored[0].samples > 3
    command = replay(explored[0].tokens[0], SHIPPED)
    assert command in ended.stdout
    assert stress(*shlex.split(command)[3:]).returncode == 0


def test_a_folder_gets_a_page_if_it_can_be_drawn(tmp_path, capsys, monkeypatch):
    words = ["run", "-t", "first", "--mode", "locked", "--seconds", "0.05", "-o", str(tmp_path)]
    monkeypatch.setattr(record, "drawable", lambda: False)
    assert cli.main(words) == 0
    assert "hogwild-engine[report]" in capsys.readouterr().out
    assert not (tmp_path / "report.html").exists()
    monkeypatch.undo()
    pytest.importorskip("jinja2")
    assert cli.main(words) == 0
    assert "report.html" in capsys.readouterr().out
    assert "accumulate.first" in (tmp_path / "report.html").read_text("utf-8")


FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="a system without /dev/full")
@pytest.mark.parametrize("option", ["--json", "--html"])
def test_a_file_that_cannot_be_written_at_the_end_is_named(option, capsys):
    words = ["run", "-t", "accumulate.first", "--mode", "locked", "--seconds", "0.05"]
    assert cli.main([*words, option, str(FULL)]) == 3
    said = capsys.readouterr()
    assert "PASS" in said.out
    assert "'/dev/full'" in said.err


@pytest.mark.skipif(not FULL.exists(), reason="a system without /dev/full")
def test_a_stream_that_cannot_be_written_ends_no_run(tmp_path, monkeypatch, capsys):
    (tmp_path / "results.jsonl").symlink_to(FULL)
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)
    words = ["run", "-t", "accumulate.first", "--mode", "locked", "--seconds", "0.05"]
    assert cli.main([*words, "-o", str(tmp_path)]) == 3
    said = capsys.readouterr()
    assert "PASS" in said.out
    assert "results.jsonl is not whole: [Errno 28]" in said.err
    assert json.loads((tmp_path / "summary.json").read_text("utf-8"))["exit_code"] == 3


def test_two_runs_in_one_folder_do_not_mix_their_streams(tmp_path):
    with record.stream_to(tmp_path) as first:
        first.write("begin", run=1)
        with record.stream_to(tmp_path) as second:
            second.write("begin", run=2)
            first.write("end", run=1)
    lines = (tmp_path / "results.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["run"] for line in lines] == [2]
