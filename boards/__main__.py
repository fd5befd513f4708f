"""``python -m coldtrail_boards``: the ``coldtrail`` command."""

from coldtrail_boards.cli import main

main()
