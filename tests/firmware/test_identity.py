"""The provisioned identity: what it must have, what it may have, what is refused."""

import cbor2
import pytest

from coldtrail import identity
from coldtrail_simulator.shipment.identity import simulated

WHO = simulated(7, "identity")


def load(**options: object) -> identity.Identity:
    fields = {int(key[1:]): value for key, value in options.items()}
    return identity.load(WHO.device_file("broker.example", 8883, options=fields))


def test_without_options_everything_optional_is_off() -> None:
    found = load()
    assert found.tracker == WHO.tracker
    assert found[8:] == (0, [], None, None, None, 0, None)


def test_every_option_is_read() -> None:
    flights = [[1_800_000_000, 1_800_040_000]]
    found = load(k9=1, k10=flights, k11="0000", k12="user", k13="pass word", k14=1, k15="code")
    assert found[8:] == (1, flights, "0000", "user", "pass word", 1, "code")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (9, 2),
        (9, "1"),
        (10, [[5, 5]]),
        (10, [[1, 2, 3]]),
        (10, [[0, 1]] * 9),
        (10, [["a", "b"]]),
        (10, 1),
        (11, "123"),
        (11, "12345678 "),
        (11, 1234),
        (12, 'a"b'),
        (12, ""),
        (13, "x" * 65),
        (13, "a\rb"),
        (14, -1),
        (15, b"code"),
    ],
)
def test_what_cannot_be_is_refused_by_its_key(key: int, value: object) -> None:
    with pytest.raises(ValueError, match=f"key {key}, "):
        identity.load(WHO.device_file("broker.example", 8883, options={key: value}))


@pytest.mark.parametrize("key", range(9))
def test_what_must_be_there_is_missed(key: int) -> None:
    fields = cbor2.loads(WHO.device_file("broker.example", 8883))
    del fields[key]
    with pytest.raises(ValueError, match="incomplete"):
        identity.load(cbor2.dumps(fields, canonical=True))
