"""Reads a tracker's log over the cable into a file of sealed blocks that survives a pulled cable.

The file is a CBOR sequence, as gateway/cli/verify_file.py takes it; what the tracker sends is
described in firmware/coldtrail/console/log.py.
"""

from __future__ import annotations

import io
import json
import os
import struct
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cbor2

from coldtrail_boards.cable.line import GREETING, NAK, RS, Cable, Gone
from coldtrail_boards.errors import BoardError

_SILENCE_S = 10.0
_BACK_S = 300.0
"""How long a pulled cable is waited for."""
_TRIES = 5
"""Transfers in a row that bring nothing new, before it is given up."""
_ESCAPE = 0x10
_SMALLEST = 9
"""Bytes of a frame without payload: kind, number, CRC-32."""


class Frame(NamedTuple):
    """One line of an export: ``h`` the head, ``b`` a block, ``e`` the end."""

    kind: str
    number: int
    payload: bytes


def frames(stream: Iterable[bytes]) -> Iterator[Frame]:
    """Yield what comes in order; text between is passed over, at the first damage it ends.

    Each frame's CRC goes on from the one before, so that one that is missing is damage too.
    """
    line = bytearray()
    inside = False
    crc = 0
    for data in stream:
        for byte in data:
            if byte == RS[0]:
                line.clear()
                inside = True
            elif inside and byte == 0x0A:
                inside = False
                body = _unescaped(bytes(line))
                if len(body) < _SMALLEST:
                    return
                crc = zlib.crc32(body[:-4], 0 if body[:1] == b"h" else crc)
                if crc != struct.unpack("<I", body[-4:])[0]:
                    return
                yield Frame(chr(body[0]), struct.unpack_from("<I", body, 1)[0], body[5:-4])
            elif inside and byte != 0x0D:
                line.append(byte)


def _unescaped(line: bytes) -> bytes:
    first, *rest = line.split(bytes((_ESCAPE,)))
    return first + b"".join(bytes((part[0] ^ 0x40,)) + part[1:] for part in rest if part)


@dataclass
class Listener:
    """Told how far it is: records of the log that lie behind, and all of them."""

    at: Callable[[int, int], object]
    say: Callable[[str], object]


class BlockFile:
    """The blocks received so far, on disk; opened again, it goes on behind the last.

    Raises:
        BoardError: the file is something else, or cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.head: dict[str, Any] | None = None
        self.last = 0
        self.count = 0
        whole = 0
        try:
            content = path.read_bytes() if path.exists() else b""
            stream = io.BytesIO(content)
            while whole < len(content):
                try:
                    self._take(cbor2.load(stream))
                except (cbor2.CBORDecodeError, EOFError):
                    break  # the rest of a transfer that was cut short
                whole = stream.tell()
            self._file = path.open("r+b" if path.exists() else "w+b")
            self._file.truncate(whole)
            self._file.seek(whole)
        except OSError as error:
            raise BoardError(f"{path} cannot be written ({error.strerror}).") from None

    def _take(self, item: Any) -> None:
        if self.head is None:
            if not isinstance(item, dict) or item.get("coldtrail") != "readout/1":
                raise BoardError(f"{self.path} is no read-out of a log: name another file.")
            self.head = item
            return
        self.last, _ = item
        self.count += 1

    def begin(self, tracker: str, chain: str) -> None:
        """Make sure that it is for this log."""
        if self.head is None:
            self.head = {"coldtrail": "readout/1", "tracker": tracker, "chain": chain}
            self._file.write(cbor2.dumps(self.head))
        elif (self.head["tracker"], self.head["chain"]) != (tracker, chain):
            raise BoardError(
                f"{self.path} has blocks of tracker {self.head['tracker']}, and this is another "
                f"log, of {tracker}: name another file."
            )

    def add(self, number: int, sealed: bytes) -> None:
        """Keep a block, if it is the next."""
        if number > self.last:
            self._file.write(cbor2.dumps([number, sealed]))
            self._file.flush()
            self.last = number
            self.count += 1

    def close(self) -> None:
        """Have it on the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()


def read_out(port: str, baud: int, file: BlockFile, listener: Listener) -> None:
    """Bring every sealed block that the log has into ``file``.

    Raises:
        BoardError: it cannot be done; what has come is in the file.
    """
    tries = 0
    cable = Cable(port, baud)
    while True:
        before = file.last
        try:
            with cable:
                cable.greet(lambda: listener.say("The tracker calls its gateway: waiting."))
                if _transfer(cable, file, listener):
                    return
        except Gone:
            listener.say(
                "The cable is out: plug it in again to go on, or press Ctrl-C and run the same "
                "command later."
            )
        tries = tries + 1 if file.last == before else 1
        if tries == _TRIES:
            raise BoardError(
                f"The transfer from {port} breaks off again and again: run the same command to "
                "go on, with another cable."
            )
        cable = _plugged(port, baud)


def _plugged(port: str, baud: int) -> Cable:
    """Open the port, and wait for a cable that was pulled."""
    start = time.monotonic()
    while True:
        try:
            return Cable(port, baud)
        except Gone:
            if time.monotonic() - start > _BACK_S:
                raise
        time.sleep(0.2)


def _transfer(cable: Cable, file: BlockFile, listener: Listener) -> bool:
    """Ask for what is not in the file yet; return whether all of it has come."""
    end = 0
    blocks = 0
    cable.write(f"log export {file.last + 1}\r".encode())
    refusal = _Refusal()
    for frame in frames(refusal.watch(cable.until_end(_SILENCE_S))):
        if frame.kind == "h":
            head = json.loads(frame.payload)
            file.begin(head["tracker"], head["chain"])
            end = head["next"]
        elif frame.kind == "b" and end:
            file.add(frame.number, frame.payload)
            blocks += 1
            listener.at(frame.number, end)
        elif frame.kind == "e" and end:
            listener.at(end, end)
            return blocks == frame.number
    if refusal.text:
        raise BoardError(f"The tracker refuses: {refusal.text}.")
    return False


class _Refusal:
    """Watches a stream for the tracker's own word that it cannot."""

    def __init__(self) -> None:
        self.text = ""

    def watch(self, stream: Iterable[bytes]) -> Iterator[bytes]:
        """Pass the stream on."""
        heard = b""
        for data in stream:
            heard = (heard + data)[-400:]
            if NAK in data and b"error: " in heard:
                said = heard.rpartition(b"error: ")[2].partition(b"\n")[0]
                self.text = said.decode("ascii", "replace").strip()
            if GREETING.search(heard):
                return  # it has restarted: what was asked for is forgotten
            yield data
