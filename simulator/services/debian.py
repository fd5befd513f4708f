"""Fetches programs from Debian into the user's cache, without root.

apt downloads and authenticates the packages with its own configuration. They are unpacked in the
cache, and a program is started with the loader from its package. The machine is not changed.
"""

from __future__ import annotations

import fcntl
import functools
import os
import re
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn

from coldtrail_simulator.paths import CACHE, made
from coldtrail_simulator.services.process import ToolError, run

__all__ = ["RELEASE", "architecture", "fetched", "machine_mirrors"]

TOOLS_DIR = CACHE / "tools"
WORK_PREFIX = "fetch-"
RELEASE = "trixie"
"""The first Debian release whose micropython is new enough."""

# Older releases use the name .gpg; both files contain the same keys.
KEYRINGS = (
    Path("/usr/share/keyrings/debian-archive-keyring.pgp"),
    Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
)
DEBIAN_SUITES = frozenset(
    "oldoldstable oldstable stable testing unstable sid "
    "bullseye bookworm trixie forky duke".split()
)
MAX_MIRRORS = 3

RUN_TIMEOUT_S = 20
LOAD_TIMEOUT_S = 150


def architecture() -> str:
    """Return Debian's name for this machine's architecture, or "unknown" without dpkg."""
    dpkg = shutil.which("dpkg")
    return _architecture(dpkg) if dpkg else "unknown"


@functools.cache
def _architecture(dpkg: str) -> str:
    return run([dpkg, "--print-architecture"], timeout=RUN_TIMEOUT_S).strip()


def _home(package: str, arch: str, release: str) -> Path:
    return TOOLS_DIR / f"{package}-{release}-{arch}"


def _command(home: Path, package: str) -> tuple[str, ...]:
    loaders = sorted((home / "lib").glob("ld-linux*.so*"))
    if not loaders:
        raise ToolError(f"the packages of {package} hold no loader")
    # The loader's cache lists the machine's own libraries, which are of another release.
    options = ("--inhibit-cache", "--library-path", str(home / "lib"))
    return (str(loaders[0]), *options, str(home / "bin" / package))


def fetched(
    package: str,
    arch: str,
    check: Callable[[Sequence[str]], object],
    release: str = RELEASE,
) -> tuple[str, ...]:
    """Return the argv prefix of a package's program, from the cache or else from a mirror.

    Only one process at a time fetches a program. A killed process leaves nothing that a later one
    would use as a program.

    Args:
        package: the name of the package and of its program.
        arch: Debian's name for the architecture.
        check: called with the new program's argv prefix before it is stored; it raises
            ``ToolError`` if the program does not work.
        release: Debian's name for the release.

    Raises:
        ToolError: the reason why it could not be fetched.
    """
    home = _home(package, arch, release)
    if not home.is_dir():
        try:
            with _lock():
                if not home.is_dir():  # otherwise another process has fetched it
                    _fetch(package, arch, check, release)
        except OSError as error:
            raise ToolError(str(error).removesuffix(".")) from error
    return _command(home, package)


def _fetch(
    package: str, arch: str, check: Callable[[Sequence[str]], object], release: str
) -> None:
    for left_over in TOOLS_DIR.glob(f"{WORK_PREFIX}*"):
        shutil.rmtree(left_over, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=WORK_PREFIX, dir=TOOLS_DIR) as folder:
        work = Path(folder)
        new = _unpack(_Apt(work, arch, release), work, package)
        # Check it before it gets its name, because an existing folder must contain a working
        # program.
        check(_command(new, package))
        new.rename(_home(package, arch, release))


