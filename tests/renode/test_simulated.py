"""The cases on the host simulator, a test each; Robot Framework runs them in one go."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from robot import api

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SILENCE_S = 900
"""After so long without the end of a case something hangs; each takes a few seconds."""
MOST_FAILED = 250
"""Robot's exit code counts the cases that failed, up to here; beyond, it did not run."""

pytestmark = pytest.mark.timeout(0)  # what counts is that one case ends after the other


def names(suite: api.TestSuite) -> list[str]:
    """Return the cases, by the names of their file and their own."""
    own = [f"{suite.name}: {case.name}" for case in suite.tests if "emulated" not in case.tags]
    return own + [name for inner in suite.suites for name in names(inner)]


CASES = names(api.TestSuiteBuilder().build(*sorted(HERE.glob("*.robot"))))


def heard(run: subprocess.Popen[str]) -> str:
    """Return what robot says until it ends; end it when it has said nothing for too long."""
    said = ""
    line = "begins"
    while line:
        hangs = threading.Timer(SILENCE_S, run.kill)
        hangs.start()
        try:
            line = run.stdout.readline() if run.stdout else ""
        except BaseException:
            run.kill()
            raise
        finally:
            hangs.cancel()
        said += line
    return said


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return what each case ended with: nothing, or its failure and where its log lies."""
    out = tmp_path_factory.mktemp("cases")
    options = ["--variable", "TARGET:simulated", "--exclude", "emulated", "--outputdir", str(out)]
    errors = out / "errors.txt"
    with errors.open("w") as stderr:
        run = subprocess.Popen(
            [sys.executable, "-m", "robot", *options, *map(str, sorted(HERE.glob("*.robot")))],
            cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True,
            stdout=subprocess.PIPE, stderr=stderr,
        )  # fmt: skip
    said = heard(run)
    if not 0 <= run.wait() <= MOST_FAILED:
        pytest.fail(f"robot did not come to its end: {errors.read_text()}{said[-2000:]}")
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
    ends["said"] = said
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
