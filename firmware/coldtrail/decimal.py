"""Integers shown as the decimal numbers that they stand for."""


def decimal(value, places):
    """Return an integer in units of 10 ** -``places`` as a decimal number."""
    if not places:
        return str(value)
    one = 10**places
    sign = "-" if value < 0 else ""
    return "%s%d.%0*d" % (sign, abs(value) // one, places, abs(value) % one)
