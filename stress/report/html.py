"""The report as one HTML page that needs nothing else: no network, no other file.

Jinja2 draws it and escapes all that comes from results. The page's own security policy allows its
one script and its one style sheet, by their hashes, and no connection to anywhere.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

from stress.core.result import Result, Verdict
from stress.core.source import SHIPPED
from stress.environment import Environment
from stress.exits import Exit
from stress.report import plot, view
from stress.report.text import shown

__all__ = ["MISSING", "drawable", "render"]

MISSING = "the HTML page needs Jinja2: pip install 'hogwild-engine[report]'"

MEANINGS = {int(code): code.meaning for code in Exit}

HERE = Path(__file__).with_name("page")


def drawable() -> bool:
    """Whether Jinja2 is installed."""
    return find_spec("jinja2") is not None


def render(
    results: Sequence[Result],
    environment: Environment,
    *,
    command: str = "run",
    seed: int = 0,
    code: int | None = None,
    scenarios: str = SHIPPED,
) -> str:
    """The page, for ``results`` of ``command`` in the order in which they are to stand.

    ``code``: how it ended, None where it never did; ``scenarios``: where they are. Raises
    ``ImportError`` without Jinja2. Reads no clock and nothing of the machine: the same results are
    the same page.
    """
    if not drawable():
        raise ImportError(MISSING)
    from jinja2 import Environment as Templates
    from jinja2 import FileSystemLoader, StrictUndefined

    templates = Templates(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    templates.globals.update(symbol=view.symbol, shape=plot.shape)
    results = [shown(result) for result in results]
    runs, modes = view.runs(results, scenarios), view.modes_of(results)
    panels = plot.panels(results)
    drawn = [mode for mode in modes if any(mode in panel.modes for panel in panels)]
    style, script = source("report.css"), source("report.js")
    page = templates.get_template("report.html").render(
        command=command, seed=seed, outcome=ended(code), environment=environment.rows(),
        runs=runs, wrong=view.wrong(runs), modes=modes, tallies=view.tallies(results),
        matrix=view.matrix(runs, modes), panels=panels, drawn=drawn,
        verdicts=[(verdict.value, WORDS[verdict]) for verdict in Verdict],
        style=style, script=script, policy=policy(style, script),
    )  # fmt: skip
    return page.encode("utf-8", "backslashreplace").decode("utf-8")  # paths may be no Unicode


def ended(code: int | None) -> str:
    """How a command ended, in words.

    >>> ended(Exit.PASS)
    'exit code 0: no promise was broken'
    """
    if code is None:
        return "it did not come to its end"
    return f"exit code {code:d}: {MEANINGS.get(code, 'of another version')}"


WORDS = {
    Verdict.PASS: "the promise held, and there is evidence: enough samples, and threads that met",
    Verdict.FAIL: "an outcome was seen that is forbidden, or that nobody declared",
    Verdict.INCONCLUSIVE: "nothing wrong was seen, and too little was seen to tell",
    Verdict.TIMEOUT: "it hung",
    Verdict.CRASH: "its process died",
    Verdict.ERROR: "the harness itself went wrong",
    Verdict.SKIPPED: "it does not apply here",
}


def source(name: str) -> str:
    """A file of ours that stands in the page as it is."""
    return (HERE / name).read_text(encoding="utf-8")


def policy(style: str, script: str) -> str:
    """What the browser lets the page do: this style, this script, nothing else."""
    return f"default-src 'none'; style-src {digest(style)}; script-src {digest(script)}"


def digest(text: str) -> str:
    """The hash of ``text`` as a security policy writes it."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
