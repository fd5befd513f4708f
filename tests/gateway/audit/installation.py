"""An installation with people, as its commands make them, on a clock that the test holds."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pyotp

from coldtrail_gateway.audit import access as accesses
from coldtrail_gateway.audit import (
    accounts,
    codes,
    grants,
    identify,
    people,
    second_factor,
    sign_in,
)
from coldtrail_gateway.audit.access import Who
from coldtrail_gateway.audit.people import New
from coldtrail_gateway.audit.second_factor import Sealer
from coldtrail_gateway.audit.sign_in import Attempt
from coldtrail_gateway.audit.trail import Kind
from coldtrail_gateway.store.tower.database import Tower

NOW_MS: Final = 1_770_000_000_000
MINUTE: Final = 60_000
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
PASSWORD: Final = "umbrella quarry 7 lantern"
HOME: Final = "192.0.2.7"


class Installation:
    """`now_ms` is what the clock says."""

    def __init__(self, tower: Tower, folder: Path) -> None:
        self.tower = tower
        self.sealer = Sealer(folder / "people.key")
        self.now_ms = NOW_MS
        self.console = accesses.console()

    def add(self, name: str, kind: Kind = Kind.PERSON, *, first: bool = False) -> str | None:
        """Add somebody; return the one-time code."""
        make = people.add_first if first else people.add
        new = New(name, f"The {name}", kind)
        with self.tower.write() as connection:
            return make(connection, self.console, new, "set up", self.now_ms)[1]

    def with_password(self, name: str, password: str = PASSWORD, source: str = HOME) -> None:
        """Add a person who has set a password from a source."""
        code = self.add(name)
        assert code is not None
        codes.redeem(self.tower, code, password, source, self.now_ms)

    def with_administrators(self) -> None:
        """Add the administrators ana, the first, and bob, without a password."""
        self.add("ana", first=True)
        self.add("bob")
        self.give("bob", "administrator")

    def give(self, name: str, role: str, organisation: str | None = None) -> int:
        """Give a role in the two steps: the terminal proposes, ana confirms."""
        with self.tower.write() as connection:
            proposed = grants.propose(
                connection, self.console, name, role, organisation, "set up", self.now_ms
            )
            grants.confirm(connection, self.who("ana"), proposed.id, "set up", self.now_ms)
        return proposed.id

    def who(self, name: str) -> Who:
        """Return somebody as if signed in, with the rights of this moment."""
        with self.tower.read() as connection:
            account = accounts.named(connection, name)
            held = accesses.rights(grants.held(connection, account.id))
        return Who(account.actor("test"), account.id, held)

    def sign_in(
        self,
        name: str,
        password: str = PASSWORD,
        code: str = "",
        source: str = HOME,
        earlier: str | None = None,
    ) -> str:
        """Sign in; return the session's secret."""
        attempt = Attempt(name, password, code, source, earlier)
        return sign_in.sign_in(self.tower, self.sealer, attempt, self.now_ms)

    def with_factor(self, name: str) -> tuple[pyotp.TOTP, list[str]]:
        """Put a device in force; return it and the recovery codes. Its first code is used then."""
        who = identify.who(self.tower, self.sign_in(name), HOME, self.now_ms)
        _, secret = people.begin_second_factor(self.tower, self.sealer, who, PASSWORD, self.now_ms)
        device = pyotp.TOTP(secret)
        spare = people.confirm_second_factor(
            self.tower, self.sealer, who, self.code(device), self.now_ms
        )
        self.now_ms += second_factor.STEP_MS
        return device, spare

    def code(self, device: pyotp.TOTP) -> str:
        """Return what a device shows now."""
        return device.at(self.now_ms // 1000)
