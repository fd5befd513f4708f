"""Time to breach: when a slowly drifting reading will cross a threshold, if it goes on like this.

The window of a trend rule is kept as the means of 16 equal buckets of time, so memory does not
depend on the sampling interval, and noise and quantisation are averaged out before a slope is
taken. The slope is the median over all pairs of buckets (Theil 1950, Sen 1968), taken over the
whole window and over its recent half; the smaller one counts. A step, such as an opened box leaves
behind, tilts the first only while it lies 6 to 10 buckets back, and the second only while it lies
3 to 5 buckets back: it never tilts both, and a rise that has ended tilts the second no more.
"""

from micropython import const

BUCKETS = const(16)
_ENOUGH = const(12)  # buckets with a reading, below which nothing is concluded
_RECENT_ENOUGH = const(6)  # the same for the recent half
_STABLE = const(3)  # evaluations in a row that must agree before the verdict changes
_SCALE = const(256)  # slopes are in 1/256 unit a bucket: 0.01 degC in half an hour is 256


def time_to_breach(history, width, threshold, rising):
    """Return the seconds until the trend of `history` meets `threshold`, None when it never does.

    `history` holds one integer, or None, for each bucket of `width` seconds, oldest first, in the
    unit of `threshold`; "now" is the end of the last one. `rising`: a breach lies above the
    threshold, else below. The result is 0 when the trend has already met it and still moves away.
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
    # The height of the line at the middle of bucket 0, then at the end of the last one.
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

    near: True while the breach is expected within the notice, by 3 evaluations in a row (one is
    made whenever a bucket closes); it takes 3 that say otherwise to withdraw it.
    seconds: time to breach at the latest evaluation, None when no breach is in sight.
    """

    def __init__(self, threshold, rising, notice, window):
        self._threshold = threshold
        self._rising = rising
        self._notice = notice
        self._width = window // BUCKETS
        self.near = False
        self.restart()

    def restart(self):
        """Forget the history, because times before and after are not comparable."""
        self.seconds = None
        self._zero = 0  # of this boot's times, in those that the buckets count
        self._streak = 0
        self._bucket = 0
        self._sum = 0
        self._count = 0
        self._history: list = [None] * BUCKETS

    def shift(self, seconds):
        """Take times that count from ``seconds`` later on, as a boot's do."""
        self._zero += seconds

    def withdraw(self):
        """Take the verdict back; the history stays."""
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
        """Take over what save() returned."""
        near, self._zero, self._streak, self._bucket, self._sum, self._count = saved[:6]
        self.near = bool(near)
        self._history = saved[6:]
