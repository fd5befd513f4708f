"""The general commands: identity of the module, SIM, functionality, settings.

Source: BG96 AT Commands Manual V2.2; each command names its section.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from coldtrail_simulator.clock import US_PER_MS
from coldtrail_simulator.models.bg95.at import (
    Answer,
    Args,
    AtError,
    AtPort,
    Command,
    Form,
    Later,
    Result,
    answer,
)
from coldtrail_simulator.models.bg95.part import Part
from coldtrail_simulator.models.bg95.past import Past
from coldtrail_simulator.models.bg95.radio import Radio

FUNCTION_MS = (200, 1_500)  # the manual allows 15 s
PIN_MS = (150, 900)  # the manual allows 5 s
SIM_MS = (300, 1_800)
UNLOCK_MS = (20, 300)
OPERATOR_MS = (200, 1_500)  # the manual allows 180 s
SCAN_MS = (15_000, 60_000)
RATES = (9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600)

# The factory's values of AT+QCFG (4.2). The model stores and returns them; they have no effect.
SETTINGS = {
    "nwscanseq": "00",
    "nwscanmode": "0",
    "iotopmode": "0",
    "roamservice": "255",
    "band": "0xf,0x100002000000000f0e189f,0x10004200000000090e189f",
    "servicedomain": "1",
    "psm/urc": "0",
    "ledmode": "0",
    "urc/ri/ring": '"pulse",120,1000,5000,"off"',
    "urc/ri/smsincoming": '"pulse",120',
    "urc/ri/other": '"pulse",120',
    "risignaltype": '"respective"',
    "urc/delay": "0",
}


@dataclass
class Sim:
    """The SIM card: it asks for ``pin`` unless that is empty, ``puk`` after wrong tries."""

    present: bool = True
    pin: str = ""
    puk: str = "12345678"
    imsi: str = "001010123456789"
    iccid: str = "89001012012341234120"
    tries: int = 3


class General:
    """The commands of the general AT manual, the radio's among them."""

    def __init__(
        self,
        rng: random.Random,
        part: Part,
        sim: Sim,
        radio: Radio,
        after: Callable[[int, Callable[[], object]], object],
        reboot: Callable[[], object],
        power_down: Callable[[bool], object],
        past: Past,
    ) -> None:
        self._past = past
        self._rng = rng
        self._part = part
        self._radio = radio
        self._after = after
        self._reboot = reboot
        self._power_down = power_down
        self.sim = sim
        self.port: AtPort | None = None
        self.settings = {**SETTINGS, **past.settings}
        self.report_port = past.report_port
        self.imei = "86" + f"{rng.randrange(10**13):013}"
        self._stored_baud = past.baud
        self.reset()

    def reset(self) -> None:
        """Return to the state after power-on; settings in the module's flash are kept."""
        self.function = self._past.function
        self._sim_state = ""
        self._detached = False
        self._sleep = 0
        self.baud = self._next_baud = self._stored_baud

    def start(self) -> None:
        """Begin to read the SIM, now that the module's application runs."""
        if self.sim.present:
            self._after(self._draw(SIM_MS), self._find_sim)
        else:
            self._report("+CPIN: NOT INSERTED")

    def commands(self) -> dict[str, Command]:
        """Return the commands by their names."""
        simple: dict[str, Callable[[], Result]] = {
            "I": lambda: answer(
                "Quectel", self._part.model, f"Revision: {self._part.revision}"
            ),  # 2.1
            "+GMI": lambda: answer("Quectel"),  # 2.2
            "+CGMI": lambda: answer("Quectel"),  # 2.5
            "+GMM": lambda: answer(self._part.model),  # 2.3
            "+CGMM": lambda: answer(self._part.model),  # 2.6
            "+GMR": lambda: answer(self._part.revision),  # 2.4
            "+CGMR": lambda: answer(self._part.revision),  # 2.7
            "+GSN": lambda: answer(self.imei),  # 2.8
            "+CGSN": lambda: answer(self.imei),  # 2.9
            "+CIMI": self._imsi,  # 5.1
            "+QCCID": self._iccid,  # 5.6
            "+QNWINFO": lambda: answer(f"+QNWINFO: {self._radio.information_text()}"),  # 6.17
        }
        found: dict[str, Command] = {name: _executed(fn) for name, fn in simple.items()}
        found |= {
            "E": self._echo,
            "V": self._keep_default("1"),
            "Q": self._keep_default("0"),
            "Z": lambda _form, _args: answer(),
            "&F": lambda _form, _args: answer(),
            "&W": self._store,
            "+CMEE": self._errors,
            "+CFUN": self._functionality,
            "+CPIN": self._pin,
            "+QPINC": self._pin_attempts,
            "+CSQ": self._quality,
            "+QCSQ": self._signal,
            "+CEREG": self._registration,
            "+CGREG": self._packet_registration,
            "+COPS": self._operator,
            "+CGATT": self._attachment,
            "+QLTS": self._network_time,
            "+CTZU": self._time_zone_update,
            "+CCLK": self._clock,
            "+QPOWD": self._power,
            "+QSCLK": self._slow_clock,
            "+QCFG": self._setting,
            "+QURCCFG": self._report_port,
            "+IPR": self._rate,
        }
        return found

    def _draw(self, span_ms: tuple[int, int]) -> int:
        return self._rng.randint(*span_ms) * US_PER_MS

    def _report(self, code: str) -> None:
        if self.port:
            self.port.report(code)

    # --- line settings: 2.13 to 2.17, 3.5

    def _echo(self, _form: Form, args: Args) -> Result:
        value = bool(args.number(0, 0, 1, 0))

        def set_echo() -> None:
            if self.port:
                self.port.echo = value

        return answer(then=set_echo)

    @staticmethod
    def _keep_default(default: str) -> Command:
        def keep(_form: Form, args: Args) -> Result:
            if args.items not in ([default], []):
                raise AtError  # the other formats are not modelled
            return answer()

        return keep

    def _store(self, _form: Form, _args: Args) -> Result:
        self._stored_baud = self._next_baud
        return answer()

    def _rate(self, form: Form, args: Args) -> Result:
        if form is Form.TEST:
            rates = ",".join(map(str, RATES))
            return answer(f"+IPR: (),({rates})")
        if form is Form.READ:
            return answer(f"+IPR: {self._next_baud}")
        rate = args.number(0, 0, max(RATES))
        if rate not in RATES:
            raise AtError

        self._next_baud = rate

        def change() -> None:
            self.baud = rate

        return answer(then=change)

    def _errors(self, form: Form, args: Args) -> Result:  # 2.23
        if self.port is None or form is Form.TEST:
            return answer("+CMEE: (0-2)")
        if form is Form.READ:
            return answer(f"+CMEE: {self.port.cmee}")
        self.port.cmee = args.number(0, 0, 2)
        return answer()

    # --- SIM: 5.1, 5.3, 5.6

    def lose_sim(self) -> None:
        """Let the card lose contact for the rest of the run."""
        self.sim.present = False
        self._sim_state = ""
        self._report("+CPIN: NOT INSERTED")
        self._see_to_radio()

    def _find_sim(self) -> None:
        if self.sim.pin:
            self._sim_state = "SIM PIN" if self.sim.tries else "SIM PUK"
            self._report(f"+CPIN: {self._sim_state}")
        else:
            self._unlock()

    def _unlock(self) -> None:
        self._sim_state = "READY"
        self._report("+CPIN: READY")
        self._report("+QUSIM: 1")
        self._report("+QIND: SMS DONE")
        self._see_to_radio()

    def _see_to_radio(self) -> None:
        usable = self.function == 1 and self._sim_state == "READY"
        # In LTE a module that registers also attaches.
        if usable and self._radio.operator_mode != 2 and not self._detached:
            self._radio.start()
        else:
            self._radio.stop()

    def _need_sim(self) -> None:
        if not self.sim.present:
            raise AtError(10)
        if self.function == 0:
            raise AtError(13)
        if not self._sim_state:
            raise AtError(14)

    def _pin(self, form: Form, args: Args) -> Result:
        if form is Form.TEST:
            return answer()
        self._need_sim()
        if form is Form.READ:
            return answer(f"+CPIN: {self._sim_state}")
        # The manual shows the PIN both with and without quotes.
        entered = [str(item) for item in args.items]
        asked = {"SIM PIN": 1, "SIM PUK": 2}.get(self._sim_state)
        if form is not Form.WRITE or len(entered) != asked:
            raise AtError(3)

        def finish() -> Answer:
            if entered[0] != (self.sim.pin if asked == 1 else self.sim.puk):
                self.sim.tries = max(0, self.sim.tries - 1)
                if not self.sim.tries:
                    self._sim_state = "SIM PUK"
                raise AtError(16)
            self.sim.pin = entered[-1]
            self.sim.tries = 3
            self._sim_state = "READY"
            return answer(then=lambda: self._after(self._draw(UNLOCK_MS), self._unlock))

        return Later(self._draw(PIN_MS), finish)

    def _pin_attempts(self, form: Form, args: Args) -> Result:  # BG95's AT manual V2.0, 5.7
        if form is Form.TEST:
            return answer('+QPINC: ("SC","P2")')
        self._need_sim()
        if form is Form.WRITE and args.text(0) not in ("SC", "P2"):
            raise AtError
        kinds = [args.text(0)] if form is Form.WRITE else ["SC", "P2"]
        tries = {"SC": self.sim.tries, "P2": 3}
        return answer(*(f'+QPINC: "{kind}",{tries[kind]},10' for kind in kinds))

    def _imsi(self) -> Result:
        self._need_ready_sim()
        return answer(self.sim.imsi)

    def _iccid(self) -> Result:
        self._need_sim()
        return answer(f"+QCCID: {self.sim.iccid}")

    def _need_ready_sim(self) -> None:
        self._need_sim()
        if self._sim_state != "READY":
            raise AtError(11)

    # --- functionality and network: 2.22, 6.2, 6.3, 6.18, 9.1, 9.11

    def _quality(self, form: Form, _args: Args) -> Result:
        if form is Form.TEST:
            return answer("+CSQ: (0-31,99),(0-7,99)")
        return answer(f"+CSQ: {self._radio.quality_text()}")

    def _signal(self, form: Form, _args: Args) -> Result:
        if form is Form.TEST:
            modes = self._part.modes
            names = ("NOSERVICE", modes["GSM"], modes["CAT-M1"], modes["CAT-NB1"])
            return answer("+QCSQ: " + ",".join(f'"{name}"' for name in names))
        return answer(f"+QCSQ: {self._radio.signal_text()}")

    def _functionality(self, form: Form, args: Args) -> Result:
        if form is Form.TEST:
            return answer("+CFUN: (0,1,4),(0,1)")
        if form is Form.READ:
            return answer(f"+CFUN: {self.function}")
        function, reset = args.number(0, 0, 4), args.number(1, 0, 1, 0)
        if function not in (0, 1, 4) or (reset and function != 1):
            raise AtError(50)
        if reset:
            return answer(then=self._reboot)

        def finish() -> Answer:
            before, self.function = self.function, function
            if function == 0:
                self._sim_state = ""
            self._see_to_radio()
            if before == 0 and function:
                return answer(then=self.start)
            return answer()

        return Later(self._draw(FUNCTION_MS), finish)

    def _registration(self, form: Form, args: Args) -> Result:
        radio = self._radio
        if form is Form.TEST:
            return answer("+CEREG: (0-2,4)")
        if form is Form.READ:
            return answer(f"+CEREG: {radio.report},{radio.state_text()}")
        report = args.number(0, 0, 4, 0)
        if report == 3:
            raise AtError
        radio.report = report
        return answer()

    def _packet_registration(self, form: Form, args: Args) -> Result:
        radio = self._radio
        if form is Form.TEST:
            return answer("+CGREG: (0-2)")
        if form is Form.READ:
            return answer(f"+CGREG: {radio.packet_report},{radio.packet_text()}")
        radio.packet_report = args.number(0, 0, 2, 0)
        return answer()

    def _operator(self, form: Form, args: Args) -> Result:
        radio = self._radio
        if form is Form.READ:
            return answer(f"+COPS: {2 if self.function == 0 else radio.operator_text()}")
        self._need_ready_sim()
        if form is Form.TEST:
            return Later(self._draw(SCAN_MS), lambda: answer(f"+COPS: {self._operators()}"))
        mode = args.number(0, 0, 4)
        name_format = args.number(1, 0, 2, radio.operator_format)

        def finish() -> Answer:
            radio.operator_format = name_format
            if mode != 3:
                radio.operator_mode = mode
                if mode == 0:
                    radio.bound_to = ""
                self._see_to_radio()
            return answer()

        return Later(self._draw(OPERATOR_MS), finish)

    def _operators(self) -> str:
        radio = self._radio
        cell = radio.in_view() if self.function == 1 else None
        known = ""
        if cell:
            stat = 2 if radio.registered else 1
            access = {"GSM": 0, "CAT-M1": 8, "CAT-NB1": 9}[cell.technology]
            known = f'({stat},"{cell.operator}","{cell.operator}","{cell.plmn}",{access})'
        return f"{known},,(0-4),(0-2)"

    def _attachment(self, form: Form, args: Args) -> Result:
        if form is Form.TEST:
            return answer("+CGATT: (0,1)")
        if form is Form.READ:
            return answer(f"+CGATT: {int(self._radio.registered)}")
        self._need_ready_sim()
        detached = not args.number(0, 0, 1)

        def finish() -> Answer:
            self._detached = detached
            self._see_to_radio()
            return answer()

        return Later(self._draw(OPERATOR_MS), finish)

    # --- time: 6.7, 6.16, 11.2

    def _network_time(self, form: Form, args: Args) -> Result:
        if form is Form.TEST:
            return answer("+QLTS: (0-2)")
        mode = args.number(0, 0, 2, 0)
        return answer(f"+QLTS: {self._radio.time_text(mode)}")

    def _time_zone_update(self, form: Form, args: Args) -> Result:
        modes = self._part.time_zone_updates
        if form is Form.TEST:
            return answer(f"+CTZU: ({','.join(map(str, modes))})")
        if form is Form.READ:
            return answer(f"+CTZU: {self._radio.time_zone_update}")
        mode = args.number(0, 0, 3)
        if mode not in modes:
            raise AtError
        self._radio.time_zone_update = mode
        return answer()

    def _clock(self, form: Form, args: Args) -> Result:
        if form is Form.TEST:
            return answer()
        if form is Form.READ:
            return answer(f"+CCLK: {self._radio.rtc.text()}")
        try:
            self._radio.rtc.set_text(args.text(0))
        except ValueError:
            raise AtError(50) from None
        return answer()

    # --- the module itself: 2.25, 4.2, 11.1, 11.5

    def _power(self, form: Form, args: Args) -> Result:
        if form is Form.TEST:
            return answer("+QPOWD: (0,1)")
        normal = bool(args.number(0, 0, 1, 1))
        return answer(then=lambda: self._power_down(normal))

    def _slow_clock(self, form: Form, args: Args) -> Result:
        if form is Form.TEST:
            return answer("+QSCLK: (0,1)")
        if form is Form.READ:
            return answer(f"+QSCLK: {self._sleep}")
        self._sleep = args.number(0, 0, 1)
        return answer()

    def _setting(self, form: Form, args: Args) -> Result:
        if form is not Form.WRITE:
            raise AtError
        name = args.text(0).lower()
        if name not in self.settings:
            raise AtError
        if len(args) == 1:
            return answer(f'+QCFG: "{name}",{self.settings[name]}')
        values = args.items[1 : 2 + self.settings[name].count(",")]
        if not all(values):
            raise AtError
        self.settings[name] = ",".join(
            f'"{each}"' if type(each) is not str else each for each in values
        )
        return answer()

    def _report_port(self, form: Form, args: Args) -> Result:
        if form is not Form.WRITE or args.text(0) != "urcport":
            raise AtError
        if len(args) == 1:
            return answer(f'+QURCCFG: "urcport","{self.report_port}"')
        if args.text(1) not in ("uart1", "usbat", "usbmodem"):
            raise AtError
        self.report_port = args.text(1)
        if self.port:
            self.port.reports = self.report_port == "uart1"
        return answer()


def _executed(fn: Callable[[], Result]) -> Command:
    """Return a command that has only the execute form; its test form is answered by OK."""

    def command(form: Form, _args: Args) -> Result:
        if form is Form.TEST:
            return answer()
        if form is not Form.EXECUTE:
            raise AtError
        return fn()

    return command
