"""What ends a command of this part."""


class BoardError(Exception):
    """Something cannot be done; one sentence says what, where and what to do.

    The command line (cli.py) prints the sentence and ends with exit code 2.
    """
