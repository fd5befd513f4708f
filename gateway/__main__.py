"""``python -m gateway``: the same as ``coldtrail gateway``."""

from gateway.cli import gateway

gateway(prog_name="coldtrail gateway")
