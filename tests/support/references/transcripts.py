"""The examples in the modem manuals (tests/data/quectel_transcripts.txt)."""

import re
from dataclasses import dataclass, field
from pathlib import Path

FILE = Path(__file__).parents[2] / "data" / "quectel_transcripts.txt"


@dataclass
class Exchange:
    """A command and the lines up to the next one; the first exchange may have no command."""

    command: bytes = b""
    data: bytes = b""  # sent by the host after the prompt
    lines: list[tuple[str, bytes]] = field(default_factory=list)  # ("<" or "=", text)

    def wire(self) -> bytes:
        """Return the bytes that the module sends, after its prompt if there is one."""
        sent = b""
        for kind, text in self.lines:
            sent += text + b"\r\n" if kind == "=" else b"\r\n" + text + b"\r\n"
        return sent


@dataclass
class Transcript:
    """One example: its source and its exchanges."""

    name: str
    source: str
    exchanges: list[Exchange] = field(default_factory=list)


def load() -> dict[str, Transcript]:
    """Read all examples."""
    found: dict[str, Transcript] = {}
    current = None
    for line in FILE.read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        head = re.fullmatch(r"\[(.+?)\] (.+ V\d+\.\d+ \(\d{4}-\d\d-\d\d\), \d+(\.\d+)*)", line)
        if head:
            current = found[head[1]] = Transcript(head[1], head[2])
            continue
        assert current is not None, line
        kind, text = line[0], line[2:].encode()
        assert kind in "<>=?", line
        if kind == ">" or not current.exchanges:
            current.exchanges.append(Exchange())
        exchange = current.exchanges[-1]
        if kind == ">":
            exchange.command = text
        elif kind == "?":
            exchange.data = text
        else:
            exchange.lines.append((kind, text))
    return found
