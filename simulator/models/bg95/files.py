"""The module's file system (UFS) and the commands for it.

Source: BG96 FILE AT Commands Manual V1.0 (2018-01-24): 2.2 QFLST, 2.3 QFDEL, 2.4 QFUPL.
"""

from __future__ import annotations

import random

from coldtrail_simulator.clock import US_PER_MS, US_PER_S
from coldtrail_simulator.models.bg95.at import (
    Answer,
    Args,
    AtError,
    Command,
    Form,
    Later,
    Prompt,
    Result,
    answer,
)

NOT_FOUND, EXISTS, TIME_OUT = 405, 407, 421
WRITE_MS = (20, 150)
MAX_NAME = 80
MAX_SIZE = 1 << 20


class Files:
    """The files in the module's flash, which outlive every reset; there are no directories."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.files: dict[str, bytes] = {}

    def commands(self) -> dict[str, Command]:
        """Return the commands by their names."""
        return {"+QFLST": self._list, "+QFDEL": self._delete, "+QFUPL": self._upload}

    def read(self, name: str) -> bytes | None:
        """Return the content of a file; None when there is no such file."""
        return self.files.get(name.removeprefix("UFS:"))

    def _draw(self) -> int:
        return self._rng.randint(*WRITE_MS) * US_PER_MS

    @staticmethod
    def _name(args: Args) -> str:
        name = args.text(0).removeprefix("UFS:")
        if not 0 < len(name) <= MAX_NAME:
            raise AtError(406)
        return name

    def _list(self, form: Form, args: Args) -> Result:
        if form is Form.TEST:
            return answer()
        name = self._name(args) if form is Form.WRITE else "*"
        found = sorted(self.files) if name == "*" else [name]
        if name != "*" and name not in self.files:
            raise AtError(NOT_FOUND)
        return answer(*(f'+QFLST: "{each}",{len(self.files[each])}' for each in found))

    def _delete(self, form: Form, args: Args) -> Result:
        if form is Form.TEST:
            return answer("+QFDEL: <filename>")
        if form is not Form.WRITE:
            raise AtError
        name = self._name(args)
        if name != "*" and name not in self.files:
            raise AtError(NOT_FOUND)

        def finish() -> Answer:
            if name == "*":
                self.files.clear()
            else:
                self.files.pop(name, None)
            return answer()

        return Later(self._draw(), finish)

    def _upload(self, form: Form, args: Args) -> Result:
        if form is Form.TEST:
            return answer("+QFUPL: <filename>[,(1-1048576)[,(1-65535)[,(0,1)]]]")
        if form is not Form.WRITE:
            raise AtError
        name, size = self._name(args), args.number(1, 1, MAX_SIZE, 10240)
        idle_s = args.number(2, 1, 65535, 5)
        if args.number(3, 0, 1, 0):
            raise AtError  # the ACK mode is not modelled
        if name in self.files:
            raise AtError(EXISTS)

        def take(data: bytes | None) -> Later:
            kept = data or b""

            def finish() -> Answer:
                self.files[name] = kept  # the module keeps an interrupted upload as well
                if len(kept) < size:
                    raise AtError(TIME_OUT)
                return answer(f"+QFUPL: {len(kept)},{checksum(kept):x}")

            return Later(self._draw(), finish)

        return Prompt(size, take, b"\r\nCONNECT\r\n", idle_s * US_PER_S)


def checksum(data: bytes) -> int:
    """Return the XOR of all 16-bit words; a single last byte is the high byte of a word (2.4)."""
    total = 0
    for at in range(0, len(data), 2):
        total ^= int.from_bytes(data[at : at + 2].ljust(2, b"\0"), "big")
    return total
