"""The exception of this part."""


class BoardError(Exception):
    """A request cannot be fulfilled; the message says in one sentence what, where and what to do.

    The command line (cli.py) prints the sentence and ends with exit code 2.
    """
