"""The tracker accepts and refuses what the contract, firmware/provisioning.toml, says."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import cbor2
import pytest

from coldtrail import identity
from coldtrail_simulator.services import tools
from drivers.bg95 import setup
from tests.support.provisioning import CASES, TABLE, values

FIRMWARE = Path(identity.__file__).parents[1]
IDENTITY = {entry["key"]: values(name, "good")[0] for name, entry in TABLE.items()}
CHECK = """
import sys
from coldtrail import identity
for line in sys.stdin:
    try:
        identity.load(bytes.fromhex(line.strip()))
        print("taken")
    except ValueError as error:
        print(error)
"""


def written(name: str, value: Any) -> bytes:
    return cbor2.dumps(IDENTITY | {TABLE[name]["key"]: value}, canonical=True)


def refusal(name: str) -> str:
    if name == "version":
        return "identity.cbor is of another version: provision again"
    key = TABLE[name]["key"]
    return f"identity.cbor, key {key}, is not as it may be: provision again"


@pytest.mark.parametrize(("name", "value", "good"), CASES)
def test_each_value_is_taken_or_refused(name: str, value: Any, good: bool) -> None:
    if good:
        assert value in identity.load(written(name, value)) or name == "version"
    else:
        with pytest.raises(ValueError, match=f"^{refusal(name)}$"):
            identity.load(written(name, value))


@pytest.mark.parametrize("find", [tools.micropython, tools.micropython32])
def test_micropython_sorts_them_alike(find: Any) -> None:
    cases = [case.values for case in CASES]
    lines = [written(str(name), value).hex() for name, value, _ in cases]
    done = subprocess.run(
        [*find(), "-c", CHECK], input="\n".join(lines), capture_output=True, text=True,
        check=True, env=os.environ | {"MICROPYPATH": str(FIRMWARE)},
    )  # fmt: skip
    wanted = ["taken" if good else refusal(str(name)) for name, _, good in cases]
    assert done.stdout.splitlines() == wanted


@pytest.mark.parametrize("name", ["host", "apn"])
def test_the_modem_s_driver_takes_every_good_one(name: str) -> None:
    longest = {"host": 255, "apn": 100}[name]
    assert [v for v in values(name, "good") if not setup.is_plain(v) or len(v) > longest] == []
