"""One uplink session: radio on, time, publish what is unconfirmed, confirmation, radio off."""

import time

from micropython import const

from coldtrail.contract import cbor, cose
from memory import forget

# From records.py, so that the compiler puts them in place.
_FAULT = const(13)
_SUBJECT_MODEM = const(6)
_GATEWAY = const(3)
_PASSED_OVER = const(7)
_CALL_RAISED = const(8)

_RADIO_SPENT = const(1)  # from memories.py

TASK = "uplink"

_ANSWER_MS = const(30_000)
_CONFIRM_MS = const(15_000)
_POWER_OFF_MS = const(70_000)

# Longer than any silence of a session, so that no ping wakes the radio; what keeps a connection
# that has died unnoticed from staying at the broker for ever.
_KEEPALIVE_S = const(120)

_PACKET = const(672)  # a command with the longest profile; a confirmation has 300 bytes at most


class Session:
    """One attempt. ``run`` never raises for what the network does: it returns how far it came."""

    def __init__(self, port, recorder, watchdog, attempted, radio, again=None):
        """Publish the recorder's blocks through the port's modem.

        ``attempted``: highest block number that an earlier session may have published; up to it
        DUP is set (MQTT 3.1.1, 3.3.1.1). ``radio``: what sessions know of those before, kept over
        deep sleep (memories.py); an empty list before the first. ``again``: publish the blocks
        from this number on once more, as far as the log has them.
        """
        # The one buffer of the session, before code splits the room.
        self._packet = bytearray(_PACKET)
        self.recorder = recorder
        self.state = recorder.state
        self._identity = recorder.identity
        self.port = port
        self._watchdog = watchdog
        self.repeated = attempted
        self.again = again
        self.newest = attempted  # highest number that may have been published
        self.fresh = 0  # highest number published for the first time, in this session
        self.published = 0  # ticks_ms when that publication began
        # The newest confirmation, not yet judged: its payload, the ticks_ms at which it came, how
        # long after the newest publication that was, and ``fresh`` at that time.
        self._heard: "tuple | None" = None
        self._gateway_time: "tuple | None" = None  # what a confirmation says of the time
        self.reason = ""
        self.command = None  # payload of the newest command that verifies, see commands.py
        self._counter = recorder.state.command  # its counter; before there is one, the last taken
        self.refused = 0  # messages that are not believed
        self.replayed = 0  # of these: commands older than the last one taken
        self.sent_again = False  # whether all that ``again`` asks for has been published
        self.radio = radio
        self.modem = None
        self.began = time.ticks_ms()
        self.rung = 0  # of the ladder that a session climbs when it breaks off (recover.py)
        self.is_refused = False  # for a reason that another attempt would meet too

    async def run(self):
        """Return True when every block is confirmed; else False, with ``reason`` for the log."""
        self.modem = self.port.modem()
        try:
            while await self._attempt():
                self.repeated = self.newest
        finally:
            try:
                if self.modem.is_on():
                    self.expect(_POWER_OFF_MS)
                    await self.modem.power_off()
            finally:
                self.modem.supply(False)
                self._watchdog.done(TASK)
                if self.radio:
                    self.radio[_RADIO_SPENT] += self.passed_ms() // 1000
        if self._gateway_time:
            unplaced = self.state.sync is None
            self.synchronise(*self._gateway_time)
            if unplaced:
                # For the next session. Not sooner: a seal and a connection take more room.
                self.recorder.seal()
        if self.is_owed():
            return False
        for code in (_PASSED_OVER, _CALL_RAISED):
            self.record_fault(code, False)
        return True

    def passed_ms(self):
        """Return for how long the session goes on."""
        return time.ticks_diff(time.ticks_ms(), self.began)

    def is_owed(self):
        """Return whether there is a block that is not confirmed."""
        return bool(self.state.pending)

    async def _attempt(self):
        """Return whether another attempt is worth while."""
        failure = None
        try:
            await self._exchange(await self._connected())
        except OSError as error:
            failure = error
            self.reason = "%s %s" % (type(error).__name__, error)
        # Also what an error has left loaded, and the words that it has asked for.
        forget("coldtrail.uplink", "mqtt", "mqtt_connect", "publish", "attach", "budget")
        forget("coldtrail.uplink", "connect")
        forget("drivers.bg95", "power_on", "power", "setup", "settings", "pin", "cell", "time")
        forget("drivers.bg95", "tls", "connect", "stream", "refusal", "at_text")
        self._judge()
        from coldtrail.uplink import recover

        again = await recover.follow(self, failure)
        del recover
        forget("coldtrail.uplink", "recover")
        return again

    async def _connected(self):
        """Return a stream to the broker; each step's code is given back before the next."""
        unplaced = self.state.sync is None
        from coldtrail.uplink import attach

        await attach.attach(self)
        del attach
        forget("coldtrail.uplink", "attach")
        if unplaced:
            # So that the gateway can place what this session brings, not only the next one.
            self.recorder.seal()
        from coldtrail.uplink import connect as connection

        stream = await connection.connect(self)
        del connection
        forget("coldtrail.uplink", "connect")
        return stream

    def refuse(self, reason):
        """Return the error to raise where another attempt cannot help."""
        self.is_refused = True
        return OSError("refused: " + reason)

    def now(self):
        """Return the seconds since boot."""
        return self.port.since_boot(self.state.boot_rtc)[0]

    def record_fault(self, code, stands):
        """Record that a fault of the modem begins or ends, where that is news."""
        if stands != self.state.stands(_SUBJECT_MODEM, code):
            self.recorder.record(_FAULT, [self.now(), _SUBJECT_MODEM, code, int(stands)])

    def expect(self, limit_ms):
        """Tell the watchdog that the next step keeps this limit."""
        # Twice the limit that the step itself keeps: this one only catches a step that does not.
        self._watchdog.expect(TASK, 2 * limit_ms)

    def synchronise(self, ticks, unix, unix_ms, uncertainty_ms, source):
        """Take what a source says: at ``time.ticks_ms()`` = ``ticks`` it was ``unix`` (UTC)."""
        from coldtrail import clock

        then = clock.moment(self.port, self.state, ticks)
        clock.take(self.recorder, then + [unix, unix_ms, uncertainty_ms, source])
        del clock
        forget("coldtrail", "clock")

    async def _exchange(self, stream):
        # Not before: it takes the room that the modem's setup has left.
        from coldtrail.uplink import mqtt, mqtt_connect

        client = mqtt.Client(stream, self._identity.tracker, _KEEPALIVE_S, self._packet)
        client.on_message = self._message
        self.expect(_ANSWER_MS)
        try:
            await mqtt_connect.connect(client, _ANSWER_MS)
        except mqtt_connect.Refused:
            self.is_refused = True
            raise
        topic = "coldtrail/1/" + self._identity.tracker
        self.expect(_ANSWER_MS)
        topics = ((topic + "/confirmation", 0), (topic + "/command", 1))
        await mqtt_connect.subscribe(client, topics, _ANSWER_MS)
        del mqtt_connect
        forget("coldtrail.uplink", "mqtt_connect")
        # A retained confirmation comes before the answer, so that no block is published again that
        # the gateway has confirmed meanwhile.
        self.expect(_ANSWER_MS)
        await client.ping(_ANSWER_MS)
        self._judge()
        from coldtrail.uplink import publish

        await publish.publish(self, client, topic + "/up")
        del publish
        forget("coldtrail.uplink", "publish")
        self.sent_again = self.again is not None
        deadline = time.ticks_add(time.ticks_ms(), _CONFIRM_MS)
        self._judge()
        while self.state.pending:
            left = time.ticks_diff(deadline, time.ticks_ms())
            if left <= 0:
                self.reason = "no confirmation within %d s" % (_CONFIRM_MS // 1000)
                break
            self.expect(_CONFIRM_MS)
            await client.receive(left)
            self._judge()
        self.expect(_ANSWER_MS)
        await client.disconnect()
        await stream.close()

    def _message(self, topic, payload, retain):
        """Take a message of the gateway's; anything that does not verify changes nothing."""
        is_command = topic.endswith("/command")
        if is_command and not len(payload):
            return  # there is none any more
        try:
            opened = self._open(payload, cose.COMMAND if is_command else cose.CONFIRMATION)
            if is_command:
                self._command(opened)
            else:
                # Each says all that those before it have said. Judged outside of the client and
                # of what publishes, because with them there is no room for it.
                now = time.ticks_ms()
                late = time.ticks_diff(now, self.published)
                self._heard = (opened, now, late, self.fresh)
        except ValueError as error:
            self._disbelieve(error)

    def _disbelieve(self, error):
        self.refused += 1
        self.reason = "message refused: %s" % error

    def _open(self, message, content_type):
        identity = self._identity
        return cose.open_mac0(
            message,
            lambda kid: identity.downlink_key if kid == identity.kid else None,
            content_type,
            "down",
            identity.tracker,
        )

    def _command(self, payload):
        """Keep the newest; it is judged and carried out after the session (commands.py)."""
        counter = _counter_of(payload)
        if counter > self._counter:
            self._counter = counter
            self.command = payload  # a copy already
        elif counter < self.state.command:
            self.refused += 1
            self.replayed += 1

    def _judge(self):
        """Take in the newest confirmation, where one has come."""
        if self._heard is None:
            return
        payload, now, late, fresh = self._heard
        self._heard = None
        from coldtrail.contract import confirmation

        try:
            document = confirmation.parse(payload)
        except ValueError as error:
            self._disbelieve(error)
            document = None
        del confirmation
        forget("coldtrail.contract", "confirmation", "limits")
        state = self.state
        known = state.is_confirmed(fresh)
        if document is None or not self.recorder.confirm(document):
            return
        if not known and state.is_confirmed(fresh):
            # It knows a block that nobody knew before this session, so it is not older than that.
            # Judged after the session, which leaves no room for it.
            self._gateway_time = (now, document[4], document[5], late, _GATEWAY)


def _counter_of(payload):
    """Return the counter of a command (uplink.cddl) whose MAC has been verified; ValueError."""
    command = cbor.decode(payload, 3)
    if not isinstance(command, dict) or not isinstance(command.get(1), int):
        raise ValueError("command: no counter")
    return command[1]
