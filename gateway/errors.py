"""What goes wrong outside the program, in one sentence."""


class GatewayError(Exception):
    """Something cannot be done; its text is one sentence: what, where and what to do."""
