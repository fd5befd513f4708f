"""The distribution as its user gets it: built by `python -m build`, installed where nothing is."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*argv: str | Path, cwd: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; it must succeed unless ``check`` is false."""
    done = subprocess.run(
        argv,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if check:
        assert done.returncode == 0, f"{argv}\n{done.stdout}\n{done.stderr}"
    return done


def committed(*folders: str) -> list[str]:
    """Return the paths of the checkout's own files, below these folders or all of them."""
    # In CI's container the checkout may belong to another user.
    git = ("git", "-c", "safe.directory=*", "ls-files", "-z", "-co", "--exclude-standard")
    listed = run(*git, *folders, cwd=ROOT).stdout
    return sorted(name for name in listed.split("\0") if name and (ROOT / name).is_file())


@dataclass(frozen=True)
class Distribution:
    """What `python -m build` makes of a clean copy of the checkout."""

    sdist: Path
    wheel: Path
    """Built from the sdist."""
    direct: Path
    """Built from the copy, without an sdist between, where a build has been before."""


@pytest.fixture(scope="session")
def distribution(tmp_path_factory) -> Distribution:
    # A copy: the checkout is not to be written to.
    copy = tmp_path_factory.mktemp("checkout")
    for name in committed():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes((ROOT / name).read_bytes())
    build = (sys.executable, "-m", "build", "--no-isolation")
    made, direct = copy / "dist", copy / "direct"
    run(*build, "--outdir", made, cwd=copy)
    left = copy / "build" / "lib" / "coldtrail_gateway" / "removed.py"
    left.parent.mkdir(parents=True)
    left.write_text("left_by = 'an earlier build'")
    run(*build, "--wheel", "--outdir", direct, cwd=copy)
    return Distribution(
        sdist=next(made.glob("*.tar.gz")),
        wheel=next(made.glob("*.whl")),
        direct=next(direct.glob("*.whl")),
    )


@dataclass(frozen=True)
class Installed:
    """A fresh environment that holds the wheel."""

    bin: Path
    site: Path
    """Its site-packages: only what the wheel put there."""

    def coldtrail(
        self, *arguments: str, cwd: Path, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run the installed command."""
        return run(self.bin / "coldtrail", *arguments, cwd=cwd, check=check)


@pytest.fixture(scope="session")
def installed(distribution, tmp_path_factory) -> Installed:
    """Install the wheel; what it depends on comes from the environment of the tests.

    No network is needed, and the checkout is out of reach: a folder that a ``.pth`` file names is
    searched for modules, but its own ``.pth`` files, the editable installation's, are not read.
    """
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=False)
    paths = sysconfig.get_paths(vars={"base": str(home), "platbase": str(home)})
    pip = (sys.executable, "-m", "pip", "--python", home / "bin" / "python", "install", "-q")
    run(*pip, "--no-index", "--no-deps", distribution.wheel, cwd=home)
    site = Path(paths["purelib"])
    own = (sysconfig.get_path(kind) for kind in ("purelib", "platlib"))
    (site / "dependencies.pth").write_text("\n".join(own))
    return Installed(home / "bin", site)
