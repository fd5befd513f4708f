"""The BG95 driver: from no supply to an AT interface that answers, and back."""

import asyncio
import time

import pytest

from drivers.bg95 import modem
from drivers.bg95.at import NoAnswer
from tests.firmware.support import on_cpython
from tests.firmware.support.bg95_module import OK, TRANSCRIPTS, Module, limited, started, story


@story
async def test_power_on() -> None:
    module = Module()
    await limited(module.modem.power_on(30_000), 10_000)
    assert [what for _, what in module.log] == ["supplied", "pressed", "released", "status high"]
    assert 500 <= module.at("released")[0] - module.at("pressed")[0] <= 1000
    assert module.reset_n.level == 0
    assert module.commands[-5:] == [
        b"ATE0",
        b"AT+CMEE=1",
        b"AT+QISDE=0",
        b'AT+QURCCFG="urcport"',
        b"AT+CPSMS?",
    ]


@story
async def test_a_sample_due_while_pwrkey_is_pressed_is_half_a_second_late_at_most() -> None:
    module = Module()
    late_ms: list[int] = []

    async def sampler() -> None:
        while True:
            looked = on_cpython.now_ms()
            await asyncio.sleep(0.25)
            late_ms.append(on_cpython.now_ms() - looked - 250)
            time.sleep_ms(250)  # type: ignore[attr-defined]

    task = asyncio.create_task(sampler())
    await module.modem.power_on(30_000)
    task.cancel()
    assert 500 <= module.at("released")[0] - module.at("pressed")[0] <= 1000
    assert max(late_ms) < 250


@story
async def test_a_modem_that_is_on_is_kept() -> None:
    module = Module(on=True)
    await limited(module.modem.power_on(30_000), 1_000)
    assert module.log == []


@story
async def test_unsolicited_codes_are_sent_to_the_uart_and_that_is_written_once() -> None:
    module = Module()
    module.answers[b'AT+QURCCFG="urcport"'] = TRANSCRIPTS["qurccfg"].exchanges[2].wire()
    module.answers[b'AT+QURCCFG="urcport","uart1"'] = OK
    await module.modem.power_on(30_000)
    assert module.commands[-2] == b'AT+QURCCFG="urcport","uart1"'


@story
async def test_a_deaf_modem_is_turned_off_by_key_and_supply_and_started_again() -> None:
    module = Module(on=True)
    module.deaf = module.stuck = True

    def hears_after_cut(level: int) -> None:
        module._switch(level)
        module.deaf = module.stuck = False

    module.supply._changed = hears_after_cut
    await limited(module.modem.power_on(30_000), 30_000)
    assert [what for _, what in module.log] == [
        "pressed",
        "released",
        "cut",
        "supplied",
        "pressed",
        "released",
        "status high",
    ]
    assert 650 <= module.at("released")[0] - module.at("pressed")[0] <= 1500


@pytest.mark.parametrize("fault", ["starts", "deaf"])
def test_a_modem_that_never_answers_ends_power_on_at_its_limit(fault: str) -> None:
    async def test() -> None:
        module = Module()
        setattr(module, fault, fault == "deaf")
        with pytest.raises(NoAnswer):
            await limited(module.modem.power_on(30_000), 33_000)
        await limited(module.modem.power_off(), modem.POWER_OFF_MS)
        assert module.supply.level == 0

    on_cpython.run(test())


@story
async def test_power_off() -> None:
    module = await started()
    module.log.clear()
    await limited(module.modem.power_off(), 4_000)
    assert module.commands == [b"AT+QPOWD"]
    assert [what for _, what in module.log] == ["status low", "cut"]
    # AT manual 1.8: at least one second after STATUS is low
    assert module.at("cut")[0] - module.at("status low")[0] >= 1000


@story
async def test_power_off_by_the_key_when_the_modem_does_not_answer() -> None:
    module = await started()
    module.deaf = True
    module.log.clear()
    await limited(module.modem.power_off(), 6_000)
    assert [what for _, what in module.log] == ["pressed", "released", "status low", "cut"]
    assert 650 <= module.at("released")[0] - module.at("pressed")[0] <= 1500


@pytest.mark.parametrize("deaf", [False, True])
def test_power_off_by_the_supply_when_nothing_else_helps(deaf: bool) -> None:
    async def test() -> None:
        module = await started()
        module.deaf, module.stuck = deaf, True
        module.log.clear()
        start = on_cpython.now_ms()
        await limited(module.modem.power_off(), modem.POWER_OFF_MS)
        assert module.log[-1][1] == "cut"
        # AT manual 1.8: after 65 s the supply is to be disconnected
        assert module.at("cut")[0] - start == pytest.approx(65_000, abs=200)

    on_cpython.run(test())


@story
async def test_power_off_of_a_modem_that_is_off() -> None:
    module = Module()
    await limited(module.modem.power_off(), 100)
    assert module.log == []
