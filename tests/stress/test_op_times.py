"""`bench --ops`: what is timed computes the same in both libraries, and how it is told."""

import argparse
import json

import numpy as np
import pytest

import engine
from stress.bench import add_arguments, main, op_times
from stress.bench.measure import Ratio
from stress.bench.op_list import OPERATIONS, SIZES, Operation, flat
from stress.bench.op_times import OpTimes, op_table, slow
from stress.bench.steps import Disagreement
from stress.exits import Exit


def answers(operation, size):
    libraries = op_times._libraries()
    return [op_times._contestant(operation, size, lib)[2] for lib in libraries.values()]


@pytest.mark.parametrize("size", SIZES[:2])
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)
def test_every_operation_runs_and_agrees(operation, size):
    found = answers(operation, size)
    if operation.exact:
        op_times._agree(operation, size, found)


def test_names_are_unique():
    names = [each.name for each in OPERATIONS]
    assert len(names) == len(set(names))


def test_libraries_that_differ_are_found_out():
    pytest.importorskip("torch")
    odd = Operation("odd", flat, lambda t, f, x: x * (1.0 if t is engine else 1.1))
    with pytest.raises(Disagreement, match="odd at 1000: results differ"):
        op_times._agree(odd, 1000, answers(odd, 1000))
    half = Operation("half", flat, lambda t, f, x: x * 2 if t is engine else x.detach() + x)
    with pytest.raises(Disagreement, match="differ"):
        op_times._agree(half, 1000, answers(half, 1000))


TIMES = [
    OpTimes(
        "exp",
        size,
        {"engine forward": 1e-6, "PyTorch forward": 4e-7, "engine backward": 2e-6},
        {"forward": Ratio(2.5, 2.0, 3.0)},
    )
    for size in SIZES
]


def test_the_table_and_the_list_of_the_slow():
    table = op_table(TIMES)
    assert table.rows == [("exp", *("1.0 (2.50)", "2.0") * 3)]
    assert slow(TIMES)[0] == "2.5 x PyTorch's time: exp forward at 1"
    assert len(slow(TIMES)) == 3


def test_the_command_times_what_is_chosen(tmp_path, capsys):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    target = tmp_path / "ops.json"
    chosen = ["--ops", "--only", "^neg$", "--seconds", "0.01", "--json", str(target)]
    assert main(parser.parse_args(chosen)) == Exit.PASS
    assert "neg" in capsys.readouterr().out
    found = json.loads(target.read_text())["operations"]
    assert [each["size"] for each in found] == list(SIZES)
    assert np.all([each["seconds"]["engine forward"] > 0 for each in found])
    assert main(parser.parse_args(["--ops", "--only", "nothing"])) == Exit.NOTHING
