"""Finds, or fetches into the user's cache, the programs that are not Python packages.

Two MicroPython interpreters and an MQTT broker. Each is taken from its environment variable,
else from ``PATH``, else from Debian: downloaded and authenticated by apt with a configuration of
its own, unpacked in the cache and run by the loader that came with it. That needs no root
and leaves the machine as it was.

Every function returns an argv prefix. Finding it may cost seconds once; after that it is a
lookup, because the simulator starts the interpreter hundreds of times in a run.
"""

from __future__ import annotations

import fcntl
import functools
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from coldtrail_simulator.paths import CACHE

TOOLS_DIR = CACHE / "tools"
WORK_PREFIX = "fetch-"
RELEASE = "trixie"  # the first Debian release whose micropython is new enough
MIN_MICROPYTHON = (1, 24)
SMALL_INT_MAXSIZE = 2**31 - 1

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

VERSION_PROBE = (
    "import sys; i = sys.implementation; print(i[0], sys.maxsize, *i[1][:3], sep='\\n')"
)


class ToolError(RuntimeError):
    """A tool is neither here nor to be had; the message is one sentence that says what to do."""


class UnsupportedMachineError(ToolError):
    """The tool does not exist for this kind of machine."""


@dataclass(frozen=True)
class Interpreter:
    """What a MicroPython says about itself."""

    version: tuple[int, ...]
    maxsize: int


def micropython() -> list[str]:
    """Return the argv prefix of a MicroPython of this machine's own word size.

    Raises:
        ToolError: none is here and none could be fetched.
    """
    return list(_micropython())


def micropython32() -> list[str]:
    """Return the argv prefix of the 32-bit reference MicroPython (31-bit small integers).

    Raises:
        ToolError: none is here and none could be fetched, or this machine cannot run it.
    """
    return list(_micropython32())


def mosquitto() -> list[str]:
    """Return the argv prefix of the mosquitto broker.

    Raises:
        ToolError: none is here and none could be fetched.
    """
    return list(_mosquitto())


@functools.cache
def _micropython() -> tuple[str, ...]:
    named = _from_variable("MICROPYTHON")
    if named:
        _checked(named, "MICROPYTHON")
        return named
    found = shutil.which("micropython")
    if found and _is_new_enough((found,)):
        return (found,)
    return _fetched("micropython", _architecture())


@functools.cache
def _micropython32() -> tuple[str, ...]:
    named = _from_variable("MICROPYTHON32")
    if named:
        if _checked(named, "MICROPYTHON32").maxsize != SMALL_INT_MAXSIZE:
            raise ToolError("MICROPYTHON32 names an interpreter that is not 32-bit.")
        return named
    if _architecture() not in {"amd64", "i386"}:
        raise UnsupportedMachineError(
            "The 32-bit reference interpreter is fetched for x86 machines only: "
            "set MICROPYTHON32 to a 32-bit MicroPython 1.24 or newer."
        )
    return _fetched("micropython", "i386")


@functools.cache
def _mosquitto() -> tuple[str, ...]:
    named = _from_variable("MOSQUITTO")
    if named:
        return named
    # Debian installs it where the PATH of an ordinary user does not look.
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])
    found = shutil.which("mosquitto", path=path)
    return (found,) if found else _fetched("mosquitto", _architecture())


def probe(argv: Sequence[str]) -> Interpreter:
    """Run an interpreter and return what it says about itself.

    Raises:
        ToolError: it does not run, or is not MicroPython.
    """
    answer = _run([*argv, "-c", VERSION_PROBE], timeout=RUN_TIMEOUT_S).split()
    if answer[:1] != ["micropython"]:
        raise ToolError(f"{shlex.join(argv)} is not MicroPython.")
    maxsize, *version = (int(word) for word in answer[1:])
    return Interpreter(tuple(version), maxsize)


def _from_variable(name: str) -> tuple[str, ...]:
    value = os.environ.get(name, "").strip()
    if not value:
        return ()
    argv = (value,) if Path(value).exists() else tuple(shlex.split(value))
    if not shutil.which(argv[0]):
        raise ToolError(f"{name} names {argv[0]}, which is not a program: correct or unset it.")
    return argv


def _checked(argv: Sequence[str], variable: str) -> Interpreter:
    try:
        found = probe(argv)
    except ToolError as error:
        raise ToolError(f"{variable} cannot be used: {error}") from error
    if found.version < MIN_MICROPYTHON:
        raise ToolError(
            f"{variable} names MicroPython {_dotted(found.version)}; "
            f"{_dotted(MIN_MICROPYTHON)} or newer is needed."
        )
    return found


def _is_new_enough(argv: Sequence[str]) -> bool:
    try:
        return probe(argv).version >= MIN_MICROPYTHON
    except ToolError:
        return False


def _dotted(version: Sequence[int]) -> str:
    return ".".join(str(number) for number in version)


def _run(
    argv: Sequence[str | Path],
    *,
    timeout: float,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    any_exit: bool = False,
) -> str:
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            env=env,
            cwd=cwd,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ToolError(f"{argv[0]} gave no result in {timeout:.0f} s") from None
    except OSError as error:
        raise ToolError(f"{argv[0]} could not be run ({error.strerror})") from error
    if done.returncode != 0 and not any_exit:
        said = (done.stderr or done.stdout).strip().splitlines() or [f"exit {done.returncode}"]
        reason = next((line for line in said if line.startswith("E: ")), said[-1])
        raise ToolError(f"{Path(argv[0]).name}: {reason.removeprefix('E: ')}")
    return done.stdout


