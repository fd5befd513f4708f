"""What ends a command for one board."""

import click


class BoardError(click.ClickException):
    """Something cannot be done; one sentence says what, where and what to do. Exit code 2."""

    exit_code = 2
