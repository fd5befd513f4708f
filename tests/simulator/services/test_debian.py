"""Programs from Debian: fetched once, whole or not at all, whoever else fetches or is killed."""

import os
import pty
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.host import until

pytestmark = pytest.mark.skipif(
    not shutil.which("apt-get"), reason="apt-get is missing: run this on Debian or Ubuntu"
)
FETCH = (
    "import sys; from coldtrail_simulator.services import debian; "
    "print(*debian.fetched(sys.argv[1], debian.architecture(), print))"
)


def fetch(cache: Path, package: str = "micropython") -> "subprocess.Popen[str]":
    """Begin to fetch a package in a process and a session of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", FETCH, package],
        env={**os.environ, "COLDTRAIL_CACHE": str(cache)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def killed_while_it_fetches(cache: Path) -> None:
    process = fetch(cache)
    until(lambda: process.poll() is not None or list(cache.glob("tools/fetch-*/apt.conf")))
    assert process.poll() is None, process.communicate()[1]
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def test_after_one_that_was_killed_two_at_once_fetch_it_once(tmp_path):
    killed_while_it_fetches(tmp_path)
    assert not list(tmp_path.glob("tools/micropython-*"))
    two = [fetch(tmp_path), fetch(tmp_path)]
    said = [process.communicate() for process in two]
    assert [process.returncode for process in two] == [0, 0], said
    assert said[0][0].splitlines()[-1] == said[1][0].splitlines()[-1]
    loads = [len(re.findall(r"fetching micropython, \d+\.\d MB\n", errors)) for _, errors in said]
    assert sorted(loads) == [0, 1]
    assert not list(tmp_path.glob("tools/fetch-*"))


def test_on_a_terminal_a_bar_shows_how_far_it_is(tmp_path):
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(COLDTRAIL_CACHE=str(tmp_path), TERM="xterm", COLUMNS="100")
        os.execv(sys.executable, [sys.executable, "-c", FETCH, "micropython"])
    shown = b""
    try:
        while data := os.read(terminal, 65536):
            shown += data
    except OSError:  # the other end is closed
        pass
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, shown
    percent = [int(n) for n in re.findall(rb"MB .*?(\d+)%", shown)]
    assert percent[-1] == 100
    assert percent == sorted(percent)


@pytest.mark.parametrize("there", [False, True])
def test_a_cache_that_cannot_be_written_is_one_sentence(tmp_path, there):
    cache = Path("/proc/self/fd") if there else tmp_path / "file" / "cache"
    (tmp_path / "file").touch()
    process = fetch(cache)
    said = process.communicate()[1].splitlines()[-1]
    assert process.returncode == 1
    assert re.search(r"The cache .* cannot be used \(.*\): set COLDTRAIL_CACHE to a folder", said)
