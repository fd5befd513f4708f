"""Byte strings for parsers: their own words and arbitrary bytes, mixed."""

from collections.abc import Iterator, Sequence

BATCH = 50  # byte strings a hypothesis example: drawing each by itself takes most of the time


def garbled(choices: bytes, words: Sequence[bytes]) -> Iterator[bytes]:
    """Yield a string for every eight bytes of ``choices``; each is a word or stands for itself."""
    for start in range(0, len(choices), 8):
        yield b"".join(
            words[choice % len(words)] if choice < 0xC0 else bytes((choice * 5 & 0xFF,))
            for choice in choices[start : start + 8]
        )
