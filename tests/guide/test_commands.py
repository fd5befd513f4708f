"""Every command that a page shows exists: `coldtrail` with its subcommands and options, `make`."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click
import pytest

from coldtrail_boards import cli
from tests.guide.pages import BLOCK, ROOT, SPAN, pages

END = {"|", "&", "&&", ";", "#", ">", "<"}


def shown(text: str, program: str) -> Iterator[list[str]]:
    """Yield the words behind a program's name, in code spans and in lines of blocks."""
    lines = [line for _, block in BLOCK.findall(text) for line in block.splitlines()]
    for line in [*lines, *SPAN.findall(BLOCK.sub("", text))]:
        for part in re.split(r"\$ | \| | && ", line):
            words = part.split()
            if words and words[0] in {program, f".venv/bin/{program}"}:
                end = next((i for i, word in enumerate(words) if word in END), len(words))
                yield words[1:end]


def unknown(words: list[str]) -> str:
    """Return the first word that `coldtrail` does not know; empty when it knows all."""
    command: click.Command = cli.main
    context = click.Context(command)
    while isinstance(command, click.Group) and words:
        if words[0].startswith("-"):
            break
        name, *words = words
        found = command.get_command(context, name)
        if found is None:
            return name
        command, context = found, click.Context(found, parent=context)
        if isinstance(command, click.Group):
            words = words[sum(isinstance(p, click.Argument) for p in command.params) :]
    options = {name for option in command.get_params(context) for name in option.opts}
    # Of a synopsis, [--seed N] is an option, too.
    given = [word.strip("[]").partition("=")[0] for word in words]
    return next((w for w in given if re.match(r"--?[a-z]", w) and w not in options), "")


@pytest.mark.parametrize("page", pages())
def test_commands_exist(page: str) -> None:
    text = (ROOT / page).read_text()
    wrong = [words for words in shown(text, "coldtrail") if unknown(words)]
    assert wrong == []


@pytest.mark.parametrize("page", pages())
def test_targets_of_make_exist(page: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    shown_targets = {
        word
        for words in shown((ROOT / page).read_text(), "make")
        for word in words
        if re.fullmatch(r"[a-z-]+", word)
    }
    assert shown_targets - targets == set()


def test_a_wrong_command_is_found():
    text = (
        "`coldtrail gateway serve --brokr X`, `coldtrail flsh`, `coldtrail simulate tls --seed 3`"
    )
    found = [unknown(words) for words in shown(text, "coldtrail")]
    assert found == ["--brokr", "flsh", ""]


def walked(command: click.Command, words: str) -> Iterator[tuple[str, click.Command]]:
    """Yield a command and all that are below it, each with the words that call it."""
    yield words, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from walked(below, f"{words} {name}")


def test_no_help_shows_the_marks_of_its_layout():
    every = dict(walked(cli.main, "coldtrail"))
    assert len(every) > 60
    marked = [words for words, command in every.items() if r"\b" in (command.help or "")]
    assert marked == []
