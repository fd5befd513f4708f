"""People, codes, roles in two steps, sessions and tokens: what lasts how long, and opens what."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa

from coldtrail_gateway.audit import (
    accounts,
    codes,
    grants,
    identify,
    people,
    people_tables,
    second_factor,
    secret_text,
    sessions,
    tokens,
    trail,
)
from coldtrail_gateway.audit.access import Denied, Who
from coldtrail_gateway.audit.accounts import AccountError
from coldtrail_gateway.audit.codes import CodeRefused
from coldtrail_gateway.audit.grants import GrantError, State
from coldtrail_gateway.audit.names import NameRefused
from coldtrail_gateway.audit.passwords import PasswordRefused
from coldtrail_gateway.audit.people import New
from coldtrail_gateway.audit.roles import ROLES, Permission, Reach
from coldtrail_gateway.audit.sessions import IDLE_MS, LONGEST_MS
from coldtrail_gateway.audit.sign_in import SignInRefused
from coldtrail_gateway.audit.tokens import TokenError
from coldtrail_gateway.audit.trail import Kind, TrailError
from coldtrail_gateway.store.tower.schema import metadata
from tests.gateway.audit.installation import DAY, HOME, HOUR, MINUTE, PASSWORD, Installation

LONG = pytest.param("x" * 10_000_000, id="10 MB")
OTHER = "another lantern by the quarry"


def redeem(installation: Installation, code: str, password: str = PASSWORD) -> None:
    codes.redeem(installation.tower, code, password, HOME, installation.now_ms)


def is_open(installation: Installation, secret: str) -> bool:
    try:
        identify.who(installation.tower, secret, HOME, installation.now_ms)
    except Denied:
        return False
    return True


# --- the first administrator, and names


def test_the_first_administrator_is_made_at_the_terminal_and_only_the_first(
    installation: Installation,
) -> None:
    code = installation.add("ana", first=True)
    assert code is not None
    with pytest.raises(SignInRefused):
        installation.sign_in("ana", "")  # there is no default password
    redeem(installation, code)
    who = identify.who(installation.tower, installation.sign_in("ana"), HOME, installation.now_ms)
    assert Permission.ADMINISTER in who.rights
    with pytest.raises(AccountError, match="an administrator already"):
        installation.add("eve", first=True)
    with pytest.raises(AccountError, match="at the terminal"), installation.tower.write() as made:
        people.add_first(made, who, New("eve", "Eve"), "why", installation.now_ms)


def test_of_several_first_administrators_at_once_one_is_made(installation: Installation) -> None:
    def first(number: int) -> bool:
        try:
            installation.add(f"ana-{'abcd'[number]}", first=True)
        except AccountError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(first, range(4))) == 1


@pytest.mark.parametrize(
    "name",
    [
        "аna",  # Cyrillic
        "ɑna",  # Latin alpha
        "ａna",  # wide
        "Ana",
        "a.na",
        "an-a",
        " ana ",
    ],
)
def test_a_name_that_looks_like_one_that_is_there_is_refused(
    installation: Installation, name: str
) -> None:
    installation.add("ana")
    with pytest.raises((NameRefused, AccountError)):
        installation.add(name)
    with installation.tower.read() as connection:
        assert len(accounts.everyone(connection)) == 1


@pytest.mark.parametrize(
    ("there", "new"), [("anna1", "annal"), ("bob", "b0b"), ("marna", "mama"), ("via", "vla")]
)
def test_letters_and_digits_that_look_alike_are_one_name(
    installation: Installation, there: str, new: str
) -> None:
    installation.add(there)
    with pytest.raises(AccountError, match=f"{new} looks like {there}"):
        installation.add(new)


@pytest.mark.parametrize(
    "name", ["", "-a", "a b", "a\nb", "a/b", "os:root", "x" * 33, LONG, "\ud800"]
)
def test_what_is_no_name_is_refused(installation: Installation, name: str) -> None:
    with pytest.raises(NameRefused):
        installation.add(name)


@pytest.mark.parametrize(
    "shown",
    [
        "",
        " ",
        "A\N{RIGHT-TO-LEFT OVERRIDE}na",
        "Ana\x1b[2J",
        "Аna Costa",  # the first letter is Cyrillic
        "x" * 81,
        LONG,
        "123",
        "\ud800",
    ],
)
def test_what_is_no_shown_name_is_refused(installation: Installation, shown: str) -> None:
    with installation.tower.write() as connection, pytest.raises(NameRefused):
        people.add(connection, installation.console, New("ana", shown), "why", installation.now_ms)


@pytest.mark.parametrize(
    "shown", ["Zoë O'Hara-Müller", "Анна Петрова", "山田 花子", "Li 李", "D'Àlía"]
)
def test_names_of_every_script_are_shown(installation: Installation, shown: str) -> None:
    with installation.tower.write() as connection:
        new = New("ana", shown)
        account, _ = people.add(connection, installation.console, new, "why", installation.now_ms)
    assert account.shown == shown


@pytest.mark.parametrize(
    ("issuer", "subject"),
    [
        ("https://provider.example", None),
        (None, "s"),
        ("https://provider.example", ""),
        ("https://provider.example", "a\0b"),
        ("https://provider.example", "x" * 256),
        ("https://provider.example\n", "s"),
        ("https://provider.example", "taken"),
    ],
)
def test_an_identity_at_a_provider_is_whole_and_one_persons(
    installation: Installation, issuer: str | None, subject: str | None
) -> None:
    with installation.tower.write() as connection:
        taken = New("ana", "Ana", issuer="https://provider.example", subject="taken")
        people.add(connection, installation.console, taken, "why", installation.now_ms)
    new = New("ben", "Ben", issuer=issuer, subject=subject)
    with installation.tower.write() as connection, pytest.raises(AccountError):
        people.add(connection, installation.console, new, "why", installation.now_ms)


# --- one-time codes


def test_a_code_works_once_also_at_once(installation: Installation) -> None:
    code = installation.add("ben")
    assert code is not None

    def use(number: int) -> bool:
        try:
            redeem(installation, code, f"{OTHER} {number}")
        except CodeRefused:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(use, range(4)))
    assert sum(done) == 1
    installation.sign_in("ben", f"{OTHER} {done.index(True)}")


def test_a_code_is_taken_however_it_is_typed_and_survives_a_refused_password(
    installation: Installation,
) -> None:
    code = installation.add("ben")
    assert code is not None
    with pytest.raises(PasswordRefused):
        redeem(installation, code, "short")
    redeem(installation, f"  {code.upper().replace('-', ' ')} ")
    installation.sign_in("ben")


@pytest.mark.parametrize("code", ["", "x", LONG, "\ud800", "aaaaa-aaaaa-aaaaa-aaaaa-aaaaa-a"])
def test_what_is_no_code_is_refused(installation: Installation, code: str) -> None:
    installation.add("ben")
    with pytest.raises(CodeRefused):
        redeem(installation, code)


@pytest.mark.parametrize("moved", [DAY, -6 * MINUTE])
def test_a_code_ends_after_a_day_and_is_not_of_the_future(
    installation: Installation, moved: int
) -> None:
    code = installation.add("ben")
    assert code is not None
    installation.now_ms += moved
    with pytest.raises(CodeRefused):
        redeem(installation, code)


def test_a_new_code_ends_the_one_before_and_the_sessions_once_it_is_used(
    installation: Installation,
) -> None:
    installation.with_password("ben")
    session = installation.sign_in("ben")
    made = []
    for _ in range(2):
        with installation.tower.write() as connection:
            made.append(
                people.new_code(
                    connection, installation.console, "ben", "forgotten", installation.now_ms
                )
            )
    with pytest.raises(CodeRefused):
        redeem(installation, made[0], OTHER)
    assert is_open(installation, session)
    redeem(installation, made[1], OTHER)
    assert not is_open(installation, session)
    with pytest.raises(SignInRefused):
        installation.sign_in("ben")


def test_a_code_takes_no_second_factor_off(installation: Installation) -> None:
    installation.with_password("ben")
    device, _ = installation.with_factor("ben")
    with installation.tower.write() as connection:
        code = people.new_code(
            connection, installation.console, "ben", "forgotten", installation.now_ms
        )
    redeem(installation, code, OTHER)
    with pytest.raises(SignInRefused):
        installation.sign_in("ben", OTHER)
    installation.sign_in("ben", OTHER, code=installation.code(device))


def test_one_administrator_alone_does_not_get_in_as_somebody_else(
    installation: Installation,
) -> None:
    """A new password and the second factor off: the one or the other within a day."""
    installation.with_administrators()
    installation.with_password("ben")
    installation.with_factor("ben")
    ana, bob = installation.who("ana"), installation.who("bob")
    with installation.tower.write() as connection:
        people.new_code(connection, ana, "ben", "forgotten", installation.now_ms)
    with installation.tower.write() as connection, pytest.raises(AccountError, match="another"):
        people.second_factor_off(connection, ana, "ben", "lost", installation.now_ms)
    with installation.tower.write() as connection:
        people.second_factor_off(connection, bob, "ben", "lost", installation.now_ms)
    with installation.tower.write() as connection, pytest.raises(AccountError, match="another"):
        people.new_code(connection, bob, "ben", "forgotten", installation.now_ms + DAY - 1)
    with installation.tower.write() as connection:
        people.new_code(connection, bob, "ben", "forgotten", installation.now_ms + DAY)


# --- roles in two steps


def propose(installation: Installation, who: Who, name: str, role: str, why: str = "why") -> int:
    reach = ROLES[role].reach
    organisation = "acme" if reach is Reach.ONE else None
    with installation.tower.write() as connection:
        return grants.propose(
            connection, who, name, role, organisation, why, installation.now_ms
        ).id


def confirm(installation: Installation, who: Who, grant: int) -> None:
    with installation.tower.write() as connection:
        grants.confirm(connection, who, grant, "why", installation.now_ms)


@pytest.mark.parametrize("role", ROLES)
def test_a_role_is_held_once_another_administrator_has_confirmed_it(
    installation: Installation, role: str
) -> None:
    installation.with_administrators()
    installation.add("ben")
    ana, bob = installation.who("ana"), installation.who("bob")
    grant = propose(installation, ana, "ben", role)
    assert not installation.who("ben").rights
    with pytest.raises(GrantError, match="ask bob"):
        confirm(installation, ana, grant)
    confirm(installation, bob, grant)
    assert set(installation.who("ben").rights) == ROLES[role].permissions
    with pytest.raises(GrantError, match="is held"):
        confirm(installation, bob, grant)


def test_nobody_gives_himself_a_role_or_confirms_his_own(installation: Installation) -> None:
    installation.with_administrators()
    ana, bob = installation.who("ana"), installation.who("bob")
    with pytest.raises(GrantError, match="Nobody gives himself"):
        propose(installation, ana, "ana", "quality")
    grant = propose(installation, bob, "ana", "quality")
    with pytest.raises(GrantError, match="Nobody gives himself"):
        confirm(installation, ana, grant)
    # Alone with the one for whom it is: there is the terminal to ask, or a day to wait.
    with pytest.raises(GrantError, match="a day after"):
        confirm(installation, bob, grant)
    confirm(installation, installation.console, grant)


def test_who_has_a_role_but_no_administrators_gives_none(installation: Installation) -> None:
    installation.with_administrators()
    installation.add("ben")
    installation.give("ben", "quality")
    for name in ("ben", "ana"):
        with pytest.raises((Denied, GrantError)):
            propose(installation, installation.who("ben"), name, "operator")
    with pytest.raises(Denied):
        confirm(
            installation,
            installation.who("ben"),
            propose(installation, installation.who("ana"), "bob", "operator"),
        )


def test_the_only_administrator_waits_a_day(installation: Installation) -> None:
    installation.add("ana", first=True)
    installation.add("ben")
    ana = installation.who("ana")
    grant = propose(installation, ana, "ben", "operator")
    for moved in (0, DAY - 1, -3 * DAY):
        installation.now_ms += moved
        with pytest.raises(GrantError, match="a day after it was"):
            confirm(installation, ana, grant)
        installation.now_ms -= moved
    installation.now_ms += DAY
    confirm(installation, ana, grant)
    with installation.tower.read() as connection:
        told = [one for one in trail.find(connection) if one.action == "roles.confirm"][-1]
    assert told.after["alone"] is True


def test_the_terminal_and_an_administrator_are_two(installation: Installation) -> None:
    installation.add("ana", first=True)
    installation.add("ben")
    grant = propose(installation, installation.console, "ben", "operator")
    with pytest.raises(GrantError, match="ask ana"):
        confirm(installation, installation.console, grant)
    confirm(installation, installation.who("ana"), grant)


def test_a_proposal_lapses_and_can_be_made_again(installation: Installation) -> None:
    installation.with_administrators()
    installation.add("ben")
    grant = propose(installation, installation.who("ana"), "ben", "operator")
    with pytest.raises(GrantError, match="already"):
        propose(installation, installation.who("bob"), "ben", "operator")
    installation.now_ms += grants.OPEN_MS
    with pytest.raises(GrantError, match="lapsed"):
        confirm(installation, installation.who("bob"), grant)
    propose(installation, installation.who("bob"), "ben", "operator")


def test_a_role_is_taken_by_one_at_once_and_the_last_administrator_stays(
    installation: Installation,
) -> None:
    installation.with_administrators()
    installation.add("ben")
    grant = installation.give("ben", "operator")
    with installation.tower.write() as connection:
        grants.end(connection, installation.who("bob"), grant, "why", installation.now_ms)
    assert not installation.who("ben").rights
    with installation.tower.write() as connection:
        people.disable(connection, installation.console, "bob", "left", installation.now_ms)
    for attempt in (
        lambda c: people.disable(c, installation.console, "ana", "left", installation.now_ms),
        lambda c: grants.end(c, installation.console, 1, "left", installation.now_ms),
    ):
        with (
            installation.tower.write() as connection,
            pytest.raises(GrantError, match="only administrator"),
        ):
            attempt(connection)


@pytest.mark.parametrize(
    ("role", "organisation"),
    [("sponsor", None), ("quality", "acme"), ("administrator", "acme"), ("king", None)],
)
def test_a_role_is_held_as_far_as_it_reaches(
    installation: Installation, role: str, organisation: str | None
) -> None:
    installation.with_administrators()
    with installation.tower.write() as connection, pytest.raises(GrantError):
        grants.propose(connection, installation.console, "bob", role, organisation, "why", 1)


def test_who_is_disabled_and_comes_back_has_nothing(installation: Installation) -> None:
    installation.with_administrators()
    installation.with_password("ben")
    installation.give("ben", "operator")
    open_proposal = propose(installation, installation.who("bob"), "ben", "quality")
    session = installation.sign_in("ben")
    for change in (people.disable, people.enable):
        with installation.tower.write() as connection:
            change(connection, installation.console, "ben", "why", installation.now_ms)
    assert not is_open(installation, session)
    assert not installation.who("ben").rights
    with pytest.raises(GrantError, match="is ended"):
        confirm(installation, installation.who("ana"), open_proposal)
    installation.sign_in("ben")


def test_every_change_needs_a_reason_and_stands_in_the_trail(installation: Installation) -> None:
    with pytest.raises(TrailError, match="Say why"), installation.tower.write() as connection:
        people.add(connection, installation.console, New("ana", "Ana"), " ", installation.now_ms)
    installation.with_administrators()
    installation.with_password("ben")
    installation.sign_in("ben")
    with installation.tower.read() as connection:
        told = [(one.action, one.actor.kind, one.subject.id) for one in trail.find(connection)]
    terminal, person = Kind.CONSOLE, Kind.PERSON
    assert told == [
        ("people.add", terminal, "ana"),
        ("roles.confirm", terminal, "ana"),
        ("people.add", terminal, "bob"),
        ("roles.grant", terminal, "bob"),
        ("roles.confirm", person, "bob"),
        ("people.add", terminal, "ben"),
        ("self.redeem", person, "ben"),
        ("self.sign-in", person, "ben"),
    ]


def test_a_change_that_is_refused_leaves_no_trace_of_having_been_done(
    installation: Installation,
) -> None:
    installation.with_administrators()
    with installation.tower.read() as connection:
        before = list(trail.find(connection))
    with pytest.raises(AccountError), installation.tower.write() as connection:
        people.add(connection, installation.console, New("ana", "Ana"), "why", installation.now_ms)
    with installation.tower.read() as connection:
        assert list(trail.find(connection)) == before


# --- sessions


def test_a_session_ends_by_silence_and_by_age(installation: Installation) -> None:
    installation.with_password("ben")
    silent, used = installation.sign_in("ben"), installation.sign_in("ben")
    began = installation.now_ms
    installation.now_ms += IDLE_MS - 1
    assert is_open(installation, used)
    installation.now_ms += 1
    assert not is_open(installation, silent)
    while installation.now_ms + IDLE_MS / 2 < began + LONGEST_MS:
        installation.now_ms += IDLE_MS // 2
        assert is_open(installation, used)
    installation.now_ms = began + LONGEST_MS
    assert not is_open(installation, used)


def test_a_clock_that_jumps_revives_no_session_and_ends_it_at_worst(
    installation: Installation,
) -> None:
    installation.with_password("ben")
    session, other = installation.sign_in("ben"), installation.sign_in("ben")
    installation.now_ms += DAY
    assert not is_open(installation, session)
    future = installation.sign_in("ben")
    installation.now_ms -= DAY
    assert not is_open(installation, session)  # its end was seen
    assert not is_open(installation, future)
    assert is_open(installation, other)
    installation.now_ms -= 10 * MINUTE  # before all of them
    assert not is_open(installation, other)
    is_open(installation, installation.sign_in("ben"))


def test_one_signs_out_of_one_session_and_others_end_all(installation: Installation) -> None:
    installation.with_password("ben")
    here, there = installation.sign_in("ben"), installation.sign_in("ben")
    who = identify.who(installation.tower, here, HOME, installation.now_ms)
    with installation.tower.write() as connection:
        sessions.sign_out(connection, who, installation.now_ms)
    assert (is_open(installation, here), is_open(installation, there)) == (False, True)
    with installation.tower.write() as connection:
        ended = people.end_sessions(
            connection, installation.console, "ben", "stolen", installation.now_ms
        )
    assert ended == 1
    assert not is_open(installation, there)


# --- tokens


def token(
    installation: Installation,
    *scope: Permission,
    days: int = 1,
    program: str = "erp",
    label: str = "orders",
) -> tuple[str, str]:
    """Return a token's id and secret."""
    with installation.tower.write() as connection:
        made, secret = tokens.make(
            connection,
            installation.console,
            program,
            label,
            scope,
            days,
            "why",
            installation.now_ms,
        )
    return made.id, secret


