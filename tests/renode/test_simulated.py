"""The cases on the host simulator, a test each; Robot Framework runs them in one go."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from robot import api

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
LIMIT_S = 280


def names(suite: api.TestSuite) -> list[str]:
    """Return the cases, by the names of their file and their own."""
    own = [f"{suite.name}: {case.name}" for case in suite.tests if "emulated" not in case.tags]
    return own + [name for inner in suite.suites for name in names(inner)]


CASES = names(api.TestSuiteBuilder().build(*sorted(HERE.glob("*.robot"))))


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return what each case ended with: nothing, or its failure and where its log lies."""
    out = tmp_path_factory.mktemp("cases")
    options = ["--variable", "TARGET:simulated", "--exclude", "emulated", "--outputdir", str(out)]
    done = subprocess.run(
        [sys.executable, "-m", "robot", *options, *map(str, sorted(HERE.glob("*.robot")))],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    if not (out / "output.xml").exists():
        pytest.fail(f"robot could not run: {(done.stderr or done.stdout)[-2000:]}")
    ends: dict[str, str] = {}

    def collect(suite: api.TestSuite) -> None:
        for case in suite.tests:
            failure = "" if case.passed else f"{case.message}\nlog: {out / 'log.html'}"
            ends[f"{suite.name}: {case.name}"] = failure
        for inner in suite.suites:
            collect(inner)

    result = api.ExecutionResult(str(out / "output.xml")).suite
    collect(result)
    ends["seconds"] = f"{result.elapsed_time.total_seconds():.0f}"
    ends["said"] = done.stdout
    return ends


@pytest.mark.parametrize("case", CASES)
def test_a_case_passes(told: dict[str, str], case: str) -> None:
    assert case in told, f"{case} was not run"
    assert not told[case], f"{case}\n{told[case]}"


def test_what_the_suite_takes_and_leaves_of_the_heap(told, record_property) -> None:
    heap = [line.strip() for line in told["said"].splitlines() if "smallest free heap" in line]
    record_property(
        "figure",
        f"cases on the host simulator: {len(CASES)} in {told['seconds']} s; {', '.join(heap)}",
    )
    assert heap
