"""People and programs: added, disabled, and let in again; and the first administrator.

What lets somebody in under another's name would be a way around the two steps of `grants`: a new
password for the account, and its second factor taken off. One administrator may do the one or the
other within a day, and not both. An account's identity at a provider never changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from coldtrail_gateway.audit import (
    accounts,
    codes,
    devices,
    grants,
    local_time,
    names,
    sessions,
    sign_in,
    tokens,
    trail,
)
from coldtrail_gateway.audit.access import Who, record
from coldtrail_gateway.audit.accounts import Account, AccountError
from coldtrail_gateway.audit.operations import OPERATIONS, Operation
from coldtrail_gateway.audit.people_tables import accounts as table
from coldtrail_gateway.audit.people_tables import shipment_parties
from coldtrail_gateway.audit.roles import ADMINISTRATOR
from coldtrail_gateway.audit.second_factor import Sealer
from coldtrail_gateway.audit.trail import Kind, Subject, Wanted
from coldtrail_gateway.store.dialect import insert
from coldtrail_gateway.store.tower.database import Tower

APART_MS: Final = 24 * 3_600_000
"""How long one administrator waits between a new password and taking a second factor off."""

_LONGEST_ID: Final = 255  # of an issuer and a subject, as OpenID Connect has it for the latter

_NEW_CODE: Final = OPERATIONS["people.code"]
_FACTOR_OFF: Final = OPERATIONS["people.second-factor-off"]


@dataclass(frozen=True, slots=True)
class New:
    """Somebody to be added; a person with an issuer and a subject signs in at that provider."""

    name: str
    shown: str
    kind: Kind = Kind.PERSON
    zone: str = "UTC"
    issuer: str | None = None
    subject: str | None = None


def add(
    connection: Connection, who: Who, new: New, why: str, now_ms: int
) -> tuple[Account, str | None]:
    """Add a person or program without any role; return also the code to set a password with.

    Programs, and people who sign in at a provider, have no password and get no code.

    Raises:
        AccountError: the name, or one that looks like it, or the identity is taken.
        NameRefused: the name is none.
    """
    who.check(OPERATIONS["people.add"])
    trail.lock(connection)
    name, shown = names.sign_in_name(new.name), names.shown_name(new.shown)
    _check_new(connection, name, new)
    after: dict[str, Any] = {
        "name": name,
        "shown": shown,
        "zone": new.zone,
        "issuer": new.issuer,
        "subject": new.subject,
    }
    subject = Subject(new.kind.value, name)
    record(connection, who, OPERATIONS["people.add"], subject, None, after, why, now_ms)
    number = connection.execute(
        sa.insert(table)
        .values(
            kind=new.kind.value,
            skeleton=names.skeleton(name),
            made_ms=now_ms,
            **after,
        )
        .returning(table.c.id)
    ).scalar_one()
    code = None
    if new.kind is Kind.PERSON and new.issuer is None:
        code = codes.new(connection, number, now_ms)
    return accounts.by_id(connection, number), code


def add_first(
    connection: Connection, who: Who, new: New, why: str, now_ms: int
) -> tuple[Account, str | None]:
    """Add the first administrator, from the terminal of this machine.

    Raises:
        AccountError: there is an administrator, or who asks is not at the terminal.
    """
    if who.actor.kind is not Kind.CONSOLE:
        raise AccountError("The first administrator is made at the terminal of the gateway.")
    if new.kind is not Kind.PERSON:
        raise AccountError("The first administrator is a person, not a program.")
    trail.lock(connection)
    if present := grants.administrators(connection):
        named = ", ".join(sorted(mark.partition(":")[2] for mark in present))
        raise AccountError(
            f"There is an administrator already ({named}): add others without --first."
        )
    account, code = add(connection, who, new, why, now_ms)
    after: dict[str, Any] = {"role": ADMINISTRATOR, "to": account.name, "first": True}
    record(connection, who, OPERATIONS["roles.confirm"], account.entry(), None, after, why, now_ms)
    grants.give_first(connection, who, account, now_ms)
    return account, code


def disable(connection: Connection, who: Who, name: str, why: str, now_ms: int) -> Account:
    """Let somebody in no longer: roles, sessions, tokens and codes end at once.

    Raises:
        AccountError: there is nobody of that name, or the account is disabled already.
        GrantError: it is the last administrator.
    """
    who.check(OPERATIONS["people.disable"])
    trail.lock(connection)
    account = accounts.named(connection, name)
    if account.disabled_ms is not None:
        raise AccountError(f"{account.name} is disabled already.")
    grants.check_not_last(connection, account)
    held = [
        role if organisation is None else f"{role} for {organisation}"
        for role, organisation in grants.held(connection, account.id)
    ]
    before: dict[str, Any] = {"disabled": False, "roles": held}
    after: dict[str, Any] = {"disabled": True, "roles": []}
    record(
        connection, who, OPERATIONS["people.disable"], account.entry(), before, after, why, now_ms
    )
    _set_disabled(connection, account.id, now_ms)
    grants.end_all(connection, who, account.id, now_ms)
    sessions.end_all(connection, account.id, now_ms)
    tokens.revoke_all(connection, account.id, now_ms)
    codes.end_all(connection, account.id, now_ms)
    return accounts.by_id(connection, account.id)


def enable(connection: Connection, who: Who, name: str, why: str, now_ms: int) -> Account:
    """Let somebody in again, with the old password and without any role.

    Raises:
        AccountError: there is nobody of that name, or the account is not disabled.
    """
    who.check(OPERATIONS["people.enable"])
    trail.lock(connection)
    account = accounts.named(connection, name)
    if account.disabled_ms is None:
        raise AccountError(f"{account.name} is not disabled.")
    before, after = {"disabled": True}, {"disabled": False}
    record(
        connection, who, OPERATIONS["people.enable"], account.entry(), before, after, why, now_ms
    )
    _set_disabled(connection, account.id, None)
    return accounts.by_id(connection, account.id)


def new_code(connection: Connection, who: Who, name: str, why: str, now_ms: int) -> str:
    """Return a one-time code with which somebody sets a new password.

    Raises:
        AccountError: there is no such person, or one who has no password here; or the same
            administrator has taken the second factor off less than a day ago.
    """
    account = _resettable(connection, who, name, _NEW_CODE, _FACTOR_OFF, now_ms)
    record(connection, who, _NEW_CODE, account.entry(), None, None, why, now_ms)
    return codes.new(connection, account.id, now_ms)


def second_factor_off(
    connection: Connection, who: Who, name: str, why: str, now_ms: int
) -> Account:
    """Take somebody's second factor off, who has lost it and the recovery codes too.

    Raises:
        AccountError: there is no such person, or no second factor; or the same administrator has
            made a code for the person less than a day ago.
    """
    account = _resettable(connection, who, name, _FACTOR_OFF, _NEW_CODE, now_ms)
    if not devices.in_force(connection, account.id):
        raise AccountError(f"{account.name} has no second factor.")
    before, after = {"second_factor": True}, {"second_factor": False}
    record(connection, who, _FACTOR_OFF, account.entry(), before, after, why, now_ms)
    devices.take_off(connection, account.id)
    sessions.end_all(connection, account.id, now_ms)
    return account


def end_sessions(connection: Connection, who: Who, name: str, why: str, now_ms: int) -> int:
    """End all sessions of somebody, and return how many were open.

    Raises:
        AccountError: there is no such person.
    """
    who.check(OPERATIONS["people.sessions-end"])
    trail.lock(connection)
    account = accounts.named(connection, name, Kind.PERSON)
    operation = OPERATIONS["people.sessions-end"]
    record(connection, who, operation, account.entry(), None, None, why, now_ms)
    return sessions.end_all(connection, account.id, now_ms)


def begin_second_factor(
    tower: Tower, sealer: Sealer, who: Who, password: str, now_ms: int
) -> tuple[Account, str]:
    """Return one's own account and the secret of a new device, after a proof.

    Raises:
        SecondFactorError: one is in force already.
        SignInRefused: the password is wrong.
    """
    sign_in.prove(tower, sealer, who, password, "", now_ms)
    with tower.write() as connection:
        account = accounts.own(connection, who, OPERATIONS["self.second-factor"])
        return account, devices.begin(connection, sealer, account.id, now_ms)


def confirm_second_factor(
    tower: Tower, sealer: Sealer, who: Who, code: str, now_ms: int
) -> list[str]:
    """Put one's own new device in force by its first code; return recovery codes.

    Raises:
        SecondFactorError: none was begun, or this is no code of it.
    """
    with tower.write() as connection:
        account = accounts.own(connection, who, OPERATIONS["self.second-factor"])
        _record_factor(connection, who, account, now_ms, on=True)
        return devices.confirm(connection, sealer, account.id, code, now_ms)


def own_second_factor_off(
    tower: Tower, sealer: Sealer, who: Who, password: str, code: str, now_ms: int
) -> None:
    """Take one's own second factor off, after a proof with it.

    Raises:
        SignInRefused: password or code is wrong.
    """
    sign_in.prove(tower, sealer, who, password, code, now_ms)
    with tower.write() as connection:
        account = accounts.own(connection, who, OPERATIONS["self.second-factor"])
        _record_factor(connection, who, account, now_ms, on=False)
        devices.take_off(connection, account.id)


def share(
    connection: Connection,
    who: Who,
    shipment: str,
    organisation: str,
    why: str,
    now_ms: int,
    *,
    ends: bool = False,
) -> None:
    """Say that a shipment is an organisation's, so that its people see it, or that it is not."""
    operation = OPERATIONS["roles.share"]
    name = names.sign_in_name(organisation)
    fact = {"organisation": name}
    before, after = (fact, None) if ends else (None, fact)
    record(connection, who, operation, Subject("shipment", shipment), before, after, why, now_ms)
    t = shipment_parties
    if ends:
        connection.execute(sa.delete(t).where(t.c.organisation == name, t.c.shipment == shipment))
    else:
        connection.execute(
            insert(connection, t)
            .values(organisation=name, shipment=shipment)
            .on_conflict_do_nothing()
        )


