"""Signing in: what an attacker learns, what guessing costs, and that nobody locks others out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any

import argon2
import pytest
import sqlalchemy as sa

from coldtrail_gateway.audit import (
    accounts,
    codes,
    identify,
    passwords,
    people,
    second_factor,
    sessions,
    sign_in,
    throttle,
    trail,
)
from coldtrail_gateway.audit.access import Denied
from coldtrail_gateway.audit.devices import SecondFactorError
from coldtrail_gateway.audit.people_tables import accounts as account_table
from coldtrail_gateway.audit.people_tables import second_factors, sign_in_failures
from coldtrail_gateway.audit.sign_in import SignInRefused
from coldtrail_gateway.audit.throttle import TooSoon
from coldtrail_gateway.store.tower.database import Tower
from tests.gateway.audit.installation import (
    DAY,
    HOME,
    HOUR,
    MINUTE,
    PASSWORD,
    Installation,
)

WRONG = "a wrong password of some length"
ELSEWHERE = "203.0.113.9"


@pytest.fixture
def ben(installation: Installation) -> Installation:
    """An installation with the person ben, who is known at home."""
    installation.with_password("ben")
    return installation


def refused(installation: Installation, *arguments: str, **more: str) -> None:
    with pytest.raises(SignInRefused):
        installation.sign_in(*arguments, **more)


def fail_until_delayed(installation: Installation, name: str, source: str) -> int:
    """Guess without a pause; return how many guesses were judged."""
    for judged in range(100):
        try:
            refused(installation, name, WRONG, source=source)
        except TooSoon:
            return judged
    raise AssertionError("nothing slows down guessing")


def test_who_signs_in_has_a_session_with_the_rights_of_the_moment(ben: Installation) -> None:
    secret = ben.sign_in("BEN ")
    who = identify.who(ben.tower, secret, HOME, ben.now_ms)
    assert (who.actor.id, who.rights) == ("ben", {})
    ben.add("ana", first=True)
    ben.give("ben", "operator")
    assert identify.who(ben.tower, secret, HOME, ben.now_ms).rights


# --- what an attacker learns


class Work:
    """Counts the verifications of a password, and the statements of the database."""

    def __init__(self) -> None:
        self.verified = 0
        self.statements: list[str] = []

    def seen(self, frame: FrameType, event: str, _argument: Any) -> None:
        if event == "call" and frame.f_code.co_name == "verify_secret":
            self.verified += 1

    def executed(self, _c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        self.statements.append(statement)

    def of(self, attempt: Callable[[], object]) -> Work:
        """Run an attempt that is refused."""
        sa.event.listen(sa.Engine, "before_cursor_execute", self.executed)
        sys.setprofile(self.seen)
        try:
            attempt()
        except SignInRefused as error:
            self.said = str(error)
        finally:
            sys.setprofile(None)
            sa.event.remove(sa.Engine, "before_cursor_execute", self.executed)
        return self


def test_nobody_somebody_and_who_has_no_password_take_the_same_work(ben: Installation) -> None:
    ben.with_password("gone")
    ben.add("new")  # has set no password yet
    ben.add("ana", first=True)
    with ben.tower.write() as connection:
        people.disable(connection, ben.console, "gone", "left", ben.now_ms)
    asked = [
        *(("nobody", WRONG), ("ben", WRONG), ("new", WRONG), ("gone", PASSWORD)),
        *(("no such name, by its letters", WRONG), ("ben", "x" * 10_000_000)),
        *(("b\N{CYRILLIC SMALL LETTER IE}n", PASSWORD), ("n" * 10_000_000, PASSWORD)),
    ]
    works = []
    for number, (name, password) in enumerate(asked):
        attempt = partial(ben.sign_in, name, password, source=f"198.51.100.{number}")
        works.append(Work().of(attempt))
    for work, (name, _) in zip(works, asked, strict=True):
        assert work.verified == 1, name[:20]
        assert work.statements == works[0].statements, name[:20]
        assert work.said == works[0].said


def test_a_wrong_code_takes_the_same_work_as_a_wrong_password(ben: Installation) -> None:
    ben.with_factor("ben")
    code = Work().of(lambda: ben.sign_in("ben", PASSWORD, "000000", ELSEWHERE))
    password = Work().of(lambda: ben.sign_in("ben", WRONG, "000000", "203.0.113.10"))
    missing = Work().of(lambda: ben.sign_in("ben", PASSWORD, "", "203.0.113.11"))
    assert code.statements == password.statements == missing.statements
    assert code.verified == password.verified == missing.verified == 1
    assert code.said == password.said == missing.said


# --- guessing


def test_guessing_is_slowed_down_by_account_and_source(ben: Installation) -> None:
    assert fail_until_delayed(ben, "ben", ELSEWHERE) == 5
    waits = []
    for _ in range(12):
        with pytest.raises(TooSoon) as soon:
            ben.sign_in("ben", source=ELSEWHERE)
        waits.append(soon.value.wait_ms)
        ben.now_ms += soon.value.wait_ms
        refused(ben, "ben", WRONG, source=ELSEWHERE)
    assert waits[:4] == [1000, 2000, 4000, 8000]
    assert waits[-1] == 15 * MINUTE


def test_a_refused_attempt_does_not_lengthen_the_wait(ben: Installation) -> None:
    fail_until_delayed(ben, "ben", ELSEWHERE)
    for _ in range(50):
        with pytest.raises(TooSoon):
            ben.sign_in("ben", source=ELSEWHERE)
    ben.now_ms += 1000
    ben.sign_in("ben", source=ELSEWHERE)


def test_one_password_tried_on_many_accounts_is_slowed_down(ben: Installation) -> None:
    for number in range(30):
        refused(ben, f"user-{number}", WRONG, source=ELSEWHERE)
    with pytest.raises(TooSoon):
        ben.sign_in("user-30", WRONG, source=ELSEWHERE)


def test_addresses_of_one_network_are_one_source() -> None:
    assert throttle.network("2001:db8::1") == throttle.network("2001:db8::ffff:1%eth0")
    assert throttle.network("2001:db8::1") != throttle.network("2001:db8:0:1::1")
    assert throttle.network("::ffff:192.0.2.7") == throttle.network("192.0.2.7")
    assert throttle.network("terminal") == "terminal"


def attack_from_everywhere(installation: Installation, name: str) -> None:
    """Guess from ever new sources until each of them has to wait."""
    for number in range(100):
        try:
            refused(installation, name, WRONG, source=f"10.0.{number}.1")
        except TooSoon:
            return
    raise AssertionError("guesses from many sources are not slowed down")


def test_whatever_others_try_the_owner_is_let_in(ben: Installation) -> None:
    earlier = ben.sign_in("ben")
    attack_from_everywhere(ben, "ben")
    with pytest.raises(TooSoon):
        ben.sign_in("ben", source=ELSEWHERE)  # a stranger there
    ben.sign_in("ben", source=HOME)
    ben.sign_in("ben", source=ELSEWHERE, earlier=earlier)  # the browser has been here before


def test_an_attacker_next_door_does_not_hold_up_the_browser_that_was_there(
    ben: Installation,
) -> None:
    """Behind one address with the owner, as in an office."""
    earlier = ben.sign_in("ben")
    assert fail_until_delayed(ben, "ben", HOME) == 5
    ben.sign_in("ben", source=HOME, earlier=earlier)


def test_a_made_up_earlier_session_gives_no_count_of_its_own(ben: Installation) -> None:
    """Neither where the source is known, nor elsewhere, nor with somebody else's session."""
    ben.with_password("eve", source=ELSEWHERE)
    of_eve = ben.sign_in("eve", source=ELSEWHERE)
    for source in (HOME, ELSEWHERE):
        for number in range(5):
            earlier = of_eve if number % 2 else f"cts_{number}"
            refused(ben, "ben", WRONG, source=source, earlier=earlier)
        with pytest.raises(TooSoon):
            ben.sign_in("ben", source=source, earlier="cts_5")


