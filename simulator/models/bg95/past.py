"""The settings that earlier use has left in the module's flash."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Past:
    """Settings that outlive the supply; the defaults are those of a module from the factory."""

    baud: int = 115_200
    """The rate that AT+IPR has set and AT&W has stored."""
    function: int = 1
    """The function level (AT+CFUN) after a start."""
    operator: str = ""
    """The PLMN that AT+COPS has bound the module to; empty when it chooses by itself."""
    report_port: str = "uart1"
    """The port for unsolicited codes (AT+QURCCFG)."""
    psm: tuple[str, str] | None = None
    """T3412 extended and T3324 that AT+CPSMS asks for; None without power saving mode."""
    edrx: Mapping[int, str] = field(default_factory=dict)
    """The extended DRX cycle for each access technology (AT+CEDRXS)."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Settings of AT+QCFG that differ from those of the factory."""
    apn: str = ""
    """The access point of context 1 (AT+QICSGP, AT+CGDCONT)."""
    authentication: tuple[str, str] = ("", "")
    """The user and the password of context 1."""
