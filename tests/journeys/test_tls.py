"""TLS from end to end: the tracker's modem, a mosquitto that wants certificates, the gateway."""

import re
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from coldtrail_simulator.models.bg95.part import BG96
from coldtrail_simulator.network.contract import PREFIX
from coldtrail_simulator.services.mosquitto import Broker
from coldtrail_simulator.shipment import packing
from tests.support.host import until
from tests.support.references.mqtt_peer import Peer
from tests.support.trackers.journeys import evidence, travel
from tests.support.trackers.sessions import WHO, CallingTracker, Cell, Site

MODEM = 6
UNDATED, DATE, HOST, AUTHORITY, REFUSED = range(2, 7)
FAULT = 13
NEVER = "2022-01-01"
"""From which on a certificate has expired when the sessions begin."""


def issue(folder: Path, *options: str) -> Path:
    """Make an authority, or certificates by it, with the command for it."""
    argv = [sys.executable, "-m", "coldtrail_boards", "provision", "ca", str(folder), *options]
    subprocess.run(argv, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One with certificates for the broker and the tracker."""
    folder = tmp_path_factory.mktemp("tls") / "authority"
    packing.certify(folder, WHO.tracker, Site.START)
    return folder


@pytest.fixture
def work(authority: Path, tmp_path: Path) -> Path:
    """A site's folder with that authority in it."""
    shutil.copytree(authority, tmp_path / "authority")
    return tmp_path


def test_a_shipment_whose_broker_wants_certificates(tmp_path: Path) -> None:
    done = travel("tls", 3, tmp_path / "out")
    held = evidence(done)
    comparison = held.comparison()
    assert comparison.complete, comparison
    assert held.chain_ok, held.verdict
    assert all(done.confirms(int(row["block"])) for row in held.rows)
    # The gateway, too, comes with a certificate of the same authority.
    said = (tmp_path / "out" / "gateway.log").read_text()
    assert re.search(r"broker mqtts://127\.0\.0\.1:\d+: connected", said)
    commands = [note["command"] for note in done.of("at")]
    assert not [command for command in commands if command.startswith("AT+QIOPEN")]
    # Certificates and key are uploaded once, and opened with the host's name and dates judged.
    assert sum(command.startswith("AT+QFUPL") for command in commands) == 3
    opened = sum(command.startswith("AT+QSSLOPEN") for command in commands)
    for setting in ('"seclevel",0,2', '"checkhost",0,1', '"sni",0,1', '"ignorelocaltime",0,0'):
        assert commands.count(f"AT+QSSLCFG={setting}") == opened > 2


# ---- what the tracker refuses ----


def refused(site: Site, **options: object) -> CallingTracker:
    """Let a tracker call until it sleeps; what it said before TLS stood must be nothing."""
    tracker = CallingTracker(site, **options)  # type: ignore[arg-type]
    tracker.power_on()
    assert tracker.until(lambda: tracker.asleep, 600)
    assert not site.keeper.kept
    assert not tracker.notes("mqtt-up")
    return tracker


def reasons(tracker: CallingTracker) -> list[tuple[int, int]]:
    """Return (code, on) of the modem's faults in the log."""
    return [(code, on) for _, _, subject, code, on in tracker.records(FAULT) if subject == MODEM]


@pytest.mark.parametrize(
    ("made", "code", "words"),
    [
        (("--broker", packing.BROKER_NAME, "--from", NEVER), DATE, "is not valid at this time"),
        (("--broker", "elsewhere.example"), HOST, "is for another host"),
    ],
    ids=["expired", "wrong host"],
)
def test_a_broker_with_a_wrong_certificate_is_refused_until_it_has_a_right_one(
    work: Path, tmp_path: Path, made: tuple[str, ...], code: int, words: str
) -> None:
    right = [(work / "authority" / f"broker.{kind}") for kind in ("pem", "key")]
    kept = [path.rename(path.with_suffix(path.suffix + ".right")) for path in right]
    issue(work / "authority", *made)
    with Site(tmp_path) as site, refused(site) as tracker:
        assert f"uplink: OSError refused: the broker's certificate {words}" in tracker.console.text
        assert reasons(tracker) == [(code, 1)]
        for path, original in zip(right, kept, strict=True):
            path.unlink()
            original.rename(path)
        site.kill_broker()
        site.restart()
        assert tracker.until(lambda: tracker.asleep and bool(site.keeper.kept), 4000)
        assert reasons(tracker) == [(code, 1), (code, 0)]


def test_a_broker_of_another_authority_is_refused(work: Path, tmp_path: Path) -> None:
    other = issue(tmp_path / "other", "--tracker", WHO.tracker)
    with Site(tmp_path, trusted=other) as site, refused(site) as tracker:
        words = "refused: the broker's certificate is not from our CA"
        assert words in tracker.console.text
        assert reasons(tracker) == [(AUTHORITY, 1)]


def test_a_broker_that_refuses_the_trackers_certificate(work: Path, tmp_path: Path) -> None:
    other = issue(tmp_path / "other", "--tracker", WHO.tracker)
    for name in ("client.pem", "client.key"):
        shutil.copy(other / name, work / "authority" / name)
    with Site(tmp_path) as site, refused(site) as tracker:
        assert "refused: the broker refuses our certificate" in tracker.console.text
        assert reasons(tracker) == [(REFUSED, 1)]


def test_dates_are_not_judged_before_there_is_a_time_and_that_is_recorded(
    work: Path, tmp_path: Path
) -> None:
    with Site(tmp_path) as site, CallingTracker(site) as tracker:
        tracker.places.cell = Cell(nitz=False)
        tracker.power_on()
        assert tracker.until(lambda: tracker.asleep and bool(site.keeper.kept), 600)
        assert reasons(tracker) == [(UNDATED, 1)]
        assert 'AT+QSSLCFG="ignorelocaltime",0,1' in [n["command"] for n in tracker.notes("at")]
        # The gateway has told the time: from the next session on they are.
        kept = len(site.keeper.kept)
        assert tracker.until(lambda: tracker.asleep and len(site.keeper.kept) > kept, 4000)
        assert reasons(tracker) == [(UNDATED, 1), (UNDATED, 0)]
        commands = [note["command"] for note in tracker.notes("at")]
        assert commands.count('AT+QSSLCFG="ignorelocaltime",0,0') == 1
        assert sum(command.startswith("AT+CCLK=") for command in commands) == 1


def test_a_bg96_that_knows_neither_names_nor_sni_calls_all_the_same(
    work: Path, tmp_path: Path
) -> None:
    with Site(tmp_path) as site, CallingTracker(site, modem={"part": BG96}) as tracker:
        tracker.power_on()
        assert tracker.until(lambda: tracker.asleep and bool(site.keeper.kept), 600)
        assert "does not hold a certificate against the host's name" in tracker.console.text


# ---- what the broker refuses ----


@pytest.fixture
def broker(work: Path) -> Iterator[Broker]:
    found = Broker(work, work / "authority")
    found.start()
    yield found
    found.stop()


def client(
    broker: Broker, authority: Path, certificate: tuple[Path, Path] | None, number: int = 99
) -> paho.Client:
    """Return a client of the broker's secure port."""
    found = paho.Client(CallbackAPIVersion.VERSION2, client_id=f"{WHO.tracker}-{number}")
    chain, key = (str(each) for each in certificate) if certificate else (None, None)
    found.tls_set(str(authority / "ca.pem"), chain, key)
    found.tls_insecure_set(True)  # it is reached by its address
    found.connect(broker.host, broker.secure_port)
    return found


def test_a_tracker_has_its_own_topics_and_no_other(broker: Broker, work: Path) -> None:
    folder = work / "authority"
    everybody = Peer(broker.port, "#")
    tracker = client(broker, folder, (folder / "client.pem", folder / "client.key"))
    heard: list[str] = []
    subscribed: list[int] = []
    tracker.on_message = lambda _client, _data, message: heard.append(message.topic)
    tracker.on_subscribe = lambda *_: subscribed.append(1)
    tracker.loop_start()
    until(tracker.is_connected)
    own, other = f"{PREFIX}{WHO.tracker}/", f"{PREFIX}SIM-000002/"
    tracker.subscribe("#", 1)
    until(lambda: bool(subscribed))
    down = [f"{own}confirmation", f"{own}command"]
    forbidden = [*down, f"{other}up", f"{other}confirmation", f"{own}down", "anything"]
    for number, topic in enumerate((*forbidden, f"{own}up")):
        # Each on a connection of its own: the broker may end one for what it tries.
        writer = client(broker, folder, (folder / "client.pem", folder / "client.key"), number)
        writer.loop_start()
        until(writer.is_connected)
        writer.publish(topic, b"of the tracker", 1).wait_for_publish()
        writer.disconnect()
        writer.loop_stop()
    for topic in (f"{other}command", f"{own}up", f"{PREFIX}gateway/main", *down):
        everybody.publish(topic, b"of somebody else")
    until(lambda: len(heard) >= 2 and len(everybody.received) >= 6)
    assert heard == down
    sent = [topic for topic, payload in everybody.received if payload == b"of the tracker"]
    assert sent == [f"{own}up"]
    tracker.disconnect()
    tracker.loop_stop()
    everybody.close()


@pytest.mark.parametrize("whose", ["nobody's", "another authority's"])
def test_nobody_without_a_certificate_of_the_authority(
    broker: Broker, work: Path, tmp_path: Path, whose: str
) -> None:
    pair = None
    if whose != "nobody's":
        other = issue(tmp_path / "other", "--tracker", WHO.tracker)
        pair = other / "client.pem", other / "client.key"
    with pytest.raises((ssl.SSLError, ConnectionError)):
        connect(broker, work / "authority", pair)


def connect(broker: Broker, authority: Path, pair: tuple[Path, Path] | None) -> None:
    """Connect and wait for an answer; ConnectionError or SSLError where there is none."""
    found = client(broker, authority, pair)
    accepted: list[object] = []
    found.on_connect = lambda *_: accepted.append(1)
    # With TLS 1.3 the refusal comes when the handshake has ended on this side.
    while not accepted:
        if found.loop(0.1) != paho.MQTT_ERR_SUCCESS:
            raise ConnectionError
