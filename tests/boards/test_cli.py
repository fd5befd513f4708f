"""The root command loads each part by its entry point, and only when it is asked for."""

import subprocess
import sys
from importlib.metadata import EntryPoint, EntryPoints, entry_points

import click
import pytest
from click.testing import CliRunner

from coldtrail_boards import cli


@pytest.fixture
def parts(monkeypatch, tmp_path):
    """Registers parts that work, fail on import, and are no command."""
    (tmp_path / "part_good.py").write_text(
        "import click\n@click.command()\ndef hello():\n    'Say hello.'\n    click.echo('hello')\n"
    )
    (tmp_path / "part_bad.py").write_text("raise RuntimeError('no driver')\n")
    (tmp_path / "part_odd.py").write_text("hello = 3\n")
    monkeypatch.syspath_prepend(tmp_path)
    registered = EntryPoints(
        EntryPoint(name, f"part_{name}:hello", cli.GROUP) for name in ("good", "bad", "odd")
    )
    monkeypatch.setattr(cli, "entry_points", registered.select)
    yield
    for name in ("good", "bad", "odd"):
        sys.modules.pop(f"part_{name}", None)


def run(*args: str):
    return CliRunner().invoke(cli.main, args)


def test_every_part_is_registered():
    registered = {entry.name: entry.value for entry in entry_points(group=cli.GROUP)}
    assert registered == {
        "console": "coldtrail_boards.cable.console:command",
        "decode": "coldtrail_gateway.cli.main:decode",
        "flash": "coldtrail_boards.flash.command:command",
        "gateway": "coldtrail_gateway.cli.main:gateway",
        "log": "coldtrail_boards.logdump_command:command",
        "profile": "coldtrail_boards.profiles.command:command",
        "provision": "coldtrail_boards.provision.command:command",
        "selftest": "coldtrail_boards.cable.selftest_command:command",
        "simulate": "coldtrail_simulator.cli:simulate",
        "volume": "coldtrail_boards.flash.volume_command:command",
    }


@pytest.mark.parametrize("entry", entry_points(group=cli.GROUP), ids=lambda entry: entry.name)
def test_every_registered_part_loads(entry):
    assert isinstance(entry.load(), click.Command)


def test_only_the_command_asked_for_is_imported(parts):
    done = run("good")
    assert (done.exit_code, done.output) == (0, "hello\n")
    assert "part_bad" not in sys.modules


def test_root_alone_imports_no_part():
    code = "import sys, coldtrail_boards.cli; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = {name for name in done.stdout.split() if name.startswith("coldtrail_")}
    of_boards = {f"coldtrail_boards{name}" for name in ("", ".cli", ".errors", ".printable")}
    assert imported == of_boards


def test_import_that_fails_is_one_clear_error(parts):
    done = run("bad")
    assert done.exit_code == 1
    assert "'bad' (part_bad:hello) could not be loaded: RuntimeError: no driver" in done.output
    assert "Traceback" not in done.output


def test_what_is_no_command_is_refused(parts):
    done = run("odd")
    assert done.exit_code == 1
    assert "it is not a click command" in done.output


def test_help_survives_a_broken_part(parts):
    done = run("--help")
    assert done.exit_code == 0
    assert "(not available: no driver)" in done.output
    assert "Say hello." in done.output


def test_unknown_command_is_bad_usage(parts):
    done = run("nothing")
    assert done.exit_code == 2
    assert "No such command 'nothing'" in done.output
