"""Commands that end with one sentence and exit code 2 where the gateway cannot do as asked."""

from __future__ import annotations

from typing import Any

import click

from coldtrail_gateway.contract.printable import printable
from coldtrail_gateway.errors import GatewayError


class _Failure(click.ClickException):
    exit_code = 2


class Command(click.Command):
    """A command that stands alone."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except GatewayError as error:
            raise _Failure(printable(str(error))) from error


class Group(click.Group):
    """A group; what is said of its errors holds for all commands in it."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that is named."""
        try:
            return super().invoke(ctx)
        except GatewayError as error:
            raise _Failure(printable(str(error))) from error
