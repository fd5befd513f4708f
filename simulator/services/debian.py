"""Fetches programs from Debian into the user's cache, without root.

apt downloads and authenticates the packages with a configuration of its own; they are unpacked in
the cache, and a program is run by the loader that came with it. The machine stays as it was.
"""

from __future__ import annotations

import fcntl
import functools
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from coldtrail_simulator.paths import CACHE
from coldtrail_simulator.services.process import ToolError, run

__all__ = ["RELEASE", "architecture", "fetched", "machine_mirrors"]

TOOLS_DIR = CACHE / "tools"
WORK_PREFIX = "fetch-"
RELEASE = "trixie"  # the first Debian release whose micropython is new enough

# The .gpg name is the older one; both hold the same keys.
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
UPDATE_TIMEOUT_S = 150
DOWNLOAD_TIMEOUT_S = 150


def architecture() -> str:
    """Return Debian's name of this machine's architecture, or "unknown" without dpkg."""
    dpkg = shutil.which("dpkg")
    return _architecture(dpkg) if dpkg else "unknown"


@functools.cache
def _architecture(dpkg: str) -> str:
    return run([dpkg, "--print-architecture"], timeout=RUN_TIMEOUT_S).strip()


def _home(package: str, arch: str) -> Path:
    return TOOLS_DIR / f"{package}-{RELEASE}-{arch}"


def _command(home: Path, package: str) -> tuple[str, ...]:
    loaders = sorted((home / "lib").glob("ld-linux*.so*"))
    if not loaders:
        raise ToolError(f"the packages of {package} hold no loader")
    # The cache lists the machine's own libraries, of another release.
    options = ("--inhibit-cache", "--library-path", str(home / "lib"))
    return (str(loaders[0]), *options, str(home / "bin" / package))


def fetched(package: str, arch: str, check: Callable[[Sequence[str]], object]) -> tuple[str, ...]:
    """Return the argv prefix of a package's program, from the cache or else from a mirror.

    Args:
        package: the name of the package and of its program.
        arch: Debian's name of the architecture.
        check: is called with the new program's argv prefix before it is kept; it raises
            ``ToolError`` for a program that does not work.

    Raises:
        ToolError: why it could not be fetched.
    """
    home = _home(package, arch)
    if not home.is_dir():
        try:
            with _lock():
                if not home.is_dir():  # else another process was faster
                    _fetch(package, arch, check)
        except OSError as error:
            raise ToolError(str(error)) from error
    return _command(home, package)


def _fetch(package: str, arch: str, check: Callable[[Sequence[str]], object]) -> None:
    for left_over in TOOLS_DIR.glob(f"{WORK_PREFIX}*"):
        shutil.rmtree(left_over, ignore_errors=True)
    print(f"fetching {package} ({arch}) from Debian {RELEASE}", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix=WORK_PREFIX, dir=TOOLS_DIR) as work:
        new = _unpack(_Apt(Path(work), arch), Path(work), package)
        # Checked before it gets its name: a folder that exists is one that works.
        check(_command(new, package))
        new.rename(_home(package, arch))


@contextmanager
def _lock() -> Iterator[None]:
    TOOLS_DIR.mkdir(parents=True, exist_ok=True)
    with (TOOLS_DIR / "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


class _Apt:
    """An apt with its own state, sources and package index, in a directory that goes away.

    Raises:
        ToolError: apt is not here, or no mirror of this machine delivers an index that Debian
            has signed.
    """

    def __init__(self, work: Path, arch: str) -> None:
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
        self._update(arch, keyring)

    def _configuration(self, arch: str) -> str:
        # Proxies and the like are the machine's; hooks, preferences and relaxed checks are not.
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
            "APT::Sandbox::User": "",  # its user could not reach a private folder
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

    def _update(self, arch: str, keyring: Path) -> None:
        mirrors = machine_mirrors()
        if not mirrors:
            raise ToolError("no Debian mirror is in this machine's apt configuration")
        failures: list[ToolError] = []
        for mirror in mirrors[:MAX_MIRRORS]:
            options = f"arch={arch} target=Packages signed-by={keyring}"
            (self._work / "sources.list").write_text(f"deb [{options}] {mirror} {RELEASE} main\n")
            try:
                self.run("apt-get", "-q", "update", timeout=UPDATE_TIMEOUT_S)
            except ToolError as error:
                failures.append(error)
            else:
                return
        raise failures[0]  # the likeliest mirror's

    def run(self, *argv: str, timeout: float = RUN_TIMEOUT_S, cwd: Path | None = None) -> str:
        return run(argv, timeout=timeout, env=self._env, cwd=cwd)

    def closure(self, package: str) -> list[str]:
        """Return the package and the libraries it needs, directly or not.

        What is no library (the broker's service manager, user management) is for installing.
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
        """Download packages; apt compares each with the signed index."""
        folder = Path(tempfile.mkdtemp(dir=self._work))
        self.run("apt-get", "-q", "download", *packages, timeout=DOWNLOAD_TIMEOUT_S, cwd=folder)
        return sorted(folder.glob("*.deb"))


def machine_mirrors(*apt_options: str) -> list[str]:
    """Return the addresses of Debian's own archive in apt's configuration, likeliest first.

    apt reads its configuration itself, so one-line and deb822 sources, disabled entries and
    mirror lists all mean here what they mean to apt.
    """
    # Without release information: a machine whose index was never updated counts too.
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
            # A vendor's archive may look the same, but seldom calls itself Debian.
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
    # Depth matters: below the library folder are character-set modules by the hundred.
    for pattern in ("lib/*-linux-*/*.so*", "usr/lib/*-linux-*/*.so*"):
        for library in root.glob(pattern):
            shutil.copy2(library, home / "lib" / library.name, follow_symlinks=False)
