"""Corrects a reading by the points of its calibration."""


def corrected(points, raw):
    """Return ``raw`` plus its offset.

    ``points``: [[raw, offset], ...], at least one, in ascending order of raw, in the unit of the
    reading. The offset is interpolated linearly between two points, rounded half away from zero,
    and constant outside the range of the points.
    """
    below = points[0]
    for above in points:
        if raw <= above[0]:
            break
        below = above
    span = above[0] - below[0]
    if raw <= below[0] or raw >= above[0]:
        # At a point, or outside the range of the points.
        return raw + (above[1] if raw >= above[0] else below[1])
    scaled = below[1] * span + (above[1] - below[1]) * (raw - below[0])
    offset = (2 * abs(scaled) + span) // (2 * span)
    return raw + (offset if scaled > 0 else -offset)
