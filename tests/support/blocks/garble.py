"""Byte strings for parsers: a mixture of their keywords and arbitrary bytes."""

from collections.abc import Iterator, Sequence

BATCH = 50  # byte strings in each hypothesis example, because drawing them one by one is slow


def garbled(choices: bytes, words: Sequence[bytes]) -> Iterator[bytes]:
    """Yield one string for every eight bytes of ``choices``; a byte is a word or a plain byte."""
    for start in range(0, len(choices), 8):
        yield b"".join(
            words[choice % len(words)] if choice < 0xC0 else bytes((choice * 5 & 0xFF,))
            for choice in choices[start : start + 8]
        )