@contextmanager
def _lock() -> Iterator[None]:
    with (made(TOOLS_DIR) / "lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("waiting for another process that fetches", file=sys.stderr, flush=True)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextmanager
def _shown(what: str) -> Iterator[int | None]:
    """Show what is downloaded: as a line, or on a terminal as a progress bar.

    Yields:
        a file descriptor for apt's progress reports (APT::Status-Fd), or None.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        print(what, file=sys.stderr, flush=True)
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    reading, writing = os.pipe()
    with Progress(*columns, console=console) as bar, os.fdopen(reading) as reports:
        follower = threading.Thread(target=_follow, args=(reports, bar, bar.add_task(what)))
        follower.start()
        try:
            yield writing
        finally:
            os.close(writing)
            follower.join()


def _follow(reports: Iterable[str], bar: Progress, task: TaskID) -> None:
    for report in reports:
        kind, _, percent, *_ = [*report.split(":"), "", ""]
        if kind == "dlstatus":
            bar.update(task, completed=float(percent))


class _Apt:
    """An apt with its own state, sources and package index, in a temporary directory.

    Raises:
        ToolError: apt is missing, or no mirror of this machine has an index signed by Debian.
    """

    def __init__(self, work: Path, arch: str, release: str) -> None:
        for program in ("apt-get", "dpkg-deb"):
            if not shutil.which(program):
                raise ToolError(f"{program} is not on this machine")
        keyring = next((path for path in KEYRINGS if path.is_file()), None)
        if keyring is None:
            raise ToolError("the package debian-archive-keyring is not installed")
        self._work = work
        self._env = {**os.environ, "LC_ALL": "C", "APT_CONFIG": str(work / "apt.conf")}
        (work / "apt.conf").write_text(self._configuration(arch))
        (work / "status").touch()
        for folder in ("lists/partial", "cache/archives/partial"):
            (work / folder).mkdir(parents=True)
        self._update(arch, release, keyring)

    def _configuration(self, arch: str) -> str:
        # Use the machine's settings such as proxies, but not its hooks, preferences or relaxed
        # checks.
        inherited = [
            line
            for line in run(["apt-config", "dump"], timeout=RUN_TIMEOUT_S).splitlines()
            if re.match(r"Acquire::(https?|Check-Valid-Until|Check-Date|ForceIPv\d)\b", line)
            and "Verify-" not in line
        ]
        own = {
            "Dir::Etc::Main": "/dev/null",
            "Dir::Etc::Parts": "/dev/null",
            "Dir::Etc::SourceList": self._work / "sources.list",
            "Dir::Etc::SourceParts": "/dev/null",
            "Dir::Etc::Preferences": "/dev/null",
            "Dir::Etc::PreferencesParts": "/dev/null",
            "Dir::State": self._work,
            "Dir::State::Lists": self._work / "lists",
            "Dir::State::Status": self._work / "status",
            "Dir::Cache": self._work / "cache",
            "APT::Architecture": arch,
            "APT::Architectures": arch,
            "APT::Sandbox::User": "",  # the sandbox user could not access a private folder
            "APT::Get::AllowUnauthenticated": "0",
            "Acquire::AllowInsecureRepositories": "0",
            "Acquire::AllowWeakRepositories": "0",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
            "Acquire::http::Timeout": "30",
            "Acquire::https::Timeout": "30",
            "APT::Update::Error-Mode": "any",
        }
        return "\n".join([*inherited, *(f'{key} "{value}";' for key, value in own.items())]) + "\n"

    def _update(self, arch: str, release: str, keyring: Path) -> None:
        mirrors = machine_mirrors()
        if not mirrors:
            raise ToolError("no Debian mirror is in this machine's apt configuration")
        failures: list[ToolError] = []
        for mirror in mirrors[:MAX_MIRRORS]:
            options = f"arch={arch} target=Packages signed-by={keyring}"
            (self._work / "sources.list").write_text(f"deb [{options}] {mirror} {release} main\n")
            try:
                self._load(f"fetching the list of packages of Debian {release} ({arch})", "update")
            except ToolError as error:
                failures.append(error)
            else:
                return
        raise failures[0]  # the error of the first mirror

    def run(self, *argv: str, timeout: float = RUN_TIMEOUT_S, cwd: Path | None = None) -> str:
        return run(argv, timeout=timeout, env=self._env, cwd=cwd)

    def closure(self, package: str) -> list[str]:
        """Return the package and the libraries that it needs, directly or indirectly.

        Other dependencies (the broker's service manager, user management) are only for
        installation.
        """
        unwanted = "recommends suggests conflicts breaks replaces enhances".split()
        options = [f"--no-{relation}" for relation in unwanted]
        wants: dict[str, list[str]] = {}
        for line in self.run("apt-cache", "depends", "--recurse", *options, package).splitlines():
            if not line[:1].isspace():
                current = wants.setdefault(line.strip(), [])
            elif match := re.match(r"\s+\|?(?:Pre)?Depends: (lib\S+)", line):
                current.append(match[1].partition(":")[0])
        chosen = [package]
        for name in chosen:
            chosen += [library for library in wants.get(name, []) if library not in chosen]
        return chosen

    def download(self, packages: Sequence[str]) -> list[Path]:
        """Download packages, the first with its dependencies; apt verifies them by its index."""
        folder = Path(tempfile.mkdtemp(dir=self._work))
        listed = self.run("apt-get", "-q", "download", "--print-uris", *packages, cwd=folder)
        # Each line has the address in quotes, the name of the file, its size in bytes and its
        # hash.
        size = sum(int(line.split()[-2]) for line in listed.splitlines())
        what = f"fetching {packages[0]}, {size / 1e6:.1f} MB"
        self._load(what, "download", *packages, cwd=folder)
        return sorted(folder.glob("*.deb"))

    def _load(self, what: str, *arguments: str, cwd: Path | None = None) -> None:
        with _shown(what) as reports:
            status = ["-o", f"APT::Status-Fd={reports}"] if reports else []
            run(
                ["apt-get", "-q", *status, *arguments],
                timeout=LOAD_TIMEOUT_S,
                env=self._env,
                cwd=cwd,
                pass_fds=(reports,) if reports else (),
            )


def machine_mirrors(*apt_options: str) -> list[str]:
    """Return the addresses of Debian's archive in apt's configuration, most likely first.

    apt itself reads its configuration, so one-line and deb822 sources, disabled entries and mirror
    lists are interpreted correctly.
    """
    # Without release information, so that a machine whose index was never updated also works.
    query = [
        "indextargets",
        "--no-release-info",
        "--format",
        "$(REPO_URI)|$(RELEASE)|$(COMPONENT)",
    ]
    command = ["apt-get", *apt_options, *query, "Created-By: Packages"]
    ranked: list[tuple[bool, int, str]] = []
    for place, line in enumerate(run(command, timeout=RUN_TIMEOUT_S).splitlines()):
        uri, release, component = line.split("|")
        if release in DEBIAN_SUITES and component == "main" and not uri.startswith("cdrom:"):
            # The archive of a vendor may look the same, but rarely has Debian in its address.
            ranked.append(("debian" not in uri.lower(), place, uri))
    return list(dict.fromkeys(uri for *_, uri in sorted(ranked)))


def _unpack(apt: _Apt, work: Path, package: str) -> Path:
    for archive in apt.download(apt.closure(package)):
        run(["dpkg-deb", "-x", archive, work / "root"], timeout=RUN_TIMEOUT_S)
    _flatten(work / "root", work / "new", package)
    return work / "new"


def _flatten(root: Path, home: Path, package: str) -> None:
    (home / "bin").mkdir(parents=True)
    (home / "lib").mkdir()
    for program in root.glob(f"usr/*bin/{package}"):
        shutil.copy2(program, home / "bin" / package)
    # Limit the depth: below the library folder are hundreds of character-set modules.
    for pattern in ("lib/*-linux-*/*.so*", "usr/lib/*-linux-*/*.so*"):
        for library in root.glob(pattern):
            shutil.copy2(library, home / "lib" / library.name, follow_symlinks=False)