@functools.cache
def _architecture() -> str:
    if not shutil.which("dpkg"):
        return "unknown"
    return _run(["dpkg", "--print-architecture"], timeout=RUN_TIMEOUT_S).strip()


# --- what is fetched -----------------------------------------------------------------------


def _home(package: str, arch: str) -> Path:
    return TOOLS_DIR / f"{package}-{RELEASE}-{arch}"


def _command(home: Path, package: str) -> tuple[str, ...]:
    loaders = sorted((home / "lib").glob("ld-linux*.so*"))
    if not loaders:
        raise ToolError(f"the packages of {package} hold no loader")
    # The cache lists the machine's own libraries, of another release.
    options = ("--inhibit-cache", "--library-path", str(home / "lib"))
    return (str(loaders[0]), *options, str(home / "bin" / package))


def _fetched(package: str, arch: str) -> tuple[str, ...]:
    home = _home(package, arch)
    if not home.is_dir():
        _fetch(package, arch)
    return _command(home, package)


def _fetch(package: str, arch: str) -> None:
    home = _home(package, arch)
    try:
        with _lock():
            if home.is_dir():
                return  # another process was faster
            for left_over in TOOLS_DIR.glob(f"{WORK_PREFIX}*"):
                shutil.rmtree(left_over, ignore_errors=True)
            _say(f"fetching {package} ({arch}) from Debian {RELEASE}")
            with tempfile.TemporaryDirectory(prefix=WORK_PREFIX, dir=TOOLS_DIR) as work:
                _unpack(_Apt(Path(work), arch), Path(work), package, home)
    except (ToolError, OSError) as error:
        raise ToolError(_what_to_do(package, arch, str(error))) from error


def _what_to_do(package: str, arch: str, reason: str) -> str:
    variable = package.upper()
    if package == "micropython" and arch != _architecture():
        remedy = f"set {variable}32 to a 32-bit MicroPython 1.24 or newer"
    elif package == "micropython":
        remedy = f"install MicroPython 1.24 or newer, or set {variable} to it"
    else:
        remedy = f"install {package}, or set {variable} to it"
    return f"{package} ({arch}) could not be fetched from Debian {RELEASE}: {reason}; {remedy}."


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


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
            for line in _run(["apt-config", "dump"], timeout=RUN_TIMEOUT_S).splitlines()
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
        return _run(argv, timeout=timeout, env=self._env, cwd=cwd)

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
    for place, line in enumerate(_run(command, timeout=RUN_TIMEOUT_S).splitlines()):
        uri, release, component = line.split("|")
        if release in DEBIAN_SUITES and component == "main" and not uri.startswith("cdrom:"):
            # A vendor's archive may look the same, but seldom calls itself Debian.
            ranked.append(("debian" not in uri.lower(), place, uri))
    return list(dict.fromkeys(uri for *_, uri in sorted(ranked)))


def _unpack(apt: _Apt, work: Path, package: str, home: Path) -> None:
    for archive in apt.download(apt.closure(package)):
        _run(["dpkg-deb", "-x", archive, work / "root"], timeout=RUN_TIMEOUT_S)
    _flatten(work / "root", work / "new", package)
    # Tried before it gets its name: a folder that exists is one that works.
    _try(_command(work / "new", package), package)
    (work / "new").rename(home)


def _flatten(root: Path, home: Path, package: str) -> None:
    (home / "bin").mkdir(parents=True)
    (home / "lib").mkdir()
    for program in root.glob(f"usr/*bin/{package}"):
        shutil.copy2(program, home / "bin" / package)
    # Depth matters: below the library folder are character-set modules by the hundred.
    for pattern in ("lib/*-linux-*/*.so*", "usr/lib/*-linux-*/*.so*"):
        for library in root.glob(pattern):
            shutil.copy2(library, home / "lib" / library.name, follow_symlinks=False)


def _try(argv: Sequence[str], package: str) -> None:
    if package == "mosquitto":
        _mosquitto_version(argv)
    elif probe(argv).version < MIN_MICROPYTHON:
        raise ToolError("its version is too old")


def _mosquitto_version(argv: Sequence[str]) -> str:
    # Asked for help, it exits with an error code.
    first = _run([*argv, "-h"], timeout=RUN_TIMEOUT_S, any_exit=True).partition("\n")[0]
    if not first.startswith("mosquitto version "):
        raise ToolError(f"{shlex.join(argv)} is not mosquitto")
    return first.removeprefix("mosquitto version ")


def _micropython_version(argv: Sequence[str]) -> str:
    return _dotted(probe(argv).version)


FINDERS = {
    "micropython": (micropython, _micropython_version),
    "micropython32": (micropython32, _micropython_version),
    "mosquitto": (mosquitto, _mosquitto_version),
}


def main(names: Sequence[str]) -> int:
    """Find or fetch the tools named, or all of them; return the exit code."""
    unknown = [name for name in names if name not in FINDERS]
    if unknown:
        print(f"Unknown tool {unknown[0]}: choose from {', '.join(FINDERS)}.", file=sys.stderr)
        return 2
    code = 0
    for name in names or FINDERS:
        find, version = FINDERS[name]
        try:
            argv = find()
            print(f"{name:14} {version(argv):8} {argv[-1]}", flush=True)
        except ToolError as error:
            print(error, file=sys.stderr)
            # Without being asked for by name, what this machine cannot run is no failure.
            if names or not isinstance(error, UnsupportedMachineError):
                code = 1
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
