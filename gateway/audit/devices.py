"""The second factors of people: set up, confirmed by a first code, used, and taken off."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from coldtrail_gateway.audit import second_factor, secret_text
from coldtrail_gateway.audit.people_tables import recovery_codes, second_factors
from coldtrail_gateway.audit.second_factor import Sealer
from coldtrail_gateway.errors import GatewayError
from coldtrail_gateway.store.dialect import insert


class SecondFactorError(GatewayError):
    """A second factor that is not set up; the message says why."""


@dataclass(frozen=True, slots=True)
class CodeProof:
    """What a code proves: the step of time whose code it is, or a recovery code's digest."""

    step: int | None = None
    recovery: bytes | None = None

    def __bool__(self) -> bool:
        return self.step is not None or self.recovery is not None


def in_force(connection: Connection, account: int) -> bool:
    """Tell whether an account needs a code to sign in."""
    return bool(
        connection.scalar(
            sa.select(second_factors.c.in_force).where(second_factors.c.account == account)
        )
    )


def begin(connection: Connection, sealer: Sealer, account: int, now_ms: int) -> str:
    """Return the secret of a new device; it counts once `confirm` has seen a code of it.

    Raises:
        SecondFactorError: one is in force already.
    """
    if in_force(connection, account):
        raise SecondFactorError("A second factor is in force already: take it off first.")
    secret = second_factor.new_secret()
    values = {
        "sealed": sealer.seal(account, secret),
        "made_ms": now_ms,
        "in_force": False,
        "last_step": 0,
    }
    statement = insert(connection, second_factors).values(account=account, **values)
    connection.execute(statement.on_conflict_do_update(index_elements=["account"], set_=values))
    return secret


def confirm(
    connection: Connection, sealer: Sealer, account: int, code: str, now_ms: int
) -> list[str]:
    """Put the new device in force, and return recovery codes, which nobody will show again.

    Raises:
        SecondFactorError: none was begun, or this is no code of it.
    """
    row = connection.execute(
        sa.select(second_factors).where(second_factors.c.account == account)
    ).one_or_none()
    if row is None or row.in_force:
        raise SecondFactorError("No second factor waits for its first code: begin with that.")
    step = second_factor.step(sealer.open(account, row.sealed), code, now_ms, row.last_step)
    if step is None:
        raise SecondFactorError(
            "This is no code of the new device: compare the clocks of the device and of this "
            "machine, and try the next code."
        )
    connection.execute(
        sa.update(second_factors)
        .where(second_factors.c.account == account)
        .values(in_force=True, last_step=step)
    )
    codes = second_factor.new_recovery_codes()
    connection.execute(sa.delete(recovery_codes).where(recovery_codes.c.account == account))
    connection.execute(
        sa.insert(recovery_codes),
        [{"digest": secret_text.digest_typed(one), "account": account} for one in codes],
    )
    return codes


def look(
    connection: Connection, sealer: Sealer, account: int | None, code: str, now_ms: int
) -> CodeProof | None:
    """Return what a code proves; None where the account needs none. Nothing is used up.

    For nobody (None) it asks the database the same.
    """
    row = connection.execute(
        sa.select(second_factors).where(second_factors.c.account == (account or 0))
    ).one_or_none()
    digest = secret_text.digest_typed(code)
    recovery = connection.execute(
        sa.select(recovery_codes.c.digest).where(
            recovery_codes.c.digest == digest,
            recovery_codes.c.account == (account or 0),
            recovery_codes.c.used_ms.is_(None),
        )
    ).first()
    if row is None or account is None or not row.in_force:
        return None
    if recovery is not None:
        return CodeProof(recovery=digest)
    return CodeProof(
        second_factor.step(sealer.open(account, row.sealed), code, now_ms, row.last_step)
    )


def use(connection: Connection, account: int, proof: CodeProof, now_ms: int) -> bool:
    """Use a code up; tell whether it was still there to be used."""
    if proof.step is not None:
        used = sa.update(second_factors).where(
            second_factors.c.account == account,
            second_factors.c.in_force,
            second_factors.c.last_step < proof.step,
        )
        return connection.execute(used.values(last_step=proof.step)).rowcount == 1
    spent = sa.update(recovery_codes).where(
        recovery_codes.c.digest == proof.recovery,
        recovery_codes.c.account == account,
        recovery_codes.c.used_ms.is_(None),
    )
    return connection.execute(spent.values(used_ms=now_ms)).rowcount == 1


def take_off(connection: Connection, account: int) -> None:
    """Forget a device and its recovery codes; the caller records that."""
    for table in (second_factors, recovery_codes):
        connection.execute(sa.delete(table).where(table.c.account == account))
