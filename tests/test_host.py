"""The load that tests burn: it is there from the beginning to the end, or the test fails."""

import psutil
import pytest

from tests.support import host


def burners() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if host.BURN in child.cmdline()]


def test_a_load_burns_and_is_gone_afterwards():
    with host.full_load():
        assert len(burners()) == 2 * (psutil.cpu_count() or 1)
    assert not burners()


def test_a_load_that_has_ended_meanwhile_is_noticed():
    def end_one():
        first = burners()[0]
        first.kill()
        first.wait()

    with pytest.raises(AssertionError, match="the load has ended"), host.full_load():
        end_one()


def test_a_load_that_burns_no_more_is_noticed(monkeypatch):
    def stop_one():
        first = burners()[0]
        first.suspend()
        host.until(lambda: first.status() == psutil.STATUS_STOPPED)
        monkeypatch.setattr(host, "PATIENCE_S", 0.5)

    with pytest.raises(AssertionError, match="more of the load"), host.full_load():
        stop_one()


def test_what_does_not_happen_is_named(monkeypatch):
    monkeypatch.setattr(host, "PATIENCE_S", 0.05)
    with pytest.raises(AssertionError, match="the call has not happened"):
        host.until(lambda: False, "the call")
