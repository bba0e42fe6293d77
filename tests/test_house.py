"""The house rules hold, and the functions that check them do see a breach."""

import inspect
import json
import statistics
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import engine
from tests import house

TOP = Path(__file__).parent.parent
TOP_ENTRIES = {"LICENSE", "README.md", "docs", "engine", "pyproject.toml", "stress", "tests"}


def read(*folders: str) -> dict[str, str]:
    paths = (path for folder in folders for path in sorted((TOP / folder).rglob("*.py")))
    return {path.relative_to(TOP).as_posix(): path.read_text("utf-8") for path in paths}


@pytest.fixture(scope="module")
def sources():
    return read("engine", "stress", "tests")


def only(sources, *folders):
    return {path: text for path, text in sources.items() if path.split("/")[0] in folders}


# The rules hold


@pytest.mark.parametrize(
    "rule",
    [
        house.layer_breaches,
        house.cycle_breaches,
        house.door_breaches,
        house.foreign_breaches,
        house.size_breaches,
    ],
)
def test_no_breach(sources, rule):
    breaches = rule(sources)
    assert not breaches


def test_what_is_public_is_documented(sources):
    breaches = house.docstring_breaches(only(sources, "engine", "stress"))
    assert not breaches


@pytest.mark.parametrize("folder", ["engine", "stress"])
def test_most_functions_are_short(sources, folder):
    lengths = [n for text in only(sources, folder).values() for _, n in house.functions(text)]
    assert statistics.median(lengths) < 10


def test_all_is_sorted_and_complete():
    public = [
        name
        for name, value in vars(engine).items()
        if not name.startswith("_")
        and (not isinstance(value, ModuleType) or name in engine.__all__)
    ]
    assert engine.__all__ == sorted(public)


def test_public_methods_are_documented():
    classes = [value for value in vars(engine).values() if inspect.isclass(value)]
    missing = [
        f"{cls.__name__}.{name}"
        for cls in classes
        for name, member in inspect.getmembers(cls)
        if not name.startswith("_") and (callable(member) or isinstance(member, property))
        if not inspect.getdoc(member)
    ]
    assert not missing


def test_importing_the_engine_loads_its_two_needs_and_no_more():
    code = """if True:
        import json, sys, numpy.fft, numpy.random, threadpoolctl
        before = set(sys.modules)
        import engine
        print(json.dumps(sorted({name.partition(".")[0] for name in set(sys.modules) - before})))
    """
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=TOP, capture_output=True, text=True, check=True
    )
    assert set(json.loads(run.stdout)) - sys.stdlib_module_names == {"engine"}


def test_the_top_level_stays_as_it_is():
    run = subprocess.run(["git", "ls-files"], cwd=TOP, capture_output=True, text=True, check=False)
    tracked = run.stdout.split("\n") if run.returncode == 0 else [p.name for p in TOP.iterdir()]
    entries = {name.partition("/")[0] for name in tracked if name}
    assert {name for name in entries if not name.startswith(".")} <= TOP_ENTRIES


# The functions that check them do see a breach


ENGINE = {
    "engine/__init__.py": "from .tensor import Tensor\nfrom . import optim",
    "engine/errors.py": "",
    "engine/sync.py": "import threading, queue\nfrom concurrent import futures",
    "engine/graph.py": "import numpy as np\nfrom . import sync",
    "engine/runtime/__init__.py": "",
    "engine/runtime/pool.py": "from .. import sync\nfrom ..graph import Node",
    "engine/runtime/execute.py": "from .pool import WorkerPool",
    "engine/ops/__init__.py": "from . import reduce",
    "engine/ops/reduce.py": "import math\nfrom ..errors import EngineError",
    "engine/tensor.py": "from .runtime.execute import run\nfrom .ops import reduce",
    "engine/optim/__init__.py": "from .sgd import SGD",
    "engine/optim/sgd.py": "from ..tensor import Tensor\nimport threadpoolctl",
    "stress/runner.py": "import rich, threading\nimport engine\nfrom engine.sync import hook",
}


def with_line(path, line):
    return ENGINE | {path: f"{ENGINE.get(path, '')}\n{line}"}


IMPORT_RULES = (
    house.layer_breaches,
    house.cycle_breaches,
    house.door_breaches,
    house.foreign_breaches,
)


@pytest.mark.parametrize("rule", IMPORT_RULES)
def test_a_sound_house_has_no_breach(rule):
    assert rule(ENGINE) == []


def test_mutants_alone_reach_into_the_engine():
    line = "from engine.runtime.pool import WorkerPool"
    assert house.foreign_breaches(with_line("stress/mutants/pools.py", line)) == []
    assert house.foreign_breaches(with_line("stress/mutants_too.py", line))


