"""What pytest reports: skips (in CI an unexpected one is an error), failed fixtures, figures."""

import gc
import os
import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes, or how large it grows, says how busy the host is, not what is wrong.
settings.register_profile(
    "coldtrail",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("coldtrail")

LAWS = (
    "structure guide",
    "firmware/contract firmware/judging firmware/log firmware/sensing firmware/ports",
    "simulator/models simulator/world",
    "gateway/contract gateway/evidence gateway/exports",
    "boards/profiles boards/provision",
)
"""Folders whose tests are marked quick, but those that are slow: what holds of any input or page,
and starts no tracker, broker or board."""

SLICED = "slice_or_all"
"""Of tests/support/extent.py: a file that imports it has more to do in `make torture`."""

HERE = Path(__file__).parent
ALLOWED_SKIPS = HERE / "allowed_skips.txt"


@dataclass(frozen=True)
class Allowed:
    """A pattern of test ids that may be skipped in CI."""

    pattern: re.Pattern[str]
    reason: str


def read_allowed(path: Path) -> list[Allowed]:
    """Read the list of skips that CI accepts.

    Raises:
        pytest.UsageError: a line has a pattern without a reason.
    """
    allowed = []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        glob, _, reason = line.partition(" ")
        if not reason.strip():
            raise pytest.UsageError(f"{path.name}, line {number}: a skip needs a reason.")
        # Not fnmatch: the brackets of a parametrised id are to be taken literally.
        pattern = re.escape(glob).replace(r"\*", ".*").replace(r"\?", ".")
        allowed.append(Allowed(re.compile(pattern), reason.strip()))
    return allowed


class SkipReport:
    """Collects skips where all reports arrive: the one process, or xdist's controller."""

    def __init__(self, allowed: list[Allowed], *, strict: bool) -> None:
        self._allowed = allowed
        self._strict = strict
        self._skips: dict[str, str] = {}

    def _unexpected(self) -> list[str]:
        return [
            test
            for test in self._skips
            if not any(entry.pattern.fullmatch(test) for entry in self._allowed)
        ]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            self._skips[report.nodeid] = _reason(report.longrepr)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self._skips[report.nodeid] = _reason(report.longrepr)

    @pytest.hookimpl(wrapper=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Iterator[None]:
        if self._strict and self._unexpected() and session.exitstatus in {0, 5}:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        return (yield)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self._skips:
            return
        unexpected = self._unexpected()
        terminalreporter.section("skipped tests")
        for test, reason in sorted(self._skips.items()):
            mark = "NOT ALLOWED " if self._strict and test in unexpected else ""
            terminalreporter.line(f"{mark}{test}: {reason}")
        if self._strict and unexpected:
            terminalreporter.line(
                f"{len(unexpected)} skipped tests are not in tests/{ALLOWED_SKIPS.name}: "
                "install what is missing, or add them with a reason.",
                red=True,
            )


class Figures:
    """Shows at the end what tests have measured: ``record_property("figure", "…")``."""

    def __init__(self) -> None:
        self._figures: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            self._figures += [
                str(text) for name, text in report.user_properties if name == "figure"
            ]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._figures:
            terminalreporter.section("figures")
        for figure in self._figures:
            terminalreporter.line(figure)


class FailedFixtures:
    """Lets a fixture that many tests share, and that fails, say so once.

    pytest raises the same error anew for every further test that asks for the fixture. The first
    is an error; the others are marked as expected to fail, with the name of the first.
    """

    def __init__(self) -> None:
        self._failures: list[tuple[BaseException, str]] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if call.when != "setup" or call.excinfo is None or not report.failed:
            return report
        error = call.excinfo.value
        for known, first in self._failures:
            if known is error:
                report.outcome = "skipped"
                report.longrepr = report.wasxfail = f"a fixture has failed, see {first}"
                return report
        self._failures.append((error, item.nodeid))
        return report


def _reason(longrepr: object) -> str:
    text = longrepr[2] if isinstance(longrepr, tuple) else str(longrepr)
    return str(text).removeprefix("Skipped: ")


@pytest.fixture(scope="module", autouse=True)
def _few_objects() -> Iterator[None]:
    """Let collections of garbage look at what is made from now on alone.

    The firmware collects after each module it gives back, and on CPython that would walk through
    all of pytest.
    """
    gc.freeze()
    yield
    gc.unfreeze()


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(FailedFixtures())
    if not hasattr(config, "workerinput"):
        strict = os.environ.get("CI", "") not in {"", "0", "false"}
        config.pluginmanager.register(SkipReport(read_allowed(ALLOWED_SKIPS), strict=strict))
        config.pluginmanager.register(Figures())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is quick, and what has more to do in `make torture`; put the longest first.

    So no worker has them left at the end.
    """
    laws = {HERE / folder for line in LAWS for folder in line.split()}
    slow = set()
    for item in items:
        if item.get_closest_marker("slow"):
            slow.add(item.path)
        elif not laws.isdisjoint(item.path.parents):
            item.add_marker("quick")
        if isinstance(item, pytest.Function) and hasattr(item.module, SLICED):
            item.add_marker("torture")
    items.sort(key=lambda item: ("/journeys/" not in item.path.as_posix(), item.path not in slow))
