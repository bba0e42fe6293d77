"""Plots are drawn from files alone, in a process of its own: matplotlib may turn the GIL on."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from stress.lab.bits import packed

TOP = Path(__file__).parents[3]
ENVIRONMENT = {"python": "3.11.7 (CPython)", "gil_enabled": True, "cores": 2}

SUM = {"policy": "arrival", "dtype": "float32", "count": 2, "patterns": 1, "ulp": 0.0}
CELL = {"source": "arrival", "mode": "racy", "results": 2}


def write(folder, name, **parts):
    found = {"schema": 1, "command": name, "environment": ENVIRONMENT, "settings": {},
             "exit_code": 0, **parts}  # fmt: skip
    (folder / f"{name}.json").write_text(json.dumps(found))


def contention(**parts):
    return {"sweep": "size", "size": 500, "leaves": 1, "share": 1.0, "threads": 2, **parts}


@pytest.mark.skipif(find_spec("matplotlib") is None, reason="matplotlib is not installed")
def test_every_result_has_its_plot(tmp_path):
    write(tmp_path, "orders", samples=[
        {"policy": policy, "dtype": "float32", "count": n, "which": [0, 1]}
        for policy in ("arrival", "ordered") for n in (2, 3)
    ], rows=[SUM])  # fmt: skip
    write(tmp_path, "sources", rows=[CELL], samples=[
        {"source": "arrival", "mode": "racy", "samples": [{"hash": "a"}, {"hash": "b"}]}
    ])  # fmt: skip
    write(tmp_path, "loss", samples=[
        {"contention": contention(), "rate": 0.0, "low": 0.0, "high": 0.01},
        {"contention": contention(sweep="share of rows"), "rate": 0.1, "low": 0.05, "high": 0.2},
    ])  # fmt: skip
    write(tmp_path, "spread", samples=[{"mode": "racy", "loss": 0.1}, {"mode": "racy", "loss": 1}])
    write(tmp_path, "record", leaves=["w"], arrivals=[[[0, 1]], [[1, 0]]], hash="x" * 16,
          digests=[["d"]], parameters=[packed(np.ones(3))])  # fmt: skip
    (tmp_path / "foreign.json").write_text('{"tool": "another"}')
    write(tmp_path, "broken", samples=[])
    ended = subprocess.run(
        [sys.executable, "-m", "stress", "lab", "report", str(tmp_path)], cwd=TOP,
        capture_output=True, text=True, timeout=55, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    names = ["loss.svg", "orders.svg", "record.svg", "sources.svg", "spread.svg"]
    assert [Path(line).name for line in ended.stdout.split()] == names
    skipped = ended.stderr.splitlines()
    assert len(skipped) == 2
    assert "skipped: " in skipped[0]
    assert "broken.json: is damaged: there is no command 'broken'" in skipped[0]
    assert "foreign.json: is no result of the lab" in skipped[1]
    for name in names:
        assert ElementTree.parse(tmp_path / name).getroot().tag.endswith("svg")


@pytest.mark.skipif(find_spec("matplotlib") is None, reason="matplotlib is not installed")
def test_nothing_to_draw(tmp_path):
    (tmp_path / "foreign.json").write_text("{")
    ended = subprocess.run(
        [sys.executable, "-m", "stress", "lab", "report", str(tmp_path)], cwd=TOP,
        capture_output=True, text=True, timeout=55, check=False,
    )  # fmt: skip
    assert ended.returncode == 5
    assert "foreign.json: is not JSON" in ended.stderr
    assert "no result with samples" in ended.stderr