@pytest.fixture
def erp(installation: Installation) -> Installation:
    """An installation with administrators and the program erp."""
    installation.with_administrators()
    installation.add("erp", Kind.PROGRAM)
    installation.give("erp", "program")
    return installation


def test_a_token_gives_what_is_in_its_scope_and_in_the_roles(erp: Installation) -> None:
    number, secret = token(erp, Permission.PACK, Permission.STEER)
    who = identify.who(erp.tower, secret, HOME, erp.now_ms)
    assert set(who.rights) == {Permission.PACK}
    assert (who.actor.kind, who.actor.id) == (Kind.PROGRAM, "erp")
    assert number in who.actor.source
    with erp.tower.read() as connection:
        (listed,) = tokens.everything(connection)
    assert listed.used_ms == erp.now_ms


@pytest.mark.parametrize("moved", [DAY, -6 * MINUTE])
def test_a_token_has_its_time(erp: Installation, moved: int) -> None:
    _, secret = token(erp, Permission.PACK)
    erp.now_ms += moved
    assert not is_open(erp, secret)


def test_a_token_ends_when_it_is_revoked_or_its_program_is_disabled(erp: Installation) -> None:
    number, secret = token(erp, Permission.PACK)
    _, other = token(erp, Permission.PACK)
    with erp.tower.write() as connection:
        tokens.revoke(connection, erp.console, number, "found in a log", erp.now_ms)
    assert (is_open(erp, secret), is_open(erp, other)) == (False, True)
    for change in (people.disable, people.enable):
        with erp.tower.write() as connection:
            change(connection, erp.console, "erp", "why", erp.now_ms)
    assert not is_open(erp, other)