def test_a_session_that_was_ended_for_theft_opens_no_count_of_its_own(ben: Installation) -> None:
    stolen = ben.sign_in("ben")
    with ben.tower.write() as connection:
        assert people.end_sessions(connection, ben.console, "ben", "stolen", ben.now_ms) == 1
    attack_from_everywhere(ben, "ben")
    with pytest.raises(TooSoon):
        ben.sign_in("ben", source=ELSEWHERE, earlier=stolen)


def test_a_one_time_code_lets_the_owner_in_from_a_new_place_under_attack(
    ben: Installation,
) -> None:
    attack_from_everywhere(ben, "ben")
    with ben.tower.write() as connection:
        code = people.new_code(connection, ben.console, "ben", "under attack", ben.now_ms)
    codes.redeem(ben.tower, code, "another lantern by the quarry", ELSEWHERE, ben.now_ms)
    ben.sign_in("ben", "another lantern by the quarry", source=ELSEWHERE)


def test_guesses_at_once_are_all_counted(ben: Installation) -> None:
    def guess(_: int) -> bool:
        try:
            refused(ben, "ben", WRONG, source=ELSEWHERE)
        except TooSoon:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(guess, range(12))) == 5


def test_success_takes_off_no_failures_of_others(ben: Installation) -> None:
    """An attacker with an account of his own gains nothing by signing in between."""
    ben.with_password("eve", source=ELSEWHERE)
    for number in range(29):
        refused(ben, f"user-{number}", WRONG, source=ELSEWHERE)
        if number % 10 == 0:
            ben.sign_in("eve", source=ELSEWHERE)
    refused(ben, "user-29", WRONG, source=ELSEWHERE)
    with pytest.raises(TooSoon):
        refused(ben, "user-30", WRONG, source=ELSEWHERE)


