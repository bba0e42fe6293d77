"""A plugin of pytest: scenarios as tests of your own suite, each run in a process of its own.

Installed with the package. A test takes the fixture ``stress_run`` and names a file of scenarios,
relative to itself; it becomes one test for each scenario, mode and size::

    @pytest.mark.stress_scenarios("my_scenarios.py", seconds=0.5)
    def test_my_training_step(stress_run):
        stress_run()

FAIL, TIMEOUT, CRASH and ERROR fail the test, with the outcomes that were seen and the stacks;
INCONCLUSIVE and SKIPPED skip it. ``stress_run()`` returns the result of a run that passed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:  # every session of pytest loads this module, few use it
    from stress.core.job import Job
    from stress.core.result import Result

__all__ = ["Run", "stress_run"]

MARKER = "stress_scenarios"
USAGE = (
    f"{MARKER}(file, *, seconds=1.0, limit=30.0, modes=..., threads=(2,), sizes=None, seed=0): "
    "run the scenarios of a file with the fixture stress_run"
)


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", USAGE)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each configuration."""
    if "stress_run" not in metafunc.fixturenames:
        return
    marker = metafunc.definition.get_closest_marker(MARKER)
    if marker is None or len(marker.args) != 1:
        raise pytest.UsageError(
            f"{metafunc.definition.nodeid}: stress_run needs @pytest.mark.{USAGE}"
        )
    jobs = jobs_of(metafunc.definition.path.parent, marker.args[0], marker.kwargs)
    ids = [
        f"{job.scenario}-{job.params.mode}-{job.params.threads}x{job.params.size}" for job in jobs
    ]
    metafunc.parametrize("stress_run", jobs, indirect=True, ids=ids)


def jobs_of(folder: Path, file: str, choice: Mapping[str, Any]) -> list[Job]:
    """The jobs of a file; raises ``pytest.UsageError`` where the marker is not to be followed."""
    from stress.core.source import SourceError
    from stress.marker import planned

    try:
        return planned(folder, file, **choice)
    except (SourceError, TypeError, ValueError, ImportError) as error:
        raise pytest.UsageError(f"@pytest.mark.{MARKER}: {error}") from None


@dataclass(frozen=True)
class Run:
    """Runs one configuration when it is called. Immutable."""

    job: Job

    def __call__(self) -> Result:
        """Run it in a process of its own; fail or skip unless it passes."""
        from stress.core.child import Child
        from stress.core.job import isolated
        from stress.report.verdicts import detail

        with Child() as child:
            result = isolated(child, self.job)
        detail(result, self.job.source, interesting=True)
        if result.failed:
            pytest.fail(f"{result.verdict}: {result.reason}", pytrace=False)
        if result.verdict != "PASS":
            pytest.skip(f"{result.verdict}: {result.reason}")
        return result


@pytest.fixture
def stress_run(request: pytest.FixtureRequest) -> Callable[[], Result]:
    """Runs a scenario of the file that ``@pytest.mark.stress_scenarios`` names."""
    return Run(request.param)
