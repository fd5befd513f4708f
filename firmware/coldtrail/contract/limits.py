"""Limits of the contract's fields, as a notation and its check (firmware/uplink.cddl).

An integer: (smallest, largest), or (smallest, largest, None) when null is allowed. Text, bytes or
an array: (type, shortest, longest), where the length of text and bytes is in bytes. For an array,
a fourth element gives the limits of the fields in each of its items.
"""

NUMBER = (1, 4294967295)  # of a block


def check(name, value, allowed):
    """Raise ValueError unless `value` is within `allowed`, in the notation of this module."""
    kind = allowed[0]
    if not isinstance(kind, int):
        fits = isinstance(value, kind)
        if fits:
            size = len(value.encode() if kind is str else value)
            fits = allowed[1] <= size <= allowed[2]
        if fits and len(allowed) > 3:
            for item in value:
                check_all(name, item, allowed[3])
    elif value is None:
        fits = allowed[-1] is None
    else:
        # In CPython, bool is a subclass of int.
        fits = isinstance(value, int) and not isinstance(value, bool)
        fits = fits and kind <= value <= allowed[1]
    if not fits:
        raise ValueError("%s: %r is not in %r" % (name, value, allowed))


def check_all(name, values, allowed):
    """`check` each value of an array, which must have exactly these fields. Raises ValueError."""
    if not isinstance(values, (list, tuple)) or len(values) != len(allowed):
        raise ValueError("%s: not an array of %d" % (name, len(allowed)))
    for i in range(len(allowed)):
        check(name, values[i], allowed[i])
