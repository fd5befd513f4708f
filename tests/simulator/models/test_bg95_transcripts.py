"""The model answers the examples of Quectel's manuals as the manuals print them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coldtrail_simulator.clock import US_PER_S
from coldtrail_simulator.models.bg95.general import Sim
from coldtrail_simulator.models.bg95.gnss import FIRST_FIX_S, Fix
from coldtrail_simulator.models.bg95.part import BG96
from coldtrail_simulator.models.bg95.radio import Cell
from tests.simulator.modem_rig import Places, Rig, Server

ROOT = Path(__file__).parents[2] / "data" / "amazon_root_ca_1.pem"
DATA = Path(__file__).parents[1] / "data" / "quectel_transcripts.toml"
TRANSCRIPTS = tomllib.loads(DATA.read_text())["transcript"]

NETWORKS = {
    "operator": Cell(technology="GSM", operator="CHN-UNICOM"),
    "signal quality": Cell(rssi=-57),
    "signal strength": Cell(rssi=-52, rsrp=-81, sinr=19, rsrq=-10),
    "network time": Cell(time_zone=32),
}
CARDS = {
    "functionality": Sim(pin="1234"),
    "errors": Sim(present=False),
    "subscriber": Sim(imsi="460023210226023"),
    "PIN": Sim(pin="1234"),
    "PUK": Sim(pin="0000", puk="26601934", tries=0),
    "card": Sim(iccid="89860025128306012474"),
}
PLACE = Fix(31 + 50.7223 / 60, 117 + 11.9293 / 60, hdop=0.7, altitude=62.2, satellites=9, mode=2)
MOMENTS = {
    "network time": lambda: SYNCED_MS + 500,
    "satellites": lambda: 1_368_253_191_000,  # 2013-05-11 06:19:51 UTC
}
SYNCED_MS = 1_484_278_848_000  # 2017-01-13 03:40:48 UTC

UNREQUESTED = re.compile(r"RDY|APP RDY|\+CEREG|\+QUSIM|\+QIND|\+CPIN: (READY|SIM)")
# What a network decides and no model can know.
ADDRESS = re.compile(r'"10\.\d+\.\d+\.\d+"')


def steps(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield what the host sends (nothing at first) with the answers that follow."""
    sent, answers = "", list[str]()
    for line in text.strip().splitlines():
        if line.startswith("> "):
            yield sent, answers
            sent, answers = line[2:], []
        else:
            answers.append(line[2:])
    yield sent, answers


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def prepared(transcript: dict[str, Any], server: Server) -> Rig:
    """Return a modem in the state in which the manual's example begins."""
    name, section = transcript["name"], transcript["section"]
    resolve = {"220.180.239.212": server.address}
    rig = Rig(
        part=BG96,
        sim=CARDS.get(name),
        world=Places((0.0, NETWORKS.get(name, Cell()))),
        resolve=resolve,
        epoch_ms=MOMENTS.get(name),
        sky=lambda _t_s: PLACE,
    )
    rig.on()
    if name in NETWORKS or "TCP" in transcript["manual"]:
        rig.registered()
    if name == "functionality":
        rig.at("AT+CMEE=1")
    if name == "clock":
        rig.modem.radio.rtc.set_text("08/01/04,00:19:43+00")
    if section >= "3.2" and "TCP" in transcript["manual"] and section != "3.9":
        rig.at("AT+QIACT=1")
        if section not in {"3.2.1", "3.4.1"}:
            rig.open("220.180.239.212", 8009, mode=int(section.startswith("3.4")))
    return rig


def send(rig: Rig, text: str) -> None:
    if text == "<file>":
        rig.modem.receive(ROOT.read_bytes())
    elif text.startswith(">"):
        rig.until("> ")
        rig.modem.receive(text[1:].replace("<ctrl+Z>", "\x1a").encode())
    else:
        rig.modem.receive(text.encode() + b"\r")


def asked_at(rig: Rig, text: str) -> None:
    """Let the moments pass that lie between the questions of the network time's example."""
    assert rig.modem.radio.network_time is not None
    elapsed = {"AT+QLTS=1": 34, "AT+QLTS=2": 35}.get(text)
    if elapsed:
        taken_us = rig.modem.radio.network_time.taken_us
        rig.clock.advance_to(taken_us + elapsed * US_PER_S)


@pytest.mark.parametrize("transcript", TRANSCRIPTS, ids=lambda t: f"{t['section']} {t['name']}")
def test_the_model_answers_as_the_manual_prints(
    transcript: dict[str, Any], server: Server
) -> None:
    rig = prepared(transcript, server)
    if transcript["name"].startswith("receive"):
        rig.modem.tcpip.sockets[0].data(b"test1" if transcript["section"] == "3.2.3" else b"test")
    for sent, expected in steps(transcript["lines"]):
        if transcript["name"] == "network time":
            asked_at(rig, sent)
        if sent == "AT+QGPSLOC?":
            rig.wait(FIRST_FIX_S[1])
        if transcript["name"].startswith("send"):
            rig.wait(2)  # what was sent has been acknowledged by then
        if sent:
            send(rig, sent)
        if expected:
            settle(rig, expected)


def settle(rig: Rig, expected: list[str]) -> None:
    """Wait until as much has come as is expected, and compare it."""
    wanted = [ADDRESS.sub('"10.x"', line) for line in expected]
    got: list[str] = []
    for _ in range(60_000):
        got = [
            ADDRESS.sub('"10.x"', line)
            for line in rig.lines()
            if line in expected or not UNREQUESTED.match(line)
        ]
        if len(got) >= len(wanted):
            break
        rig.wait(0.001)
    assert got == wanted
    rig.sent.clear()


def test_every_transcript_names_its_source() -> None:
    assert len(TRANSCRIPTS) >= 25
    for transcript in TRANSCRIPTS:
        assert transcript.keys() == {"manual", "version", "section", "name", "lines"}
        assert all(line[:2] in {"> ", "< "} for line in transcript["lines"].strip().split("\n"))
