"""The probe tells what this process runs on; the doctor's checks see the traps they are for."""

import json
import os
import subprocess
import sys
import sysconfig
import threading
from dataclasses import replace

import numpy as np
import pytest

from stress import environment, gilprobe
from stress.environment import Blas, doctor, probe

FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))

needs_gil = pytest.mark.skipif(not gilprobe.gil_enabled(), reason="nothing to find without a GIL")


@pytest.fixture(scope="module")
def here():
    return probe()


def test_the_facts_are_those_of_this_process(here):
    assert here.python.startswith(".".join(map(str, sys.version_info[:3])))
    assert here.numpy == np.__version__
    assert 1 <= here.cores <= os.cpu_count()
    assert here.switch_interval == sys.getswitchinterval()
    assert here.free_threaded_build == FREE_THREADED
    assert here.gil_enabled or here.free_threaded_build
    assert all(library.threads >= 1 for library in here.blas)


def test_the_facts_survive_json(here):
    again = json.loads(json.dumps(here.as_dict()))
    assert again["gil_release_size"] == here.gil_release_size
    assert [library["name"] for library in again["blas"]] == [b.name for b in here.blas]


def test_every_row_says_something(here):
    rows = here.rows()
    assert len({label for label, _ in rows}) == len(rows)
    assert all(label and value for label, value in rows)


@pytest.mark.parametrize(
    ("change", "label", "value"),
    [
        ({"gil_enabled": False}, "NumPy releases the GIL", "no GIL"),
        ({"gil_release_size": 501}, "NumPy releases the GIL", "from 501 elements on"),
        (
            {"gil_release_size": None},
            "NumPy releases the GIL",
            "not up to 100000 elements",
        ),
        ({"gil_enabled": False, "free_threaded_build": True}, "GIL", "off (free-threaded build)"),
        ({"blas": ()}, "BLAS", "none found"),
        ({"blas": (Blas("mkl", "2026", 1),)}, "BLAS", "mkl 2026, 1 thread"),
        (
            {"blas": (Blas("mkl", "2026", 1), Blas("blis", "1.0", 2))},
            "BLAS",
            "mkl 2026, 1 thread; blis 1.0, 2 threads",
        ),
    ],
)
def test_rows_in_words(here, change, label, value):
    base = replace(here, gil_enabled=True, free_threaded_build=False)
    assert dict(replace(base, **change).rows())[label] == value


# The size at which NumPy lets other threads in


@needs_gil
def test_the_release_size_is_found(here):
    assert 2 <= here.gil_release_size < gilprobe.LARGEST


@needs_gil
def test_the_release_size_is_an_edge_and_not_noise():
    assert len({gilprobe.gil_release_size() for _ in range(3)}) == 1


@pytest.mark.skipif(gilprobe.gil_enabled(), reason="this process has a GIL")
def test_without_a_gil_there_is_no_release_size(here):
    assert here.gil_release_size is None


def test_probing_leaves_no_trace():
    threads, interval = threading.enumerate(), sys.getswitchinterval()
    gilprobe.gil_release_size()
    assert sys.getswitchinterval() == interval
    assert threading.enumerate() == threads


@needs_gil
def test_a_failing_probe_leaves_no_trace(monkeypatch):
    def fail(*_args, **_kwargs):
        raise FloatingPointError("on purpose")

    threads, interval = threading.enumerate(), sys.getswitchinterval()
    monkeypatch.setattr(np, "logaddexp", fail)
    with pytest.raises(FloatingPointError):
        gilprobe.gil_release_size()
    assert sys.getswitchinterval() == interval
    assert threading.enumerate() == threads


@needs_gil
def test_an_operation_that_keeps_the_gil_lets_nobody_in(monkeypatch):
    def keeps_the_gil(a, _b, out):
        out[-1] = out[0] = a[0] + 1.0

    monkeypatch.setattr(np, "logaddexp", keeps_the_gil)
    assert gilprobe.gil_release_size() is None


# The doctor


def test_the_doctor_looks_at_everything_once():
    findings = doctor()
    checks = [finding.check for finding in findings]
    assert len(set(checks)) == len(checks) == 6
    for finding in findings:
        assert finding.message
        assert bool(finding.fix) == (finding.level != "ok")


@pytest.mark.parametrize(
    ("finding", "level", "words"),
    [
        (environment.check_gil(True, True), "problem", "free-threaded"),
        (environment.check_gil(True, False), "ok", "off"),
        (environment.check_gil(False, True), "ok", "on"),
        (environment.check_cores(1), "warning", "take turns"),
        (environment.check_cores(2), "ok", "2"),
        (environment.check_numpy("2.3.4"), "warning", "2.3.4"),
        (environment.check_numpy("2.3.5"), "ok", "2.3.5"),
        (environment.check_numpy("2.10.0rc1"), "ok", "2.10.0rc1"),
        (environment.check_blas_threads(()), "ok", "one"),
        (environment.check_blas_threads((Blas("openblas", "0.3", 1),)), "ok", "one"),
        (environment.check_blas_threads((Blas("openblas", "0.3", 8),)), "warning", "8"),
        (environment.check_matmul_speed(0.6), "problem", "no BLAS"),
        (environment.check_matmul_speed(40.0), "ok", "40 GF/s"),
        (environment.check_concurrent_products(0.0), "ok", "same bits"),
        (environment.check_concurrent_products(1e-7), "warning", "last bits"),
        (environment.check_concurrent_products(0.5), "problem", "WRONG"),
        (environment.check_concurrent_products(float("inf")), "problem", "WRONG"),
    ],
)
def test_the_doctor_sees_the_trap(finding, level, words):
    assert finding.level == level
    assert words in finding.message


def test_wrong_concurrent_products_are_measured(monkeypatch):
    class Corrupting(np.ndarray):
        """An array whose products, computed on another thread than the first, are NaN."""

        def __matmul__(self, other):
            product = np.asarray(self) @ np.asarray(other)
            if threading.current_thread() is not threading.main_thread():
                product[0, 0] = np.nan
            return product

    original = np.asfortranarray
    monkeypatch.setattr(np, "asfortranarray", lambda a: original(a).view(Corrupting))
    assert environment._worst_concurrent_error(repeats=1) == float("inf")


@pytest.mark.skipif(not FREE_THREADED, reason="this build always has its GIL")
def test_a_free_threaded_build_with_its_gil_back_is_a_problem():
    code = "from stress.environment import doctor; print(doctor()[0].level)"
    env = os.environ | {"PYTHON_GIL": "1"}
    result = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "problem"
