"""Time to breach: when a slowly drifting reading will cross a threshold if the drift continues.

The window of a trend rule is stored as the means of 16 time buckets of equal length. Memory does
therefore not depend on the sampling interval, and noise and quantisation are averaged before the
slope is computed. The slope is the median over all pairs of buckets (Theil 1950, Sen 1968). It is
computed over the whole window and over its recent half, and the smaller one is used. A step, for
example after the box was opened, increases the first slope only while the step is 6 to 10 buckets
old, and the second only while it is 3 to 5 buckets old. It never increases both, and after a rise
has ended the second slope falls back.
"""

from micropython import const

BUCKETS = const(16)
_ENOUGH = const(12)  # buckets with a reading; with fewer there is no result
_RECENT_ENOUGH = const(6)  # the same for the recent half
_STABLE = const(3)  # consecutive evaluations that must agree before `near` changes
_SCALE = const(256)  # slopes are in 1/256 unit for each bucket: 0.01 degC in half an hour is 256


def time_to_breach(history, width, threshold, rising):
    """Return the seconds until the trend of `history` meets `threshold`, None for never.

    `history` has one integer, or None, for each bucket of `width` seconds, oldest first, in the
    unit of `threshold`. The end of the last bucket is the present. `rising`: the breach is above
    the threshold, else below. The result is 0 when the trend is beyond the threshold and still
    moves away from it.
    """
    points = []
    for i in range(len(history)):
        value = history[i]
        if value is not None:
            points.append((i, (value - threshold if rising else threshold - value) * _SCALE))
    recent = [point for point in points if 2 * point[0] >= len(history)]
    if len(points) < _ENOUGH or len(recent) < _RECENT_ENOUGH:
        return None
    slope = min(_slope(points), _slope(recent))
    if slope <= 0:
        return None
    # The value of the line at the middle of bucket 0, then at the end of the last bucket.
    level = _median([y - slope * x for x, y in recent])
    level += slope * (2 * len(history) - 1) // 2
    return max(0, -level) * width // slope


def _slope(points):
    slopes = []
    for j in range(1, len(points)):
        x, y = points[j]
        for i in range(j):
            slopes.append((y - points[i][1]) // (x - points[i][0]))
    return _median(slopes)


def _median(numbers):
    numbers.sort()
    return numbers[len(numbers) // 2]


class Trend:
    """Watches one channel for one trend rule.

    near: True while a breach is expected within the notice. It changes after 3 consecutive
    evaluations that disagree with it; a bucket is evaluated when it closes. seconds: time to
    breach at the latest evaluation, None when no breach is expected.
    """

    def __init__(self, threshold, rising, notice, window):
        self._threshold = threshold
        self._rising = rising
        self._notice = notice
        self._width = window // BUCKETS
        self.near = False
        self.restart()

    def restart(self):
        """Clear the history, because times before and after a restart are not comparable."""
        self.seconds = None
        self._zero = 0  # the zero of this boot's times, on the time axis of the buckets
        self._streak = 0
        self._bucket = 0
        self._sum = 0
        self._count = 0
        self._history: list = [None] * BUCKETS

    def shift(self, seconds):
        """Add ``seconds`` to the offset between this boot's times and the buckets."""
        self._zero += seconds

    def withdraw(self):
        """Reset `near`; the history is kept."""
        self.near = False
        self._streak = 0

    def add(self, t, value):
        """Add a reading taken at `t` (seconds since boot, ascending)."""
        bucket = (self._zero + t) // self._width
        if bucket != self._bucket and self._count:
            self._close(bucket - self._bucket)
        self._bucket = bucket
        self._sum += value
        self._count += 1

    def _close(self, steps):
        history = self._history
        mean = self._sum // self._count
        self._sum = self._count = 0
        del history[0]
        history.append(mean)
        for _ in range(min(steps - 1, BUCKETS)):
            del history[0]
            history.append(None)
        seconds = time_to_breach(history, self._width, self._threshold, self._rising)
        self.seconds = seconds
        near = seconds is not None and seconds < self._notice
        self._streak = self._streak + 1 if near != self.near else 0
        if self._streak == _STABLE:
            self.near = near
            self._streak = 0

    def save(self):
        """Return the state as integers and None, for load()."""
        counts = [self.near + 0, self._zero, self._streak, self._bucket, self._sum, self._count]
        return counts + self._history

    def load(self, saved):
        """Restore the state that save() returned."""
        near, self._zero, self._streak, self._bucket, self._sum, self._count = saved[:6]
        self.near = bool(near)
        self._history = saved[6:]