@pytest.mark.parametrize("back", [MINUTE, HOUR, 3 * DAY])
def test_a_clock_set_back_makes_no_wait_longer(ben: Installation, back: int) -> None:
    fail_until_delayed(ben, "ben", ELSEWHERE)
    ben.now_ms -= back
    with_wait = 0
    try:
        ben.sign_in("ben", source=ELSEWHERE)
    except TooSoon as soon:
        with_wait = soon.wait_ms
    assert with_wait <= 1000


def test_old_failures_are_forgotten_and_no_name_is_kept(ben: Installation) -> None:
    refused(ben, PASSWORD, WRONG, source=ELSEWHERE)  # typed into the wrong field
    with ben.tower.read() as connection:
        rows = connection.execute(sa.select(sign_in_failures)).all()
    assert len(rows) == 3
    assert "umbrella" not in repr(rows)
    ben.now_ms += DAY + 1
    ben.sign_in("ben")
    with ben.tower.read() as connection:
        assert not connection.execute(sa.select(sign_in_failures)).all()


def guessed(installation: Installation) -> list[tuple[str, str]]:
    with installation.tower.read() as connection:
        found = trail.find(connection, trail.Wanted(action="sign-in.guessed"))
        return [(one.subject.id, one.after["source"]) for one in found]


def test_the_trail_tells_that_somebody_is_guessing_and_no_name_that_nobody_has(
    ben: Installation,
) -> None:
    for _ in range(4):
        refused(ben, "ben", WRONG)
    assert guessed(ben) == []
    refused(ben, "ben", WRONG)
    ben.now_ms += HOUR
    refused(ben, "ben", WRONG)
    assert guessed(ben) == [("ben", HOME)]
    for number in range(30):
        refused(ben, f"typed-in-the-wrong-field-{number}", WRONG, source=ELSEWHERE)
    assert guessed(ben) == [("ben", HOME), ("unknown", ELSEWHERE)]
    stolen = identify.who(ben.tower, ben.sign_in("ben", source="198.51.100.1"), "", ben.now_ms)
    for _ in range(5):
        with pytest.raises(SignInRefused):
            sign_in.prove(ben.tower, ben.sealer, stolen, WRONG, "", ben.now_ms)
    assert guessed(ben)[2:] == [("ben", "198.51.100.1")]


