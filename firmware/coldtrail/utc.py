"""Unix seconds as text and back; the epochs of MicroPython's own functions differ by port."""


def text(unix):
    """Return Unix seconds as text, such as 2027-01-31T12:00:00Z."""
    days, rest = unix // 86400, unix % 86400
    # Days since 1 March of year 0: the leap day comes last.
    era = days + 719468
    year = (era * 4 + 3) // 146097
    left = era - 146097 * year // 4
    of_year = (left * 4 + 3) // 1461
    left -= 1461 * of_year // 4
    month = (left * 5 + 2) // 153
    left -= (153 * month + 2) // 5
    year = year * 100 + of_year + (1 if month > 9 else 0)
    month += 3 if month < 10 else -9
    return "%04d-%02d-%02dT%02d:%02d:%02dZ" % (
        year, month, left + 1, rest // 3600, rest // 60 % 60, rest % 60,
    )  # fmt: skip


def day(date):
    """Return the Unix second at which a day such as 2027-01-31 begins; ValueError for others."""
    parts = date.split("-")
    if len(date) != 10 or len(parts) != 3 or not all(part.isdigit() for part in parts):
        raise ValueError("'%s' is not a date such as 2027-01-31" % date)
    year, month, of_month = [int(part) for part in parts]
    if not (2020 <= year < 2100 and 1 <= month <= 12 and 1 <= of_month <= 31):
        raise ValueError("'%s' is not a date such as 2027-01-31" % date)
    if month < 3:
        year -= 1
        month += 12
    days = 365 * year + year // 4 - year // 100 + year // 400 + (153 * month - 457) // 5 + of_month
    return (days - 719469) * 86400


def moment(words):
    """Return (Unix second, ms) of a text such as 2027-01-31T12:00:00.250Z; ValueError for others.

    The milliseconds may be left out.
    """
    date, _, time = words.partition("T")
    clock, _, part = time[:-1].partition(".")
    digits = clock.split(":")
    if (
        time[-1:] != "Z"
        or len(clock) != 8
        or len(digits) != 3
        or not all(two.isdigit() and len(two) == 2 for two in digits)
        or len(part) not in (0, 3)
        or (part and not part.isdigit())
    ):
        raise ValueError("'%s' is not a time such as 2027-01-31T12:00:00.250Z" % words)
    hour, minute, second = [int(two) for two in digits]
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError("'%s' is not a time of day" % words)
    return day(date) + hour * 3600 + minute * 60 + second, int(part or "0")
