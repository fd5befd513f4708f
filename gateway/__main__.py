"""``python -m coldtrail_gateway``: the same as ``coldtrail gateway``."""

from coldtrail_gateway.cli.main import gateway

gateway(prog_name="coldtrail gateway")