# --- the second factor


def test_with_a_second_factor_the_password_alone_lets_nobody_in(ben: Installation) -> None:
    device, _ = ben.with_factor("ben")
    refused(ben, "ben")
    ben.sign_in("ben", code=ben.code(device))


def test_a_code_works_once_also_at_once_and_after_the_clock_was_set_back(
    ben: Installation,
) -> None:
    device, _ = ben.with_factor("ben")
    code = ben.code(device)

    def use(_: int) -> bool:
        try:
            ben.sign_in("ben", code=code)
        except (SignInRefused, TooSoon):
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(use, range(4))) == 1
    for number, back in enumerate((0, second_factor.STEP_MS, HOUR)):
        ben.now_ms -= back
        source = f"198.51.100.{number}"
        refused(ben, "ben", code=code, source=source)
        refused(ben, "ben", code=ben.code(device), source=source)  # earlier, never used


def test_a_recovery_code_works_once(ben: Installation) -> None:
    device, spare = ben.with_factor("ben")
    assert len(set(spare)) == second_factor.RECOVERY_CODES
    ben.sign_in("ben", code=spare[0].upper().replace("-", " "))
    refused(ben, "ben", code=spare[0])
    ben.sign_in("ben", code=spare[1])
    ben.sign_in("ben", code=ben.code(device))


def test_somebody_elses_recovery_code_is_none(ben: Installation) -> None:
    _, spare = ben.with_factor("ben")
    ben.with_password("eve")
    device, _ = ben.with_factor("eve")
    refused(ben, "eve", code=spare[0])
    ben.sign_in("eve", code=ben.code(device))


def test_a_device_counts_only_once_its_first_code_was_seen(ben: Installation) -> None:
    who = identify.who(ben.tower, ben.sign_in("ben"), HOME, ben.now_ms)
    people.begin_second_factor(ben.tower, ben.sealer, who, PASSWORD, ben.now_ms)
    with pytest.raises(SecondFactorError, match="no code of the new device"):
        people.confirm_second_factor(ben.tower, ben.sealer, who, "000000", ben.now_ms)
    ben.sign_in("ben")


def test_nobody_sets_up_or_removes_a_device_with_a_stolen_session_alone(
    ben: Installation,
) -> None:
    stolen = identify.who(ben.tower, ben.sign_in("ben"), HOME, ben.now_ms)
    with pytest.raises(SignInRefused):
        people.begin_second_factor(ben.tower, ben.sealer, stolen, WRONG, ben.now_ms)
    device, _ = ben.with_factor("ben")
    with pytest.raises(SignInRefused):
        people.own_second_factor_off(ben.tower, ben.sealer, stolen, PASSWORD, "000000", ben.now_ms)
    code = ben.code(device)
    people.own_second_factor_off(ben.tower, ben.sealer, stolen, PASSWORD, code, ben.now_ms)
    ben.sign_in("ben")


def test_guesses_of_a_proof_in_a_stolen_session_are_slowed_down(ben: Installation) -> None:
    stolen = identify.who(ben.tower, ben.sign_in("ben"), HOME, ben.now_ms)
    for _ in range(5):
        with pytest.raises(SignInRefused):
            sign_in.prove(ben.tower, ben.sealer, stolen, WRONG, "", ben.now_ms)
    with pytest.raises(TooSoon):
        sign_in.prove(ben.tower, ben.sealer, stolen, PASSWORD, "", ben.now_ms)
    ben.sign_in("ben")  # its owner is not held up


def test_a_proof_says_by_what_it_was_given(ben: Installation) -> None:
    device, spare = ben.with_factor("ben")
    who = identify.who(ben.tower, ben.sign_in("ben", code=spare[0]), HOME, ben.now_ms)
    proof = sign_in.prove(ben.tower, ben.sealer, who, PASSWORD, ben.code(device), ben.now_ms)
    assert (proof.person, set(proof.components)) == ("ben", {"password", "totp"})
    proof = sign_in.prove(ben.tower, ben.sealer, who, PASSWORD, spare[1], ben.now_ms)
    assert proof.components == {"password", "recovery code"}


