"""One version: the project's, the firmware's, the command's, the latest in the change log."""

import re
import tomllib
from importlib.metadata import version

from coldtrail import VERSION
from tests.packaging.conftest import ROOT


def test_all_say_the_same_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## \[(.+?)\]", changes, re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert {project["version"], version("coldtrail"), VERSION} == {headings[1]}
