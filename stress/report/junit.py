"""JUnit XML, which CI systems draw: a test case for each run.

A run that saw a race that is allowed passes, with its figures as properties. INCONCLUSIVE and
SKIPPED are skipped, FAIL is a failure, and TIMEOUT, CRASH and ERROR are errors.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree as Xml

from stress.core.result import Result, Verdict
from stress.report.document import save
from stress.report.naming import title
from stress.report.text import printable, shown

__all__ = ["junit"]

KINDS = {
    Verdict.FAIL.value: "failure",
    Verdict.TIMEOUT.value: "error",
    Verdict.CRASH.value: "error",
    Verdict.ERROR.value: "error",
    Verdict.INCONCLUSIVE.value: "skipped",
    Verdict.SKIPPED.value: "skipped",
}


def junit(path: Path, results: Sequence[Result]) -> None:
    """Write the results to ``path``."""
    kinds = [KINDS.get(result.verdict) for result in results]
    suite = Xml.Element(
        "testsuite", name="stress", tests=str(len(results)), time=seconds(sum(
            result.seconds for result in results
        )),
        failures=str(kinds.count("failure")), errors=str(kinds.count("error")),
        skipped=str(kinds.count("skipped")),
    )  # fmt: skip
    suite.extend(map(case, map(shown, results)))
    top = Xml.Element("testsuites")
    top.append(suite)
    Xml.indent(top)
    save(path, Xml.tostring(top, encoding="utf-8", xml_declaration=True).decode())


def case(result: Result) -> Xml.Element:
    """The test case of one run."""
    element = Xml.Element(
        "testcase", classname="stress", name=printable(title(result)), time=seconds(result.seconds)
    )
    listed = Xml.SubElement(element, "properties")
    for key, value in properties(result):
        Xml.SubElement(listed, "property", name=key, value=value)
    kind = KINDS.get(result.verdict)
    if kind is not None:
        told = Xml.SubElement(element, kind, message=f"{result.verdict}: {result.reason}")
        told.text = "\n".join((*result.notes, result.stacks))
    return element


def properties(result: Result) -> Iterator[tuple[str, str]]:
    """The figures of a run."""
    yield "verdict", result.verdict
    yield "samples", str(result.samples)
    if result.overlap is not None:
        yield "overlap", f"{result.overlap:.4g}"
    if result.gil is not None:
        yield "GIL", "on" if result.gil else "off"
    if result.loss is not None:
        loss = result.loss
        yield "loss rate", f"{loss.rate:.4g} [{loss.low:.4g}, {loss.high:.4g}]"
    for row in result.rows:
        if row.count:
            yield f"{row.expect}: {row.key}", str(row.count)
    for token in result.tokens:
        yield "token", token


def seconds(value: float) -> str:
    """Seconds, as JUnit has them."""
    return f"{value:.3f}"
