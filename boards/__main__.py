"""``python -m boards``: the ``coldtrail`` command."""

from boards.cli import main

main()