@pytest.mark.parametrize(
    "change",
    [
        lambda secret: secret[:-1],
        lambda secret: secret + "A",
        lambda secret: secret.swapcase(),
        lambda secret: secret[: len("ctp_") + 8],
        lambda secret: secret.replace("ctp_", "cts_"),
        lambda secret: "ctp_" + secret,
        lambda secret: secret * 1_000_000,
        lambda secret: "",
        lambda secret: "\ud800",
        lambda secret: "ctp_\0",
    ],
)
def test_what_is_nearly_a_token_is_none(erp: Installation, change: Callable[[str], str]) -> None:
    _, secret = token(erp, Permission.PACK)
    assert not is_open(erp, change(secret))
    assert is_open(erp, secret)


def test_what_no_token_can_be_is_refused(erp: Installation) -> None:
    erp.add("ben")
    wrongs: list[dict[str, Any]] = [
        {"scope": []},
        {"scope": [Permission.SIGN]},
        {"days": 0},
        {"days": 367},
        {"program": "ben"},
        {"program": "nobody"},
        {"label": ""},
        {"label": "a\nb"},
    ]
    for more in wrongs:
        scope = more.pop("scope", [Permission.PACK])
        with pytest.raises((TokenError, AccountError)):
            token(erp, *scope, **more)
    for role in ("quality", "administrator"):
        with pytest.raises(GrantError, match="which no program does"):
            propose(erp, erp.who("ana"), "erp", role)


