"""The BG95 driver: card, network, data connection."""

from typing import Any

import pytest

from drivers.bg95.at import (
    CommandError,
    ModemError,
    NoAnswer,
    NoNetwork,
)
from tests.firmware.support import on_cpython
from tests.firmware.support.bg95_module import OK, information, limited, line, started, story


@story
async def test_register() -> None:
    module = await started()
    await limited(module.modem.register("CMNBIOT", 180_000), 1_000)
    assert module.commands == [
        b"AT+CFUN?",
        b"AT+CPIN?",
        b'AT+QCFG="nwscanseq"',
        b'AT+QCFG="nwscanmode"',
        b'AT+QCFG="iotopmode"',
        b"AT+COPS?",
        b"AT+QICSGP=1",
        b'AT+QICSGP=1,1,"CMNBIOT","","",0',
        b"AT+CEREG?",
        b"AT+CEDRXRDP",
        b"AT+QIACT=1",
    ]


@story
async def test_what_the_modem_keeps_is_not_written_again() -> None:
    module = await started()
    module.answers[b"AT+QICSGP=1"] = information(b'+QICSGP: 1,"CMNBIOT","","",0')
    await module.modem.register("CMNBIOT", 180_000)
    assert b'AT+QICSGP=1,1,"CMNBIOT","","",0' not in module.commands


@story
async def test_registration_takes_time_and_roaming_counts() -> None:
    module = await started()
    module.answers[b"AT+CFUN?"] = information(b"+CFUN: 4")
    module.answers[b"AT+CFUN=1"] = OK
    module.answers[b"AT+CPIN?"] = [line(b"+CME ERROR: 14"), information(b"+CPIN: READY")]
    module.answers[b"AT+CEREG?"] = [
        information(b"+CEREG: 0,0"),
        information(b"+CEREG: 0,2"),
        # an unsolicited code of AT+CEREG=2 in between
        line(b'+CEREG: 2,"D509","80D413D",8') + information(b"+CEREG: 2,2"),
        information(b"+CEREG: 0,3"),
        information(b"+CEREG: 0,4"),
        information(b'+CEREG: 2,5,"D509","80D413D",8'),
    ]
    await limited(module.modem.register("CMNBIOT", 180_000), 8_000)
    assert b"AT+CFUN=1" in module.commands


@pytest.mark.parametrize(
    ("answers", "error", "text", "most_ms"),
    [
        ({b"AT+CPIN?": line(b"+CME ERROR: 10")}, NoNetwork, "not inserted", 22_000),
        ({b"AT+CPIN?": line(b"+CME ERROR: 13")}, NoNetwork, "failure", 22_000),
        ({b"AT+CPIN?": information(b"+CPIN: SIM PIN")}, NoNetwork, "SIM PIN", 100),
        ({b"AT+CPIN?": information(b"+CPIN: SIM PUK")}, NoNetwork, "SIM PUK", 100),
        ({b"AT+CEREG?": information(b"+CEREG: 0,3")}, NoNetwork, "denies", 35_000),
        ({b"AT+CEREG?": information(b"+CEREG: 0,2")}, NoNetwork, "no network", 62_000),
        ({b"AT+CEREG?": information(b"+CEREG: nonsense")}, NoNetwork, "no network", 62_000),
        ({b"AT+QIACT=1": b"\r\nERROR\r\n"}, CommandError, "QIACT", 1_000),
        ({b"AT+QIACT=1": None}, NoAnswer, "QIACT", 62_000),
        ({b'AT+QICSGP=1,1,"CMNBIOT","","",0': b"\r\nERROR\r\n"}, CommandError, "CGDCONT", 1_000),
    ],
)
def test_registration_fails_with_a_reason(
    answers: dict[bytes, Any], error: type[Exception], text: str, most_ms: int
) -> None:
    async def test() -> None:
        module = await started()
        module.answers.update(answers)
        with pytest.raises(error) as caught:
            await limited(module.modem.register("CMNBIOT", 60_000), most_ms)
        assert isinstance(caught.value, ModemError)
        assert text in str(caught.value)

    on_cpython.run(test())


@story
async def test_a_context_that_is_still_active_is_made_anew() -> None:
    module = await started()
    module.answers[b"AT+QIACT=1"] = [b"\r\nERROR\r\n", OK]
    await module.modem.register("CMNBIOT", 180_000)
    assert module.commands[-3:] == [b"AT+QIACT=1", b"AT+QIDEACT=1", b"AT+QIACT=1"]


@pytest.mark.parametrize("name", ["", 'a"', "a\r", "a,b", "ä", "x" * 300])
def test_what_would_break_a_command_is_refused(name: str) -> None:
    async def test() -> None:
        module = await started()
        for call in (module.modem.register(name, 1000), module.modem.connect(name, 1, 1000)):
            with pytest.raises(ValueError, match="is an? |APN|host"):
                await call
        assert not any(name.encode() in command for command in module.commands if name)

    on_cpython.run(test())
