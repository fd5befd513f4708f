"""`make help` names everything a person can ask for; what the Makefile names is there."""

import re

import pytest

from tests.packaging.conftest import ROOT, committed, run

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
READ = re.compile(
    r"""(?:environ\.get\(|environ\[|getenv\(|envvar=|_variable\()\s*["']([A-Z][A-Z0-9_]+)["']"""
)
OF_THE_SYSTEM = {"PATH", "HOME", "TERM", "COLUMNS"}


@pytest.fixture(scope="module")
def told() -> str:
    return run("make", "help", cwd=ROOT).stdout


def test_help_lists_every_target(told):
    phony = re.search(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)
    assert phony
    listed = re.findall(r"^  make (\S+)", told, re.MULTILINE)
    assert sorted(listed) == sorted(phony[1].split())


def test_help_names_every_variable_that_is_read(told):
    read = set(re.findall(r"^([A-Z_]+) \?=", MAKEFILE, re.MULTILINE))
    sources = committed("boards", "gateway", "simulator", "tests")
    for name in sources:
        if name.endswith(".py"):
            read |= set(READ.findall((ROOT / name).read_text(encoding="utf-8")))
    assert {"MOSQUITTO", "COLDTRAIL_CACHE", "COLDTRAIL_DB", "PYTHON"} <= read
    assert {name for name in read - OF_THE_SYSTEM if not re.search(rf"\b{name}\b", told)} == set()


def test_every_program_of_the_tests_that_the_makefile_names_is_there():
    modules = [name.replace(".", "/") + ".py" for name in re.findall(r"-m (tests\.\S+)", MAKEFILE)]
    assert modules
    assert [name for name in modules if not (ROOT / name).is_file()] == []