# --- what is left for a thief


def everything_kept(installation: Installation) -> dict[str, list[Any]]:
    with installation.tower.read() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(sa.select(table))]
            for table in metadata.sorted_tables
        }


def test_no_secret_in_a_stolen_database_opens_anything(
    erp: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    erp.with_password("ben")
    device, spare = erp.with_factor("ben")
    _, secret = token(erp, Permission.PACK)
    session = erp.sign_in("ben", code=spare[0])
    code = erp.add("carl")
    assert code is not None
    shown = [PASSWORD, secret, session, code, device.secret, *spare]
    kept = everything_kept(erp)
    assert {"accounts", "sessions", "tokens", "one_time_codes", "recovery_codes"} <= set(kept)
    text = repr(kept)
    for one in shown:
        assert one not in text
        assert one.replace("-", "") not in text
        assert one not in caplog.text
    # Nor does anything that is kept open something in the place of what it was made of.
    values = {
        value if isinstance(value, str) else value.hex()
        for rows in kept.values()
        for row in rows
        for value in row
        if isinstance(value, (str, bytes))
    }
    for value in values:
        for prefix in ("", secret_text.SESSION, secret_text.TOKEN):
            assert not is_open(erp, prefix + value)
        with pytest.raises(CodeRefused):
            redeem(erp, value)
        assert second_factor.step(device.secret, value, erp.now_ms, 0) is None


def test_all_tables_of_people_are_looked_at(erp: Installation) -> None:
    own = {value.name for value in vars(people_tables).values() if isinstance(value, sa.Table)}
    assert own <= set(everything_kept(erp))


def test_states_of_a_grant(installation: Installation) -> None:
    installation.with_administrators()
    installation.add("ben")
    grant = propose(installation, installation.who("ana"), "ben", "operator")

    def state() -> State:
        with installation.tower.read() as connection:
            found = {one.id: one for one in grants.everything(connection)}
        return found[grant].state(installation.now_ms)

    assert state() is State.OPEN
    confirm(installation, installation.who("bob"), grant)
    assert state() is State.HELD
    with installation.tower.write() as connection:
        grants.end(connection, installation.console, grant, "why", installation.now_ms + HOUR)
    assert state() is State.ENDED
