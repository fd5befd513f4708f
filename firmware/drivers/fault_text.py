"""What the codes of fault.py mean; imported only when one is put into words.

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
    """Return the code in words."""
    return _TEXTS[code] if code < len(_TEXTS) else "fault %d" % code
