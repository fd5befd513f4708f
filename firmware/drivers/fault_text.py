"""The codes of fault.py as text; imported only when a code is printed.

fault_text.words(fault.CRC)         # "wrong checksum"
"""

_TEXTS = (
    "ok",
    "no answer",
    "wrong checksum",
    "open",
    "shorted",
    "out of range",
    "no sample in time",
    "bus stuck",
    "reference out of range",
    "another part",
    "stuck value",
    "not fitted",
    "interrupt storm",
    "energy budget spent",
    "above its range",
    "below its range",
)


def words(code):
    """Return the text for a status code, "fault N" for an unknown one."""
    return _TEXTS[code] if code < len(_TEXTS) else "fault %d" % code
