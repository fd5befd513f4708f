"""The firmware's modules run on CPython here."""

from tests.firmware.support import on_cpython  # noqa: F401 -- for time.ticks_ms and its kind
