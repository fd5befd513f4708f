"""The rules on skipped tests and on failed fixtures, tried on a project of its own."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SAMPLE = """
import pytest
@pytest.mark.skip(reason="no such sensor")
@pytest.mark.parametrize("x", [1])
def test_skipped(x): pass
@pytest.mark.xfail
def test_expected(): raise ValueError
def test_passes(): pass
"""


FIXTURE = """
import pytest
@pytest.fixture(scope="module")
def broken(): raise ValueError("no broker")
@pytest.mark.parametrize("x", range(40))
def test_uses_it(broken, x): pass
@pytest.fixture
def own(): raise ValueError("each its own")
@pytest.mark.parametrize("x", range(2))
def test_has_its_own(own, x): pass
"""


def run(
    folder: Path, allowed: str, *args: str, ci: str, sample: str = SAMPLE
) -> subprocess.CompletedProcess[str]:
    shutil.copy(HERE / "conftest.py", folder)
    (folder / "allowed_skips.txt").write_text(allowed)
    (folder / "test_sample.py").write_text(sample)
    (folder / "pytest.ini").write_text("[pytest]\n")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *args],
        cwd=folder,
        env={"CI": ci, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("workers", [(), ("-n", "1")])
def test_ci_fails_on_a_skip_that_is_not_listed(tmp_path, workers):
    done = run(tmp_path, "", *workers, ci="true")
    assert done.returncode == 1
    assert "NOT ALLOWED test_sample.py::test_skipped[1]: no such sensor" in done.stdout
    assert "1 passed, 1 skipped, 1 xfailed" in done.stdout.splitlines()[-1]


@pytest.mark.parametrize("workers", [(), ("-n", "1")])
def test_ci_accepts_a_listed_skip_and_names_it(tmp_path, workers):
    done = run(tmp_path, "test_sample.py::test_skip*[1] Nobody has one.", *workers, ci="true")
    assert done.returncode == 0
    assert "\ntest_sample.py::test_skipped[1]: no such sensor" in done.stdout


def test_outside_ci_a_skip_is_only_shown(tmp_path):
    done = run(tmp_path, "", ci="")
    assert done.returncode == 0
    assert "\ntest_sample.py::test_skipped[1]: no such sensor" in done.stdout


def test_a_listed_skip_needs_a_reason(tmp_path):
    done = run(tmp_path, "test_sample.py::*", ci="true")
    assert done.returncode != 0
    assert "line 1: a skip needs a reason" in done.stderr


@pytest.mark.parametrize("workers", [(), ("-n", "1")])
def test_a_shared_fixture_that_fails_says_so_once(tmp_path, workers):
    done = run(tmp_path, "", *workers, "-rx", ci="true", sample=FIXTURE)
    assert done.returncode == 1
    assert "39 xfailed, 3 errors" in done.stdout.splitlines()[-1]
    assert done.stdout.count("ValueError: no broker") == 1
    assert "a fixture has failed, see test_sample.py::test_uses_it[0]" in done.stdout
