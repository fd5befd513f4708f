"""The ``coldtrail`` command: a group in which each part registers its own commands."""

from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version

import click

from coldtrail_boards import printable
from coldtrail_boards.errors import BoardError

GROUP = "coldtrail.commands"


class CommandLoadError(click.ClickException):
    """A registered command could not be loaded."""

    def __init__(self, entry: EntryPoint, reason: object) -> None:
        super().__init__(
            f"the command '{entry.name}' ({entry.value}) could not be loaded: {reason}; "
            "install coldtrail again ('make venv' in a checkout)."
        )


class _Refused(click.ClickException):
    """A BoardError as the command line reports it."""

    exit_code = 2


class EntryPointGroup(click.Group):
    """A click group whose commands are entry points.

    A part is imported only when its command is invoked or its help line is shown. Flashing a board
    must not load the gateway's database, and must not fail with it.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the registered names without importing anything."""
        return sorted({*super().list_commands(ctx), *entry_points(group=GROUP).names})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command.

        Raises:
            CommandLoadError: the part is registered, but its import fails.
        """
        entries = tuple(entry_points(group=GROUP, name=cmd_name))
        if not entries:
            return super().get_command(ctx, cmd_name)
        entry = entries[0]
        try:
            command = entry.load()
        # A part may raise any exception during its import; the other commands must still work.
        except Exception as error:
            raise CommandLoadError(entry, f"{type(error).__name__}: {error}") from error
        if not isinstance(command, click.Command):
            raise CommandLoadError(entry, "it is not a click command")
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; a BoardError becomes an error message and exit code 2."""
        try:
            return super().invoke(ctx)
        except BoardError as error:
            # The message may quote text from a tracker or a file.
            raise _Refused(printable.lines(str(error))) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands; a command that cannot be loaded shows its error instead."""
        rows: list[tuple[str, str]] = []
        for name in self.list_commands(ctx):
            try:
                command = self.get_command(ctx, name)
            except CommandLoadError as error:
                rows.append((name, f"(not available: {error.__cause__ or error.message})"))
                continue
            if command is not None and not command.hidden:
                rows.append((name, command.get_short_help_str(limit=formatter.width)))
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)


def _version() -> str:
    try:
        return version("coldtrail")
    except PackageNotFoundError:
        return "unknown (not installed)"


@click.group(cls=EntryPointGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(_version(), prog_name="coldtrail")
def main() -> None:
    """Coldtrail: an open tracker stack for the pharmaceutical cold chain."""
