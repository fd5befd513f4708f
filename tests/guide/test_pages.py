"""Every file that a page names exists: links, and names of files in code spans and drawings."""

from __future__ import annotations

import re

import pytest

from tests.guide.pages import MADE, PARTS, ROOT, exists, headings, links, names, pages, paths


@pytest.mark.parametrize("page", pages())
def test_links_lead_somewhere(page: str) -> None:
    here = ROOT / page
    dead = []
    for path, heading in links(here.read_text()):
        target = here.parent / path if path else here
        if not target.exists() or (heading and heading not in headings(target.read_text())):
            dead.append((path, heading))
    assert dead == []


@pytest.mark.parametrize("page", pages())
def test_named_files_exist(page: str) -> None:
    assert [name for name in names((ROOT / page).read_text()) if not exists(name)] == []


def test_what_a_reader_is_to_make_is_not_there():
    assert {name for name in MADE if "/" in name} & set(paths()) == set()


def test_a_wrong_name_is_found():
    text = "See `simulator/nowhere/`, `no_such.py`, `out/`, [this](nowhere.md).\n"
    unknown = [name for name in names(text) if not exists(name)]
    assert unknown == ["simulator/nowhere/", "no_such.py"]
    assert list(links(text)) == [("nowhere.md", "")]


@pytest.mark.parametrize("part", [part for part in PARTS if part != "tests"])
def test_files_named_in_the_source_exist(part: str) -> None:
    named = {
        (path.relative_to(ROOT).as_posix(), name)
        for path in (ROOT / part).rglob("*.py")
        for name in re.findall(r"\b[\w/]+\.(?:py|md|cddl|robot)\b", path.read_text())
    }
    assert sorted((path, name) for path, name in named if not exists(name)) == []
