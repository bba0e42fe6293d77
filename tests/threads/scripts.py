"""Run a script in an interpreter of its own: for what a test cannot survive."""

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from time import monotonic

TOP = Path(__file__).parent.parent.parent
PRELUDE = """
import os, signal, sys, threading, time, warnings
import numpy as np
import engine

def heavy():
    x = engine.ones(200, 200, requires_grad=True)
    (x.exp() + x.tanh()).sum().backward()
    return x.grad.numpy()

def done():
    os.write(1, f"{time.monotonic()}\\n".encode())  # whole, also when two threads tell it at once
"""


def script(body, *, patience=30, **environment):
    """Run a script. Returns (exit code, what it printed, seconds between `done()` and its end)."""
    process = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", PRELUDE + dedent(body)],
        env={**os.environ, "PYTHONPATH": str(TOP), **environment},
        capture_output=True,
        text=True,
        timeout=patience,
        check=False,
    )
    ended = monotonic()
    lines = process.stdout.split("\n")
    assert process.stderr == "", process.stderr
    stamps = [float(line) for line in lines if line[:1].isdigit() and "." in line]
    return process.returncode, lines, ended - stamps[-1] if stamps else None
