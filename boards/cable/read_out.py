"""Reads a tracker's log over the cable into a file of sealed blocks.

An interrupted read-out continues where it stopped. The file is a CBOR sequence, the input of
gateway/cli/verify_file.py. firmware/coldtrail/console/log.py describes the transfer.
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
"""How long to wait for a pulled cable to be plugged in again, in seconds."""
_TRIES = 5
"""Consecutive transfers without a new block, after which the read-out fails."""
_ESCAPE = 0x10
_SMALLEST = 9
"""Bytes of a frame without payload: kind, number, CRC-32."""


class Frame(NamedTuple):
    """One line of an export: ``h`` the head, ``b`` a block, ``e`` the end."""

    kind: str
    number: int
    payload: bytes


def frames(stream: Iterable[bytes]) -> Iterator[Frame]:
    """Yield the frames of a stream; skip text between them, and stop at the first damaged frame.

    The CRC of each frame continues from the frame before, so a missing frame is also detected.
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
    """Receives the progress: records read, and the number of all records."""

    at: Callable[[int, int], object]
    say: Callable[[str], object]


class BlockFile:
    """The received blocks in a file. An existing file is continued after its last block.

    Raises:
        BoardError: the file has other content, or cannot be written.
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
                    break  # the incomplete block of an interrupted transfer
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
        """Check that the file belongs to this log, or start it. Raises BoardError."""
        if self.head is None:
            self.head = {"coldtrail": "readout/1", "tracker": tracker, "chain": chain}
            self._file.write(cbor2.dumps(self.head))
        elif (self.head["tracker"], self.head["chain"]) != (tracker, chain):
            raise BoardError(
                f"{self.path} has blocks of tracker {self.head['tracker']}, and this is another "
                f"log, of {tracker}: name another file."
            )

    def add(self, number: int, sealed: bytes) -> None:
        """Append a block, unless its number is already in the file."""
        if number > self.last:
            self._file.write(cbor2.dumps([number, sealed]))
            self._file.flush()
            self.last = number
            self.count += 1

    def close(self) -> None:
        """Write everything to the disk and close the file."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()


def read_out(port: str, baud: int, file: BlockFile, listener: Listener) -> None:
    """Copy every sealed block of the log into ``file``.

    Raises:
        BoardError: the read-out failed; the blocks received so far are in the file.
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
    """Open the port; wait for a pulled cable to be plugged in."""
    start = time.monotonic()
    while True:
        try:
            return Cable(port, baud)
        except Gone:
            if time.monotonic() - start > _BACK_S:
                raise
        time.sleep(0.2)


def _transfer(cable: Cable, file: BlockFile, listener: Listener) -> bool:
    """Request the blocks that are missing in the file; return whether all have arrived."""
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
    """Watches a stream for an error message of the tracker."""

    def __init__(self) -> None:
        self.text = ""

    def watch(self, stream: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the stream unchanged, until the tracker restarts."""
        heard = b""
        for data in stream:
            heard = (heard + data)[-400:]
            if NAK in data and b"error: " in heard:
                said = heard.rpartition(b"error: ")[2].partition(b"\n")[0]
                self.text = said.decode("ascii", "replace").strip()
            if GREETING.search(heard):
                return  # the tracker has restarted, so the request is lost
            yield data
