"""Entry point on the tracker."""

from coldtrail.start import start

start()
