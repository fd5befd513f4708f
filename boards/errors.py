"""What ends a command for one board."""

import click

from coldtrail_boards import printable


class BoardError(click.ClickException):
    """Something cannot be done; one sentence says what, where and what to do. Exit code 2."""

    exit_code = 2

    def format_message(self) -> str:
        """Return the sentence; what a tracker or a file has to do with it stays text."""
        return printable.lines(self.message)