@pytest.mark.parametrize(
    ("rule", "path", "line", "what"),
    [
        (house.layer_breaches, "engine/graph.py", "from .tensor import Tensor", "above"),
        (house.layer_breaches, "engine/graph.py", "import engine.tensor", "above"),
        (house.layer_breaches, "engine/graph.py", "from engine import tensor", "above"),
        (house.layer_breaches, "engine/graph.py", "from engine.tensor import Tensor", "above"),
        (house.layer_breaches, "engine/graph.py", "def f():\n    from . import tensor", "above"),
        (house.layer_breaches, "engine/runtime/pool.py", "from .. import tensor", "above"),
        (house.layer_breaches, "engine/runtime/pool.py", "from ..tensor import Tensor", "above"),
        (house.layer_breaches, "engine/tensor.py", "from engine import Tensor", "__init__"),
        (house.layer_breaches, "engine/tensor.py", "from . import Tensor", "__init__"),
        (house.layer_breaches, "engine/tensor.py", "from .optim.sgd import SGD", "above"),
        (house.layer_breaches, "engine/runtime/pool.py", "from ..ops import reduce", "wall"),
        (house.layer_breaches, "engine/ops/reduce.py", "from ..runtime import pool", "wall"),
        (house.layer_breaches, "engine/helpers.py", "import os", "has no place"),
        (house.layer_breaches, "engine/misc/__init__.py", "import os", "`misc` has no place"),
        (house.cycle_breaches, "engine/errors.py", "from . import sync", "errors"),
        (house.cycle_breaches, "engine/runtime/pool.py", "from .execute import run", "circle"),
        (house.door_breaches, "engine/graph.py", "import threading", "only engine.sync"),
        (house.door_breaches, "engine/graph.py", "from queue import Queue", "imports queue"),
        (house.door_breaches, "engine/ops/reduce.py", "import _thread", "imports _thread"),
        (house.door_breaches, "engine/tensor.py", "import concurrent.futures as c", "concurrent"),
        (house.door_breaches, "engine/tensor.py", "from concurrent import futures", "concurrent"),
        (house.door_breaches, "engine/optim/sync.py", "import threading", "only engine.sync"),
        (house.foreign_breaches, "engine/graph.py", "import torch", "imports torch"),
        (house.foreign_breaches, "engine/graph.py", "from rich.table import Table", "rich"),
        (house.foreign_breaches, "engine/graph.py", "import stress.runner", "imports stress"),
        (house.foreign_breaches, "engine/graph.py", "from tests import house", "imports tests"),
        (house.foreign_breaches, "stress/runner.py", "import tests.house", "imports tests"),
        (house.foreign_breaches, "stress/runner.py", "from engine import graph", "engine.graph"),
        (house.foreign_breaches, "stress/runner.py", "from engine import _f", "engine._f"),
        (house.foreign_breaches, "stress/runner.py", "import engine.runtime.pool", "not public"),
        (house.foreign_breaches, "stress/runner.py", "from engine.optim.sgd import SGD", "sgd"),
        (house.foreign_breaches, "stress/mutants/a.py", "import tests.house", "imports tests"),
    ],
)
def test_a_forbidden_import_is_seen(rule, path, line, what):
    sources = with_line(path, line)
    if rule is house.cycle_breaches and path == "engine/errors.py":
        sources["engine/sync.py"] += "\nfrom . import errors"
    breaches = rule(sources)
    assert len(breaches) == 1
    assert what in breaches[0]


def test_a_breach_names_its_place():
    breaches = house.door_breaches({"engine/ops/op.py": "import math\nimport threading"})
    assert breaches == ["engine/ops/op.py:2: only engine.sync imports threading"]


def function_of(lines, docstring=()):
    return "\n".join(["def f():", *docstring, *["    pass"] * (lines - 1)])


def test_long_functions_are_seen():
    longest = house.LONGEST_FUNCTION
    assert house.size_breaches({"a.py": function_of(longest)}) == []
    documented = function_of(longest, ['    """One.', "", "    Two.", '    """'])
    assert house.size_breaches({"a.py": documented}) == []
    assert "f has 61 lines" in house.size_breaches({"a.py": function_of(longest + 1)})[0]
    method = "class C:\n" + "\n".join(f"    {x}" for x in function_of(70).split("\n"))
    assert "a.py:2: f has 70 lines" in house.size_breaches({"a.py": method})[0]


def test_long_files_are_seen():
    assert house.size_breaches({"a.py": "x = 1\n" * house.LONGEST_FILE}) == []
    assert "401 lines" in house.size_breaches({"a.py": "x = 1\n" * 401})[0]


def test_missing_docstrings_are_seen():
    text = '"""Doc."""\ndef f(): ...\nclass C: ...\ndef _g(): ...\ndef h():\n    """Doc."""'
    assert house.docstring_breaches({"a.py": text}) == [
        "a.py:2: f has no docstring",
        "a.py:3: C has no docstring",
    ]
    assert house.docstring_breaches({"a.py": "x = 1"}) == ["a.py: the module has no docstring"]
    assert house.docstring_breaches({"__init__.py": ""}) == []
