"""Quectel BG95 (and BG96): the driver's entry; each stage of its work has a module of its own.

Sources: Quectel's "BG95&BG77&BG600L Series AT Commands Manual" V2.0 (AT manual), "BG95&BG77&BG600L
Series TCP/IP Application Note" V1.1 (TCP/IP note), "BG96 SSL AT Commands Manual" V1.0 (SSL
manual), "BG95 Series Hardware Design" V1.2.

    modem = BG95(uart, pwrkey, reset_n, status, supply)  # machine.UART and four machine.Pin
    await modem.power_on(30_000)
    await modem.register("internet", 180_000)
    stream = await modem.connect("broker.example", 1883, 60_000)
    ...
    await modem.power_off()
"""

from micropython import const

from drivers.bg95.at import AT
from drivers.bg95.text import fields
from memory import forget

POWER_OFF_MS = const(70_000)  # power_off takes no longer


class BG95:
    """The modem, driven by one task at a time."""

    def __init__(
        self,
        uart,
        pwrkey,
        reset_n,
        status,
        supply,
        baud=115_200,
        pwrkey_active=1,
        reset_active=1,
        status_active=1,
        supply_active=1,
    ):
        """Take the modem's UART and pins; the modem keeps its state.

        ``uart`` runs at ``baud`` with timeout 0 and a receive buffer of 2 KiB, which holds a whole
        answer. ``pwrkey``, ``reset_n`` and ``supply`` are outputs, ``status`` is an input.
        ``..._active`` is the level at the chip's pin at which the function is asserted (1 where a
        transistor inverts).
        """
        self._pwrkey = pwrkey
        self._status = status
        self._supply = supply
        self._pwrkey_active = pwrkey_active
        self._status_active = status_active
        self._supply_active = supply_active
        self._reset = reset_n
        self._reset_active = reset_active
        pwrkey.value(not pwrkey_active)
        reset_n.value(not reset_active)
        self.baud = baud
        self.at = AT(uart, self._unsolicited)
        self.ready = False  # whether APP RDY has come: the module has started
        # Steps of recovery since the driver was made: repeated attempts, re-attachments, resets
        # by command, resets by pin, supply cycles.
        self.counts = [0, 0, 0, 0, 0]
        self.stream = None

    # ---- power ----

    async def power_on(self, limit_ms):
        """Turn the modem on and prepare its AT interface; a modem that is already on stays on.

        A modem that does not answer is turned off by PWRKEY, then by its supply, and is started
        again. Raises NoAnswer.
        """
        from drivers.bg95 import power_on

        await power_on.power_on(self, limit_ms)
        forget("drivers.bg95", "power_on", "power")

    async def power_off(self):
        """Turn the modem off by AT+QPOWD or else by PWRKEY, then cut its supply. It never fails.

        It takes at most POWER_OFF_MS; it takes that long when the modem cannot leave the network.
        """
        from drivers.bg95 import power

        await power.power_off(self)
        forget("drivers.bg95", "power")

    def supply(self, on):
        """Switch the modem's supply."""
        self._supply.value(self._supply_active if on else not self._supply_active)

    def is_on(self):
        """Return whether STATUS says that the modem runs."""
        return self._status.value() == self._status_active

    def press(self, pressed):
        """Press or release PWRKEY."""
        self._pwrkey.value(self._pwrkey_active if pressed else not self._pwrkey_active)

    # ---- unsolicited codes ----

    def _unsolicited(self, line):
        if line.startswith(b"+QIURC:") or line.startswith(b"+QSSLURC:"):
            kind = fields(line[line.find(b":") + 1 :])
            if kind[0] == b"pdpdeact":
                self.lose()
            elif self.stream is not None and len(kind) > 1:
                self.stream.unsolicited(kind[0], kind[1])
        elif line.startswith(b"+QIOPEN:") or line.startswith(b"+QSSLOPEN:"):
            opened = fields(line[line.find(b":") + 1 :])
            if self.stream is not None and len(opened) > 1:
                self.stream.opened(opened[0], opened[1])
        elif line == b"APP RDY":
            if self.ready:
                self.lose()  # the modem has restarted by itself, so its sockets are gone
            self.ready = True
        elif line == b"POWERED DOWN":
            self.lose()

    def lose(self):
        """Forget the connection, because the modem no longer has it."""
        if self.stream is not None:
            self.stream.lose()
            self.stream = None

    # ---- network ----

    async def register(self, apn, limit_ms, user=None, password=None, pin=None, look_ms=None):
        """Wait for card and network and open a data connection (PDP context 1) through ``apn``.

        ``pin`` is entered when the card asks for it and still has all its attempts. With
        ``look_ms`` the function gives up after that time when the modem sees no cell. Optional
        commands that the modem refuses are added to ``at.passed``.
        Raises NoNetwork, CommandError, NoAnswer.
        """
        from drivers.bg95 import setup

        await setup.register(self.at, apn, limit_ms, user, password, pin, look_ms)
        forget("drivers.bg95", "setup", "settings", "pin")

    def reset(self, on):
        """Hold or release RESET_N."""
        self._reset.value(self._reset_active if on else not self._reset_active)

    async def network_time(self):
        """Return (Unix seconds, uncertainty in ms, ticks_ms at which that second began) or None.

        None means that the network has not given its time (NITZ) within 2 s. The function then
        asks until the second changes, for at most 1.5 s more. The uncertainty is that of the
        reading; the network's own uncertainty is unknown.
        """
        from drivers.bg95 import time

        found = await time.network_time(self.at)
        forget("drivers.bg95", "time")
        return found

    async def signal(self):
        """Return (system mode, RSSI, RSRP, SINR, RSRQ), or None without service.

        RSSI and RSRP are in dBm, RSRQ in dB, SINR in steps of 0.2 dB from -20 dB (AT manual
        6.16). RSRP, SINR and RSRQ are None in GSM.
        """
        from drivers.bg95 import cell

        return await cell.signal(self.at)

    # ---- sockets ----

    async def connect(self, host, port, limit_ms, secure=False):
        """Open a TCP connection to ``host``:``port`` and return it as a Stream.

        With ``secure`` it is a TLS connection, as tls.py has configured it. Raises ConnectError,
        CommandError, NoAnswer; ValueError for an impossible address.
        """
        from drivers.bg95 import connect

        stream = await connect.connect(self, host, port, limit_ms, secure)
        forget("drivers.bg95", "connect", "stream")
        return stream
