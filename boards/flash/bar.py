"""How far the flashing of a tracker is, for whoever watches."""

from __future__ import annotations

from rich.progress import Progress, TaskID

from coldtrail_boards.flash.esp import Chip


class Bar:
    """A tracker's bar while it is flashed: what is done now, and how far it is."""

    def __init__(self, bars: Progress, port: str, total: int) -> None:
        self._bars = bars
        self._task: TaskID = bars.add_task("connecting", port=port, total=total)

    def say(self, doing: str) -> None:
        """Show what is done now."""
        self._bars.update(self._task, description=doing)

    def write(self, chip: Chip, name: str, offset: int, data: bytes) -> None:
        """Write to the flash and show how far it is."""
        self.say(name)
        chip.write(offset, data, lambda n: self._bars.advance(self._task, n))

    def end(self, doing: str) -> None:
        """Show the end."""
        self._bars.update(
            self._task, description=doing, completed=self._bars.tasks[self._task].total
        )