def _record_factor(
    connection: Connection, who: Who, account: Account, now_ms: int, *, on: bool
) -> None:
    record(
        connection,
        who,
        OPERATIONS["self.second-factor"],
        account.entry(),
        {"second_factor": not on},
        {"second_factor": on},
        "",
        now_ms,
    )


def _resettable(
    connection: Connection,
    who: Who,
    name: str,
    operation: Operation,
    other: Operation,
    now_ms: int,
) -> Account:
    who.check(operation)
    trail.lock(connection)
    account = accounts.named(connection, name, Kind.PERSON)
    if account.issuer is not None:
        raise AccountError(f"{account.name} signs in at {account.issuer}: that decides there.")
    if account.disabled_ms is not None:
        raise AccountError(f"{account.name} is disabled: enable the account first.")
    if who.account == account.id:
        raise AccountError("That is your own account: change its password, not by a code.")
    wanted = Wanted(
        actor=who.actor.id, action=other.name, kind=account.kind.value, subject=account.name
    )
    done = [one for one in trail.find(connection, wanted) if one.actor.kind is who.actor.kind]
    if any(abs(now_ms - one.at_ms) < APART_MS for one in done):
        raise AccountError(
            f"You have done {other.name} for {account.name} less than a day ago, and both "
            "together would let you in as that person: ask another administrator, or wait."
        )
    return account


