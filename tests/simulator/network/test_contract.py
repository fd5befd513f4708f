"""What the simulator knows of the uplink contract stands in the contract."""

import re

from coldtrail_simulator.network import contract
from coldtrail_simulator.network.contract import (
    UNITS,
    Channel,
    Confirmation,
    Envelope,
    Profile,
    Rule,
)
from coldtrail_simulator.paths import FIRMWARE

CDDL = (FIRMWARE / "uplink.cddl").read_text(encoding="utf-8")
UPLINK = (FIRMWARE / "UPLINK.md").read_text(encoding="utf-8")


def body(name: str) -> str:
    """Return what stands between the brackets of a map or array, without its comments."""
    found = re.search(rf"(?ms)^{name} = (?:#6\.17\()?[\[{{]\n(.*?)^[\]}}]", CDDL)
    assert found, name
    return re.sub(r";.*", "", found[1])


def places(name: str) -> list[str]:
    """Return the names of an array's items, in order."""
    entries = re.split(r",(?![^(]*\))", body(name))
    return [entry.split(":")[0].strip() for entry in entries if entry.strip()]


def comment(name: str, key: int) -> str:
    """Return what the contract says about a key of a map."""
    found = re.search(rf"(?ms)^{name} = {{\n(.*?)^}}", CDDL)
    assert found, name
    line = re.search(rf"(?m)^  (?:\? )?{key} => (.*)$", found[1])
    assert line, (name, key)
    return line[1]


def test_the_payload_has_its_place_in_the_envelope():
    assert places("sealed").index("payload") == Envelope.PAYLOAD


def test_the_keys_of_confirmation_and_profile_mean_what_they_are_called():
    assert "watermark: " in comment("confirmation", Confirmation.WATERMARK)
    assert "ranges" in comment("confirmation", Confirmation.RANGES)
    assert comment("profile", Profile.RULES).startswith("[0*16 rule]")


def test_a_rule_has_its_items_in_these_places():
    found = places("rule")
    for place in Rule:
        assert found[place] == place.name.lower()


def test_a_lower_limit_is_one_that_is_met_below_it():
    found = re.search(r"(?m)^comparison = .*;(.*)$", CDDL)
    assert found
    signs = {int(number): sign for number, sign in re.findall(r"(\d) +([<>]=?)", found[1])}
    assert {n for n, sign in signs.items() if "<" in sign} == contract.LOWER_LIMIT
    assert {n for n, sign in signs.items() if ">" in sign} == contract.UPPER_LIMIT


def test_each_channel_has_its_number_and_unit():
    lines = re.findall(r"(?m)^([a-z-]+) = column +; channel (\d): (?:([\d.]+) )?([%\w]+)", CDDL)
    found = {
        int(number): (name, round(1 / float(step or 1)), unit)
        for name, number, step, unit in lines
    }
    assert found == {
        channel: (channel.name.lower().replace("_", "-"), *UNITS[channel]) for channel in Channel
    }


def test_the_topics_are_those_of_the_contract():
    for ending in (contract.UP, contract.CONFIRMATION, contract.COMMAND):
        assert f"`{contract.topic('<tracker id>', ending)}`" in UPLINK
