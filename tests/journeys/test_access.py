"""What a card and an access point may want: a PIN, a user name and its password."""

from pathlib import Path

import pytest

from coldtrail_simulator.models.bg95.general import Sim
from tests.support.trackers.sessions import WHO, CallingTracker, Site

PIN, USER, PASSWORD = 11, 12, 13


def call(site: Site, options: dict[int, object], sim: Sim) -> CallingTracker:
    """Let a tracker with these identity fields call until it sleeps."""
    identity = WHO.device_file("broker.example", 1883, options=options)
    (site.volume / "identity.cbor").write_bytes(identity)
    tracker = CallingTracker(site, modem={"sim": sim})
    tracker.power_on()
    assert tracker.until(lambda: tracker.asleep, 600)
    return tracker


def test_the_pin_is_entered_once_and_the_access_point_gets_name_and_password(
    tmp_path: Path,
) -> None:
    options: dict[int, object] = {PIN: "4711", USER: "fleet", PASSWORD: "cold chain"}
    with Site(tmp_path, tls=False) as site, call(site, options, Sim(pin="4711")) as tracker:
        assert site.keeper.kept
        commands = [note["command"] for note in tracker.notes("at")]
        assert sum(command.startswith("AT+CPIN=") for command in commands) == 1
        assert 'AT+QICSGP=1,1,"iot.example","fleet","cold chain",3' in commands
    assert "4711" not in tracker.console.text
    assert "cold chain" not in tracker.console.text


@pytest.mark.parametrize("tries", [3, 2])
def test_a_wrong_pin_never_blocks_a_card(tmp_path: Path, tries: int) -> None:
    sim = Sim(pin="1234", tries=tries)
    with Site(tmp_path, tls=False) as site, call(site, {PIN: "4711"}, sim) as tracker:
        tracker.wait(6 * 3600)
        assert not site.keeper.kept
        assert sim.tries == 2
        assert "refuses the PIN" in tracker.console.text or tries == 2
