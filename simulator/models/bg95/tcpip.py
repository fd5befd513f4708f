"""PDP contexts and TCP sockets.

Source: BG96 TCP/IP AT Commands Manual V1.0, chapters 2 and 4. The BG95&BG77&BG600L Series TCP/IP
Application Note says the same.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from coldtrail_simulator.clock import US_PER_MS, US_PER_S, Handle
from coldtrail_simulator.models.bg95.at import (
    Answer,
    Args,
    AtError,
    AtPort,
    Command,
    Form,
    Later,
    Prompt,
    Result,
    answer,
)
from coldtrail_simulator.models.bg95.past import Past
from coldtrail_simulator.models.bg95.radio import Radio
from coldtrail_simulator.network.link import Handshake, Link
from coldtrail_simulator.network.network import Network

SOCKETS = 12
CONTEXTS = 16
ACTIVE_CONTEXTS = 3
MAX_SEND = 1460
MAX_READ = 1500
MAX_HEX = 512
SEND_BUFFER = 8 * MAX_SEND
"""A socket holds this many unacknowledged bytes before AT+QISEND fails; an assumed size."""

ACTIVATE_MS = (400, 2_500)  # the manual allows 150 s
DEACTIVATE_MS = (300, 1_500)  # the manual allows 40 s
CLOSE_MS = (100, 600)  # the manual allows 10 s by default
SEND_MS = (15, 60)
CONNECT_LIMIT_US = 75 * US_PER_S  # the manual allows 150 s
RETRANSMIT_MS = (60_000, 150_000)
"""After this time without coverage a connection with unacknowledged data ends."""

# The texts are those of chapter 4, Summary of Error Codes.
ERRORS = {
    0: "operation successful",
    550: "unknown error",
    552: "invalid parameters",
    554: "create socket failed",
    555: "operation not supported",
    558: "socket write failed",
    561: "open PDP context failed",
    562: "close PDP context failed",
    563: "socket identity has been used",
    565: "DNS parse failed",
    566: "socket connect failed",
    567: "socket has been closed",
    569: "operation timeout",
    570: "PDP context broken down",
    572: "operation not allowed",
}
REFUSALS = {"name": 565, "connection": 566, "handshake": 566}

OPENING, CONNECTED, CLOSING = 1, 2, 4


class TcpError(AtError):
    """A TCP/IP command fails with ERROR; AT+QIGETERROR then gives the reason."""

    def __init__(self, error: int) -> None:
        super().__init__()
        self.error = error


@dataclass
class Context:
    """A PDP context; ``address`` is set while it is active."""

    kind: int = 1
    apn: str = ""
    username: str = ""
    password: str = ""
    authentication: int = 0
    address: str = ""
    broken: bool = False
    """Whether the network has released it; AT+QIDEACT must come before a new activation."""


@dataclass(eq=False)
class Socket:
    """The socket of one <connectID>, which is the endpoint of a network link."""

    owner: TcpIp
    number: int
    context: int
    host: str
    port: int
    local_port: int
    push: bool
    secure: bool = False
    state: int = OPENING
    link: Link | None = None
    received: bytearray = field(default_factory=bytearray)
    total: int = 0
    limit: Handle | None = None

    def opened(self) -> None:
        self.owner.opened(self, 0)

    def read(self, size: int) -> bytes:
        """Take at most ``size`` bytes out of the buffer."""
        data = bytes(self.received[:size])
        del self.received[:size]
        return data

    def refused(self, reason: str) -> None:
        self.owner.opened(self, REFUSALS[reason])

    def data(self, data: bytes) -> None:
        self.owner.arrived(self, data)

    def closed(self) -> None:
        self.owner.closed(self)


class TcpIp:
    """The TCP/IP commands."""

    def __init__(
        self,
        rng: random.Random,
        network: Network,
        radio: Radio,
        after: Callable[[int, Callable[[], object]], Handle],
        past: Past,
    ) -> None:
        self._past = past
        self._rng = rng
        self._network = network
        self._radio = radio
        self._after = after
        self.port: AtPort | None = None
        self.contexts: dict[int, Context] = {}
        self.sockets: dict[int, Socket] = {}
        self._last_error = 0
        self.reset()

    def reset(self) -> None:
        """Forget everything; connections end without being closed."""
        for socket in self.sockets.values():
            if socket.link:
                socket.link.abort()
        self.contexts = {number: Context() for number in range(1, CONTEXTS + 1)}
        self.contexts[1].apn = self._past.apn
        self.contexts[1].username, self.contexts[1].password = self._past.authentication
        self.sockets = {}
        self._last_error = 0

    def log_off(self) -> None:
        """Close every connection properly, as the module does before it switches off."""
        for socket in list(self.sockets.values()):
            self._forget(socket)

    def commands(self) -> dict[str, Command]:
        """Return the commands by their names."""
        own = {
            "+QICSGP": self._configure,
            "+CGDCONT": self._define,
            "+QIACT": self._activate,
            "+QIDEACT": self._deactivate,
            "+QIOPEN": self._open,
            "+QICLOSE": self._close,
            "+QISTATE": self._state,
            "+QISEND": self._send,
            "+QISENDEX": self._send_hex,
            "+QIRD": self._read,
        }
        found: dict[str, Command] = {name: self.noting(fn) for name, fn in own.items()}
        found["+QIGETERROR"] = self._get_error
        found["+QISDE"] = self._echo
        return found

    def noting(self, command: Command) -> Command:
        """Return ``command``, extended to remember its outcome for AT+QIGETERROR."""

        def noting(form: Form, args: Args) -> Result:
            with self._outcome():
                result = command(form, args)
            if not isinstance(result, Later):
                return result

            def finish() -> Answer:
                with self._outcome():
                    return result.finish()

            return Later(result.us, finish)

        return noting

    @contextmanager
    def _outcome(self) -> Iterator[None]:
        self._last_error = 0
        try:
            yield
        except TcpError as error:
            self._last_error = error.error
            raise
        except AtError:
            self._last_error = 552
            raise

    def report(self, code: str, data: bytes | None = None) -> None:
        """Send an unsolicited code."""
        if self.port:
            self.port.report(code, data)

    def _draw(self, span_ms: tuple[int, int]) -> int:
        return self._rng.randint(*span_ms) * US_PER_MS

    # --- contexts

    def _configure(self, form: Form, args: Args) -> Result:
        if form is Form.TEST:
            return answer("+QICSGP: (1-16),(1-3),<APN>,<username>,<password>,(0-3)")
        if form is not Form.WRITE:
            raise TcpError(552)
        context = self.contexts[args.number(0, 1, CONTEXTS)]
        if len(args) == 1:
            fields = f'"{context.apn}","{context.username}","{context.password}"'
            return answer(f"+QICSGP: {context.kind},{fields},{context.authentication}")
        kind = args.number(1, 1, 3)
        apn, username, password = args.text(2), args.text(3, ""), args.text(4, "")
        authentication = args.number(5, 0, 3, 0)
        if context.address:
            raise TcpError(572)
        context.kind, context.apn, context.authentication = kind, apn, authentication
        context.username, context.password = username, password
        return answer()

    def _define(self, form: Form, args: Args) -> Result:  # 3GPP TS 27.007, 10.1.1
        if form is not Form.WRITE or args.text(1) != "IP":
            raise AtError
        context = self.contexts[args.number(0, 1, CONTEXTS)]
        if context.address:
            raise AtError
        context.kind, context.apn = 1, args.text(2)
        return answer()

    def _activate(self, form: Form, args: Args) -> Result:
        if form is Form.TEST:
            return answer(f"+QIACT: (1-{CONTEXTS})")
        if form is Form.READ:
            return answer(
                *(
                    f'+QIACT: {number},1,{context.kind},"{context.address}"'
                    for number, context in self.contexts.items()
                    if context.address
                )
            )
        if form is not Form.WRITE:
            raise TcpError(552)
        context = self.contexts[args.number(0, 1, CONTEXTS)]
        # The manual does not say what happens when the context is active already. The model
        # refuses, which is the harder case for the firmware.
        if context.address or context.broken:
            raise TcpError(572)
        if sum(bool(each.address) for each in self.contexts.values()) >= ACTIVE_CONTEXTS:
            raise TcpError(561)

        def finish() -> Answer:
            if not self._radio.attached:
                raise TcpError(561)
            draw = self._rng.randint
            context.address = f"10.{draw(0, 255)}.{draw(0, 255)}.{draw(1, 254)}"
            return answer()

        return Later(self._draw(ACTIVATE_MS), finish)

    def _deactivate(self, form: Form, args: Args) -> Result:
        if form is Form.TEST:
            return answer(f"+QIDEACT: (1-{CONTEXTS})")
        if form is not Form.WRITE:
            raise TcpError(552)
        number = args.number(0, 1, CONTEXTS)

        def finish() -> Answer:
            self.contexts[number].address = ""
            self.contexts[number].broken = False
            for socket in [each for each in self.sockets.values() if each.context == number]:
                self._forget(socket)
            return answer()

        return Later(self._draw(DEACTIVATE_MS), finish)

    def deactivated(self) -> None:
        """Mark every context as released by the network."""
        for number, context in self.contexts.items():
            if not context.address:
                continue
            context.address = ""
            context.broken = True
            for socket in self.sockets.values():
                if socket.context == number:
                    socket.state = CLOSING
                    if socket.link:
                        socket.link.abort()
            self.report(f'+QIURC: "pdpdeact",{number}')

    def reachable(self, in_reach: bool) -> None:
        """Note that coverage has come or gone: connections continue, or stay half open."""
        for socket in self.sockets.values():
            if socket.link is None:
                continue
            if in_reach:
                socket.link.resume()
            else:
                socket.link.pause()
                self._after(self._draw(RETRANSMIT_MS), self._retransmission(socket))

    def _retransmission(self, socket: Socket) -> Callable[[], None]:
        def give_up() -> None:
            link = socket.link
            stuck = link is not None and link.paused and link.sent > link.acked
            if stuck and socket.state == CONNECTED:
                self.closed(socket)

        return give_up

    # --- sockets

    def socket(self, args: Args, *, secure: bool = False) -> Socket:
        """Return the socket that the first argument names; raises TcpError when there is none."""
        socket = self.sockets.get(args.number(0, 0, SOCKETS - 1))
        if socket is None or socket.state == OPENING or socket.secure is not secure:
            raise TcpError(567)
        return socket

    def _open(self, form: Form, args: Args) -> Result:
        if form is Form.TEST:
            kinds = '"TCP/UDP/TCP LISTENER/UDP SERVICE"'
            return answer(
                f"+QIOPEN: (1-16),(0-11),{kinds},<IP_address>/<domain_name>,<remote_port>,"
                "<local_port>,(0-2)"
            )
        if form is not Form.WRITE or len(args) < 5:
            raise TcpError(552)
        context, number = args.number(0, 1, CONTEXTS), args.number(1, 0, SOCKETS - 1)
        kind, host, port = args.text(2), args.text(3), args.number(4, 0, 65535)
        local_port, mode = args.number(5, 0, 65535, 0), args.number(6, 0, 2, 0)
        if kind != "TCP" or mode == 2:
            raise TcpError(555)
        return self.open_socket(context, number, host, port, push=mode == 1, local_port=local_port)

    def open_socket(
        self,
        context: int,
        number: int,
        host: str,
        port: int,
        *,
        push: bool,
        local_port: int = 0,
        handshake: Handshake | None = None,
        limit_us: int = CONNECT_LIMIT_US,
    ) -> Answer:
        """Begin to open a socket; with ``handshake`` it is one for TLS."""
        name = "+QSSLOPEN" if handshake else "+QIOPEN"
        if number in self.sockets:
            return answer(then=lambda: self.report(f"{name}: {number},563"))
        if not self.contexts[context].address:
            return answer(then=lambda: self.report(f"{name}: {number},561"))
        local_port = local_port or self._rng.randint(49152, 65535)
        socket = Socket(
            self, number, context, host, port, local_port, push, secure=handshake is not None
        )
        self.sockets[number] = socket

        def start() -> None:
            socket.link = self._network.open(host, port, socket, handshake)
            if not self._radio.attached:
                socket.link.pause()
            socket.limit = self._after(limit_us, lambda: self.opened(socket, 566))

        return answer(then=start)

    def opened(self, socket: Socket, error: int) -> None:
        """Report the result of the attempt to open a socket."""
        if socket.limit:
            socket.limit.cancel()
        if socket.state != OPENING:
            return
        if error:
            self._forget(socket)
        else:
            socket.state = CONNECTED
        self.report(f"{'+QSSLOPEN' if socket.secure else '+QIOPEN'}: {socket.number},{error}")

    def closed(self, socket: Socket) -> None:
        """Mark a socket as closed by the peer or the network; AT+QICLOSE frees its number."""
        if socket.state == OPENING:
            self.opened(socket, 566)
            return
        socket.state = CLOSING
        if socket.link:
            socket.link.abort()
        self.report(f'{_urc(socket)}: "closed",{socket.number}')

    def _forget(self, socket: Socket) -> None:
        self.sockets.pop(socket.number, None)
        if socket.limit:
            socket.limit.cancel()
        if socket.link:
            socket.link.close()

    def _close(self, form: Form, args: Args) -> Result:
        if form is Form.TEST:
            return answer("+QICLOSE: (0-11),(0-65535)")
        if form is not Form.WRITE:
            raise TcpError(552)
        return self.close_socket(args)

    def close_socket(self, args: Args, *, secure: bool = False) -> Result:
        """Close a socket in any state."""
        socket = self.sockets.get(args.number(0, 0, SOCKETS - 1))
        timeout_s = args.number(1, 0, 65535, 10)
        if socket is None or socket.secure is not secure:
            raise TcpError(567)
        us = self._draw(CLOSE_MS)
        if socket.state == CONNECTED and not self._radio.attached:
            us = timeout_s * US_PER_S  # nobody acknowledges the FIN

        def finish() -> Answer:
            self._forget(socket)
            return answer()

        return Later(us, finish)

    def _state(self, form: Form, args: Args) -> Result:
        if form is Form.TEST:
            return answer()
        found = list(self.sockets.values())
        if form is Form.WRITE:
            wanted = args.number(1, 0, CONTEXTS)
            if args.number(0, 0, 1):
                found = [each for each in found if each.number == wanted]
            else:
                found = [each for each in found if each.context == wanted]
        return answer(
            *(
                f'+QISTATE: {each.number},"TCP","{each.host}",{each.port},{each.local_port},'
                f'{each.state},{each.context},0,{int(each.push)},"uart1"'
                for each in found
                if not each.secure
            )
        )

    # --- data

    def _send(self, form: Form, args: Args) -> Result:
        if form is Form.TEST:
            return answer(f"+QISEND: (0-11),(0-{MAX_SEND})")
        if form is not Form.WRITE:
            raise TcpError(552)
        socket = self.socket(args)
        if len(args) == 1:
            return Prompt(None, lambda data: self.take(socket, data))
        length = args.number(1, 0, MAX_SEND)
        if length == 0:
            sent, acked = (socket.link.sent, socket.link.acked) if socket.link else (0, 0)
            return answer(f"+QISEND: {sent},{acked},{sent - acked}")
        if socket.state != CONNECTED:
            raise TcpError(567)
        return Prompt(length, lambda data: self.take(socket, data))

    def _send_hex(self, form: Form, args: Args) -> Result:
        if form is Form.TEST:
            return answer("+QISENDEX: (0-11),<hex_string>")
        socket, text = self.socket(args), args.text(1)
        try:
            data = bytes.fromhex(text)
        except ValueError:
            raise TcpError(552) from None
        if len(text) > MAX_HEX or socket.state != CONNECTED:
            raise TcpError(552 if len(text) > MAX_HEX else 567)
        return self.take(socket, data)

    def take(self, socket: Socket, data: bytes | None) -> Answer | Later:
        """Send the data that followed a prompt."""
        if data is None:
            return answer()

        def finish() -> Answer:
            if socket.state != CONNECTED or socket.link is None or len(data) > MAX_SEND:
                raise TcpError(567)
            if socket.link.sent - socket.link.acked + len(data) > SEND_BUFFER:
                return Answer(final="SEND FAIL")
            socket.link.send(data)
            return Answer(final="SEND OK")

        return Later(self._draw(SEND_MS), finish)

    def arrived(self, socket: Socket, data: bytes) -> None:
        """Take received bytes: report them in push mode, else report only that there are some."""
        socket.total += len(data)
        if socket.push:
            self.report(f'{_urc(socket)}: "recv",{socket.number},{len(data)}', data)
            return
        # The module reports nothing further until everything has been read (2.2.2).
        first = not socket.received
        socket.received += data
        if first:
            self.report(f'{_urc(socket)}: "recv",{socket.number}')

    def _read(self, form: Form, args: Args) -> Result:
        if form is Form.TEST:
            return answer(f"+QIRD: (0-11),(0-{MAX_READ})")
        if form is not Form.WRITE:
            raise TcpError(552)
        socket = self.socket(args)
        size = args.number(1, 0, MAX_READ, MAX_READ)
        if size == 0:
            unread = len(socket.received)
            return answer(f"+QIRD: {socket.total},{socket.total - unread},{unread}")
        data = socket.read(size)
        return answer(f"+QIRD: {len(data)}", data) if data else answer("+QIRD: 0")

    # --- about them

    def _get_error(self, form: Form, _args: Args) -> Result:
        if form is Form.TEST:
            return answer()
        return answer(f"+QIGETERROR: {self._last_error}, {ERRORS[self._last_error]}")

    def _echo(self, form: Form, args: Args) -> Result:
        if self.port is None or form is Form.TEST:
            return answer("+QISDE: (0,1)")
        if form is Form.READ:
            return answer(f"+QISDE: {int(self.port.data_echo)}")
        self.port.data_echo = bool(args.number(0, 0, 1))
        return answer()


def _urc(socket: Socket) -> str:
    return "+QSSLURC" if socket.secure else "+QIURC"
