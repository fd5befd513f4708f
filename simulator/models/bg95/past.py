"""What earlier use has left in the module's flash."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Past:
    """Settings that outlive the supply; as they stand here, those of a module from the factory."""

    baud: int = 115_200
    """AT+IPR, stored by AT&W."""
    function: int = 1
    """AT+CFUN as it starts."""
    operator: str = ""
    """AT+COPS: the PLMN that it is bound to by hand; empty: automatic."""
    report_port: str = "uart1"
    """AT+QURCCFG: where unsolicited codes go."""
    psm: tuple[str, str] | None = None
    """AT+CPSMS: T3412 extended and T3324 as they are asked for; None: no power saving mode."""
    edrx: Mapping[int, str] = field(default_factory=dict)
    """AT+CEDRXS: cycle by access technology."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """AT+QCFG, where it differs from the factory's."""
    apn: str = ""
    """AT+QICSGP and AT+CGDCONT of context 1."""
    authentication: tuple[str, str] = ("", "")
    """User and password of context 1."""
