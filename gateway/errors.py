"""What goes wrong outside the program, told in one sentence."""

import click


class GatewayError(click.ClickException):
    """Ends the command with exit code 2; the message says what, where and what to do."""

    exit_code = 2