def _set_disabled(connection: Connection, account: int, at_ms: int | None) -> None:
    connection.execute(sa.update(table).where(table.c.id == account).values(disabled_ms=at_ms))


def _check_new(connection: Connection, name: str, new: New) -> None:
    try:
        local_time.zone(new.zone)
    except ValueError as error:
        raise AccountError(f"{error}.") from None
    if (new.issuer is None) is not (new.subject is None):
        raise AccountError("An identity at a provider is an issuer and a subject: state both.")
    if new.issuer is not None:
        if new.kind is Kind.PROGRAM:
            raise AccountError("A program has tokens, and does not sign in at a provider.")
        if not all(_is_id(one) for one in (new.issuer, new.subject or "")):
            raise AccountError(
                f"An issuer and a subject have 1 to {_LONGEST_ID} printable characters."
            )
    skeleton = names.skeleton(name)
    like = connection.scalar(sa.select(table.c.name).where(table.c.skeleton == skeleton))
    if like is not None:
        raise AccountError(
            f"{name} is taken."
            if like == name
            else f"{name} looks like {like}: take another name."
        )
    if new.issuer is not None and new.subject is not None:
        taken = accounts.by_identity(connection, new.issuer, new.subject)
        if taken is not None:
            raise AccountError(f"{taken.name} signs in at that provider as this subject.")


def _is_id(text: str) -> bool:
    return 1 <= len(text) <= _LONGEST_ID and text.isprintable()
