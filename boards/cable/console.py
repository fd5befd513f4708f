"""`coldtrail console`: a tracker's console with line editing, and its log as a CSV file.

Lines are edited by prompt_toolkit and not by the standard library's readline, because it prints
unsolicited output of the tracker above the line being typed, and can ask for an answer without
echo.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import click
from prompt_toolkit import PromptSession
from prompt_toolkit.completion import WordCompleter
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.patch_stdout import patch_stdout
from rich.console import Console as Screen
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from coldtrail_boards import files
from coldtrail_boards.cable.line import BAUD, Cable
from coldtrail_boards.cable.read_out import BlockFile, Listener, read_out
from coldtrail_boards.cable.session import Session
from coldtrail_boards.errors import BoardError

_VERIFY_S = 600


# --- by hand -------------------------------------------------------------------------------


def _history() -> History:
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    path = Path(data) / "coldtrail" / "console_history"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
    except OSError:
        return InMemoryHistory()
    return FileHistory(str(path))


def _commands(cable: Cable) -> WordCompleter:
    """Return a completer for the words that the tracker's `help` lists."""
    cable.write(b"help --json\r")
    text = b"".join(cable.until_end(2.0)).decode("ascii", "replace")
    words = {"--json"}
    for line in text.splitlines():
        try:
            usage = json.loads(line)["command"]
        except (ValueError, KeyError, TypeError):
            continue
        words |= {w for w in usage.replace("[", " ").replace("]", " ").split() if w.islower()}
    return WordCompleter(sorted(words))


def _by_hand(cable: Cable) -> int:
    prompt: PromptSession[str] = PromptSession(
        history=_history(), completer=_commands(cable), complete_while_typing=False
    )
    secret: PromptSession[str] = PromptSession()

    def answer() -> str | None:
        try:
            return secret.prompt("", is_password=True)
        except (EOFError, KeyboardInterrupt):
            return None

    with patch_stdout(raw=True):
        session = Session(cable, lambda text: print(text, end="", flush=True))
        try:
            while True:
                try:
                    line = prompt.prompt("> ")
                except KeyboardInterrupt:
                    continue
                except EOFError:
                    return 0
                session.obey(line, answer)
        finally:
            session.close()


def _by_program(cable: Cable) -> int:
    """Execute the lines of standard input as commands and as answers to questions."""
    lines = iter(files.text(sys.stdin.buffer.read(), "Standard input").splitlines())
    session = Session(cable, lambda text: click.echo(text, nl=False))
    failed = 0
    try:
        for line in lines:
            if line.strip():
                failed += not session.obey(line, lambda: next(lines, None))
    finally:
        session.close()
    return min(failed, 1)


# --- export --------------------------------------------------------------------------------


def _export(port: str, baud: int, target: Path, shipment: str | None, db: str | None) -> int:
    """Read the log out, verify it and write it; return the exit code."""
    if target.is_dir() or not target.parent.is_dir():
        raise BoardError(f"{target} cannot be written: name a file in a folder that is there.")
    blocks = BlockFile(target.with_suffix(".blocks"))
    screen = Screen(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(),
               TimeRemainingColumn())  # fmt: skip
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task("reading the log", total=None)
        begun = blocks.last

        def at(number: int, end: int) -> None:
            bar.update(task, completed=number - begun, total=end - begun)

        try:
            read_out(port, baud, blocks, Listener(at, screen.print))
        finally:
            blocks.close()
    screen.print(f"{blocks.count} blocks are in {blocks.path}", soft_wrap=True)
    arguments = ["gateway", "verify-file", str(blocks.path), "-o", str(target)]
    arguments += ["--shipment", shipment] if shipment else []
    arguments += ["--db", db] if db else []
    done = subprocess.run(
        [sys.executable, "-m", "coldtrail_boards", *arguments], timeout=_VERIFY_S, check=False
    )
    return done.returncode


@click.command("console", short_help="Open a tracker's console over its cable.")
@click.option("--port", required=True, help="Serial port, such as /dev/ttyUSB0.")
@click.option("--export", "target", type=click.Path(dir_okay=False, path_type=Path),
              metavar="CSV", help="Read the log out into this file instead.")  # fmt: skip
@click.option(
    "--shipment",
    metavar="ID",
    help="With --export: which shipment, when the log has several.  [default: the newest]",
)
@click.option("--db", envvar="COLDTRAIL_DB", metavar="FILE|URL",
              help="With --export: the gateway's database, which has the keys.")  # fmt: skip
@click.option("--baud", default=BAUD, show_default=True, help="Speed of the line.")
@click.pass_context
def command(
    context: click.Context, port: str, target: Path | None, shipment: str | None, db: str | None,
    baud: int,
) -> None:  # fmt: skip
    """Open a tracker's console over its cable; type help for its commands, Ctrl-D to leave.

    Commands may also come from standard input, one in each line; the answer to a question of the
    tracker is a line, too. With --export, every sealed block is kept beside the CSV file and
    verified with the keys that this machine's gateway knows. Exit code 1: a command failed, or not
    everything verifies.
    """
    if target:
        context.exit(_export(port, baud, target, shipment, db))
    with Cable(port, baud) as cable:
        cable.greet(lambda: click.echo("The tracker calls its gateway: waiting.", err=True))
        context.exit(_by_hand(cable) if sys.stdin.isatty() else _by_program(cable))
