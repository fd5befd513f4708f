"""A slice of what `python -m tests.torture.exchanges` runs: each exchange and each fault once."""

from pathlib import Path

from tests.support.trackers.sessions import site
from tests.torture import exchanges


def test_every_exchange_and_every_fault_ends_confirmed_or_asleep(tmp_path: Path) -> None:
    with site(tmp_path) as place:
        commands = exchanges.session(place)
        # Of a whole session: power-on to power-off, with certificates, TLS and MQTT.
        assert commands[0] == "AT+CMEE?"
        assert commands[-1] == "AT+QPOWD"
        for part in ("CPIN?", "CEREG?", "QIACT", "QLTS", "QFUPL", "QSSLCFG", "QSSLOPEN"):
            assert any(command.startswith(f"AT+{part}") for command in commands), part
        cases = exchanges.slice_of(len(commands))
        assert {case.exchange for case in cases} == set(range(1, len(commands) + 1))
        assert {case.fault for case in cases} == set(exchanges.FAULTS)
        outcomes = [exchanges.run(place, case) for case in cases]
    table = list(exchanges.table(outcomes))
    print("\n".join(table))
    assert all(outcome.well for outcome in outcomes), "\n".join(table)
