"""BG95, text: the fields of the modem's answers and commands.

text.fields(b'0,"home",-93')  # [b"0", b"home", b"-93"]
text.integer(b"-93")          # -93
"""


def fields(text):
    """Return the fields of an answer without blanks and quotes; no field may contain a comma."""
    return [field.strip().strip(b'"') for field in text.split(b",")]


def integer(field):
    """Return the number in ``field``; None when it is not a number."""
    digits = field[1:] if field.startswith(b"-") else field
    return int(field) if digits.isdigit() and len(digits) < 10 else None


def is_plain(name):
    """Return whether ``name`` can stand between quotes in a command."""
    return all(char < "{" and (char.isalpha() or char.isdigit() or char in ".-_") for char in name)
