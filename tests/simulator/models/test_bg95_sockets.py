"""Contexts and sockets at the AT interface, over real TCP and through loss of coverage."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from coldtrail_simulator.models.bg95.radio import Cell
from tests.simulator.modem_rig import Places, Rig, Server

HOST = "broker.example"


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def rig_for(server: Server, *legs: tuple[float, Cell | None]) -> Rig:
    return Rig(resolve={HOST: server.address}, world=Places(*legs) if legs else None).active()


def test_without_a_context_nothing_opens(server: Server) -> None:
    rig = Rig(resolve={HOST: server.address}).on().registered()
    assert rig.at(f'AT+QIOPEN=1,0,"TCP","{HOST}",1883,0,0') == ["OK", "+QIOPEN: 0,561"]


def test_without_registration_no_context() -> None:
    rig = Rig(world=Places((0.0, None))).on()
    assert rig.at("AT+QIACT=1") == ["ERROR"]
    assert rig.at("AT+QIGETERROR")[0] == "+QIGETERROR: 561, open PDP context failed"


def test_a_context_is_activated_once(server: Server) -> None:
    rig = rig_for(server)
    assert rig.at("AT+QIACT=1") == ["ERROR"]
    assert rig.at("AT+QIACT?")[0].startswith('+QIACT: 1,1,1,"10.')
    assert rig.at("AT+QIDEACT=1") == ["OK"]
    assert rig.at("AT+QIACT?") == ["OK"]
    assert rig.at("AT+QIACT=1") == ["OK"]


@pytest.mark.parametrize(("host", "error"), [("nosuch.example", 565), ("192.0.2.1", 566)])
def test_a_host_that_is_not_there(server: Server, host: str, error: int) -> None:
    rig = rig_for(server)
    assert rig.at(f'AT+QIOPEN=1,3,"TCP","{host}",1883,0,0') == ["OK"]
    assert rig.until("+QIOPEN") == [f"+QIOPEN: 3,{error}"]
    assert rig.at("AT+QISTATE?") == ["OK"]


def test_nobody_listens() -> None:
    server = Server()
    server.close()
    rig = rig_for(server)
    assert rig.at(f'AT+QIOPEN=1,0,"TCP","{HOST}",1883,0,0') == ["OK"]
    assert rig.until("+QIOPEN") == ["+QIOPEN: 0,566"]


def test_a_number_in_use_is_refused_and_twelve_fit(server: Server) -> None:
    rig = rig_for(server)
    for number in range(12):
        assert rig.at(f'AT+QIOPEN=1,{number},"TCP","{HOST}",1883,0,0') == ["OK"]
        assert rig.until("+QIOPEN") == [f"+QIOPEN: {number},0"]
    assert rig.at(f'AT+QIOPEN=1,4,"TCP","{HOST}",1883,0,0') == ["OK", "+QIOPEN: 4,563"]
    assert rig.at(f'AT+QIOPEN=1,12,"TCP","{HOST}",1883,0,0') == ["ERROR"]
    states = rig.at("AT+QISTATE?")
    assert len(states) == 13
    assert states[0].startswith(f'+QISTATE: 0,"TCP","{HOST}",1883,')
    assert states[0].endswith(',2,1,0,0,"uart1"')


def test_every_byte_value_arrives_at_the_other_end(server: Server) -> None:
    rig = rig_for(server).open(HOST)
    data = bytes(range(256)) * 5 + b"\r\nOK\r\nAT+QPOWD\r\x1a\x1b> "
    # Taken for MQTT this is one packet that is never complete.
    data = b"\x30\xff\xff\xff\x7f" + data
    assert rig.write(data) == ["SEND OK"]
    assert rig.at("AT+QISEND=0,0")[0].startswith(f"+QISEND: {len(data)},")
    rig.wait(2)
    assert rig.at("AT+QISEND=0,0")[0] == f"+QISEND: {len(data)},{len(data)},0"


def test_1460_bytes_a_send_and_no_more(server: Server) -> None:
    rig = rig_for(server).open(HOST)
    assert rig.at("AT+QISEND=0,1461") == ["ERROR"]
    assert rig.write(b"\x30\xff\xff\xff\x7f" + bytes(1455)) == ["SEND OK"]
    assert rig.at("AT+QISEND=1,10") == ["ERROR"]


def test_escape_cancels_a_send_of_variable_length(server: Server) -> None:
    rig = rig_for(server).open(HOST)
    rig.modem.receive(b"AT+QISEND=0\r")
    rig.until("> ")
    rig.modem.receive(b"abc\x1b")
    assert rig.until("OK") == ["OK"]
    assert rig.at("AT+QISEND=0,0")[0] == "+QISEND: 0,0,0"


def test_data_is_reported_once_until_all_is_read(server: Server) -> None:
    rig = rig_for(server).open(HOST)
    socket = rig.modem.tcpip.sockets[0]
    big = bytes(range(256)) * 8
    socket.data(big[:1000])
    socket.data(big[1000:])
    assert rig.lines() == ['+QIURC: "recv",0']
    rig.sent.clear()
    assert rig.take() == big[:1500]
    socket.data(b"more")
    assert rig.output == b""
    assert rig.take() == big[1500:] + b"more"
    assert rig.take() == b""
    socket.data(b"again")
    assert rig.lines() == ['+QIURC: "recv",0']
    rig.sent.clear()
    assert rig.at("AT+QIRD=0,0")[0] == f"+QIRD: {len(big) + 9},{len(big) + 4},5"


def test_direct_push_brings_the_data_itself(server: Server) -> None:
    rig = rig_for(server).open(HOST, mode=1)
    rig.modem.tcpip.sockets[0].data(b"a\r\nOK\r\nb")
    assert rig.output == b'\r\n+QIURC: "recv",0,8\r\na\r\nOK\r\nb\r\n'


def test_nothing_comes_between_prompt_and_data(server: Server) -> None:
    rig = rig_for(server).open(HOST)
    rig.modem.receive(b"AT+QISEND=0,4\r")
    rig.until("> ")
    rig.modem.tcpip.sockets[0].data(b"x")
    rig.wait(5)
    assert rig.output == b""
    rig.modem.receive(b"\x30\xff\xff\xff")
    assert rig.until("SEND OK") == ['+QIURC: "recv",0', "SEND OK"]


def test_a_connection_closed_by_the_other_end_keeps_what_came(server: Server) -> None:
    rig = rig_for(server).open(HOST)
    rig.modem.tcpip.sockets[0].data(b"last")
    rig.network.broker_down()
    assert rig.until('+QIURC: "closed"')[-1] == '+QIURC: "closed",0'
    assert rig.take() == b"last"
    assert rig.at("AT+QISEND=0,4") == ["ERROR"]
    assert rig.at("AT+QISTATE=1,0")[0].split(",")[5] == "4"
    assert rig.at(f'AT+QIOPEN=1,0,"TCP","{HOST}",1883,0,0') == ["OK", "+QIOPEN: 0,563"]
    assert rig.at("AT+QICLOSE=0") == ["OK"]
    rig.open(HOST)


def test_a_short_gap_in_coverage_only_delays(server: Server) -> None:
    rig = rig_for(server, (0.0, Cell()), (60.0, None), (90.0, Cell())).open(HOST)
    rig.wait(61 - rig.clock.now_us / 1e6)
    assert rig.write(b"\x30\xff\xff\xff\x7fabc") == ["SEND OK"]
    rig.wait(20)
    assert rig.at("AT+QISEND=0,0")[0] == "+QISEND: 8,0,8"
    rig.wait(25)
    assert rig.at("AT+QISEND=0,0")[0] == "+QISEND: 8,8,0"
    assert "closed" not in rig.output.decode()


def test_without_coverage_a_socket_is_half_open_fills_and_ends(server: Server) -> None:
    rig = rig_for(server, (0.0, Cell()), (60.0, None)).open(HOST)
    rig.wait(61 - rig.clock.now_us / 1e6)
    rig.at("AT+CEREG=1")
    answers = [rig.write(b"\x30\xff\xff\xff\x7f" + bytes(1455))[-1] for _ in range(9)]
    assert answers == ["SEND OK"] * 8 + ["SEND FAIL"]
    rig.wait(300)
    lines = rig.lines()
    assert "+CEREG: 2" in lines
    ends = [line for line in lines if "closed" in line or "pdpdeact" in line]
    assert ends
    assert not server.taken


def test_an_idle_socket_without_coverage_dies_with_its_context(server: Server) -> None:
    rig = rig_for(server, (0.0, Cell()), (60.0, None), (400.0, Cell())).open(HOST)
    rig.until('+QIURC: "pdpdeact",1', limit_s=320)
    assert rig.at("AT+QIACT?") == ["OK"]
    assert rig.at("AT+QISEND=0,4") == ["ERROR"]
    rig.wait(130)
    rig.registered()
    # The manual: AT+QIDEACT has to come first.
    assert rig.at("AT+QIACT=1") == ["ERROR"]
    assert rig.at("AT+QIDEACT=1") == ["OK"]
    assert rig.at("AT+QIACT=1") == ["OK"]
    rig.open(HOST)


def test_opening_without_coverage_fails_in_the_end(server: Server) -> None:
    rig = rig_for(server, (0.0, Cell()), (60.0, None))
    rig.wait(61 - rig.clock.now_us / 1e6)
    assert rig.at(f'AT+QIOPEN=1,0,"TCP","{HOST}",1883,0,0') == ["OK"]
    lines = rig.until("+QIOPEN", limit_s=150)
    assert lines[-1] == "+QIOPEN: 0,566"
    assert rig.network.counts.connections == 0


def test_switching_off_closes_the_connections(server: Server) -> None:
    rig = rig_for(server).open(HOST)
    rig.at("AT+QPOWD=1")
    rig.until("POWERED DOWN")
    rig.wait(5)
    assert not rig.network.freeze()  # there is no connection any more
