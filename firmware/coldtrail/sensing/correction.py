"""Corrects a reading by the table of its calibration."""


def corrected(points, raw):
    """Return ``raw`` plus its offset.

    ``points``: [[raw, offset], ...] with raw ascending, at least one, in the reading's unit. The
    offset is linear between two points, rounded half away from zero, and constant beyond the
    outermost.
    """
    below = points[0]
    for above in points:
        if raw <= above[0]:
            break
        below = above
    span = above[0] - below[0]
    if raw <= below[0] or raw >= above[0]:
        # A point itself, or beyond the outermost.
        return raw + (above[1] if raw >= above[0] else below[1])
    scaled = below[1] * span + (above[1] - below[1]) * (raw - below[0])
    offset = (2 * abs(scaled) + span) // (2 * span)
    return raw + (offset if scaled > 0 else -offset)
