"""What a field of the contract may hold (firmware/uplink.cddl).

An integer: (smallest, largest), with a third item None also null. Text, bytes or an array: (type,
shortest, longest), lengths of the first two in bytes; for an array also what the items of each of
its items may hold.
"""

NUMBER = (1, 4294967295)  # of a block


def check(name, value, allowed):
    """Raise ValueError unless `value` is what `allowed` says, in the notation of this module."""
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
        # To CPython, True is an integer too.
        fits = isinstance(value, int) and not isinstance(value, bool)
        fits = fits and kind <= value <= allowed[1]
    if not fits:
        raise ValueError("%s: %r is not in %r" % (name, value, allowed))


def check_all(name, values, allowed):
    """`check` every one of an array of values, all of which must be there."""
    if not isinstance(values, (list, tuple)) or len(values) != len(allowed):
        raise ValueError("%s: not an array of %d" % (name, len(allowed)))
    for i in range(len(allowed)):
        check(name, values[i], allowed[i])