def test_a_sealed_device_opens_for_its_account_and_key_only(
    ben: Installation, tower: Tower
) -> None:
    ben.with_factor("ben")
    with tower.read() as connection:
        row = connection.execute(sa.select(second_factors)).one()
    assert ben.sealer.open(row.account, row.sealed)
    other = second_factor.Sealer(ben.sealer.path.with_name("other.key"))
    for sealer, account in ((ben.sealer, row.account + 1), (other, row.account)):
        with pytest.raises(second_factor.KeyFileError):
            sealer.open(account, row.sealed)


# --- passwords over time


def test_a_hash_of_older_parameters_is_replaced_when_it_has_matched(ben: Installation) -> None:
    weak = argon2.PasswordHasher(time_cost=2, memory_cost=16, parallelism=1).hash(PASSWORD)
    with ben.tower.write() as connection:
        connection.execute(sa.update(account_table).values(password=weak))
    ben.sign_in("ben")
    with ben.tower.read() as connection:
        found = accounts.with_password(connection, "ben")
    assert found is not None
    assert (passwords.is_outdated(weak), passwords.is_outdated(found[1])) == (True, False)
    ben.sign_in("ben")


def test_a_new_password_ends_the_sessions_and_the_old_one(ben: Installation) -> None:
    secret = ben.sign_in("ben")
    who = identify.who(ben.tower, secret, HOME, ben.now_ms)
    new = "another lantern by the quarry"
    sign_in.change_password(ben.tower, ben.sealer, who, PASSWORD, "", new, ben.now_ms)
    with pytest.raises(Denied):
        identify.who(ben.tower, secret, HOME, ben.now_ms)
    refused(ben, "ben", PASSWORD)
    ben.sign_in("ben", new)


@contextmanager
def while_judging(act: Callable[[], object]) -> Iterator[None]:
    """Do something once while a password is verified, which takes long: nothing waits for it."""
    done: list[bool] = []

    def seen(frame: FrameType, event: str, _argument: Any) -> None:
        if event == "call" and frame.f_code.co_name == "verify_secret" and not done:
            done.append(True)
            act()

    sys.setprofile(seen)
    try:
        yield
    finally:
        sys.setprofile(None)
    assert done


def test_who_is_disabled_while_the_password_is_judged_is_not_let_in(ben: Installation) -> None:
    ben.add("ana", first=True)

    def disable() -> None:
        with ben.tower.write() as connection:
            people.disable(connection, ben.console, "ben", "left", ben.now_ms)

    with while_judging(disable):
        refused(ben, "ben")
    with ben.tower.read() as connection:
        found = sessions.of(connection, ben.who("ben").account or 0)
    assert not any(one.is_open(ben.now_ms) for one in found)


def test_a_password_that_is_replaced_while_it_is_judged_lets_nobody_in(ben: Installation) -> None:
    with ben.tower.write() as connection:
        code = people.new_code(connection, ben.console, "ben", "stolen", ben.now_ms)
    later = ben.now_ms + 1
    new = "another lantern by the quarry"
    with while_judging(lambda: codes.redeem(ben.tower, code, new, HOME, later)):
        refused(ben, "ben", PASSWORD)
    ben.sign_in("ben", new)


def test_a_code_that_is_used_while_the_password_is_judged_lets_nobody_in(
    ben: Installation,
) -> None:
    """The same code at the same moment, by two who know the password."""
    device, spare = ben.with_factor("ben")
    for code in (ben.code(device), spare[0]):
        with while_judging(partial(ben.sign_in, "ben", code=code)):
            refused(ben, "ben", code=code)


def test_a_second_factor_that_is_put_in_force_meanwhile_is_asked_for(ben: Installation) -> None:
    with while_judging(partial(ben.with_factor, "ben")):
        refused(ben, "ben")
