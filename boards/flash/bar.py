"""The progress display of flashing."""

from __future__ import annotations

from rich.progress import Progress, TaskID

from coldtrail_boards.flash.esp import Chip


class Bar:
    """The progress bar of one tracker: the current step and its progress."""

    def __init__(self, bars: Progress, port: str, total: int) -> None:
        self._bars = bars
        self._task: TaskID = bars.add_task("connecting", port=port, total=total)

    def say(self, doing: str) -> None:
        """Show the current step."""
        self._bars.update(self._task, description=doing)

    def write(self, chip: Chip, name: str, offset: int, data: bytes) -> None:
        """Write to the flash and show the progress."""
        self.say(name)
        chip.write(offset, data, lambda n: self._bars.advance(self._task, n))

    def end(self, doing: str) -> None:
        """Show that flashing has ended."""
        self._bars.update(
            self._task, description=doing, completed=self._bars.tasks[self._task].total
        )
