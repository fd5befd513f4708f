"""The pages of the project, and what they name: for the tests of this folder."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("firmware", "boards", "gateway", "simulator", "tests")

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SPAN = re.compile(r"`([^`\n]+)`")
LISTINGS = ("python", "diff", "toml", "hex")
"""Languages of blocks that are no drawing and no command."""
SOURCE = re.compile(r"[\w*./-]+\.(?:py|md|toml|cddl|cs|robot|resource|resc|repl|lock)")
"""A name of a source file. Other suffixes are those of results, or of other people's files."""
PLACE = re.compile(rf"(?:{'|'.join(PARTS)})/[\w*./-]*")

MADE = {
    "boards/no_light/": "an example of how_to_add.md",
    "boards/no_light/board.py": "an example of how_to_add.md",
    "firmware/drivers/tmp117.py": "an example of how_to_add.md",
    "gateway/exports/extremes.py": "an example of how_to_add.md",
    "simulator/models/tmp117.py": "an example of how_to_add.md",
    "mine.toml": "a profile of the reader's own",
    "next.py": "the name of main.py on a tracker whose log is erased first",
    "short_trip.toml": "an example of how_to_add.md",
    "wiring.py": "the board file's name on the nRF52840",
}
"""What a page tells its reader to make, and why no checkout has it."""
PLACEHOLDER = re.compile(r"\b(NAME|BOARD|SCENARIO)\b")


@cache
def paths() -> list[str]:
    """Return the paths of the checkout's own files and folders, folders with a slash behind."""
    top = [path for path in ROOT.iterdir() if path.is_file()]
    inside = [path for part in PARTS for path in ((ROOT / part), *(ROOT / part).rglob("*"))]
    return [
        path.relative_to(ROOT).as_posix() + "/" * path.is_dir()
        for path in (*top, *inside)
        if "__pycache__" not in path.parts
    ]


def pages() -> list[str]:
    """Return the paths of all pages."""
    return [path for path in paths() if path.endswith(".md")]


def links(text: str) -> Iterator[tuple[str, str]]:
    """Yield the links into the checkout: path (empty: the page itself) and heading."""
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" not in target:
            path, _, heading = target.partition("#")
            yield path, heading


def headings(text: str) -> set[str]:
    """Return the headings of a page as a link names them."""
    found = re.findall(r"^#+ (.*)$", BLOCK.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in found}


def names(text: str) -> Iterator[str]:
    """Yield the names of files and folders in the code spans, drawings and commands of a page."""
    blocks = [code for language, code in BLOCK.findall(text) if language not in LISTINGS]
    spans = SPAN.findall(BLOCK.sub("", text))
    for word in re.split(r"[\s,:]+", " ".join([*blocks, *spans])):
        if not PLACEHOLDER.search(word) and (SOURCE.fullmatch(word) or PLACE.fullmatch(word)):
            yield word


def exists(name: str) -> bool:
    """Tell whether a name is the end of a path; a star stands for any part of a name."""
    name = name.removeprefix("./").replace("../", "")
    pattern = re.compile(r"(.*/)?" + re.escape(name).replace(r"\*", "[^/]*") + "/?")
    return name in MADE or any(pattern.fullmatch(path) for path in paths())
