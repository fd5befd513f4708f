"""Every operation asked as every role and as a stranger; rows shown only to whom they belong."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, combinations

import click
import pytest
import sqlalchemy as sa

from coldtrail_gateway.audit import access
from coldtrail_gateway.audit.access import EVERYWHERE, NOWHERE, Denied, Scope, Who
from coldtrail_gateway.audit.operations import OPERATIONS, Kind, Operation, Touches
from coldtrail_gateway.audit.people_tables import shipment_parties
from coldtrail_gateway.audit.roles import ROLES, Permission, Reach
from coldtrail_gateway.cli.access import operation_of
from coldtrail_gateway.cli.main import decode, gateway
from coldtrail_gateway.store.tower.database import Tower

ANYONE = "anyone"
SIGNED_IN = "signed in"

# Which roles open an operation when held as widely as they can be, decided by hand. An operation
# that is not in here fails the test, and so does one that is here and nowhere else.
MATRIX = {
    "shipment.verify": "operator quality receiver sponsor-condition auditor program",
    "shipment.export": "operator quality auditor program",
    "shipment.prove": "operator quality auditor program",
    "blocks.decode": ANYONE,
    "blocks.check-proof": ANYONE,
    "blocks.verify": "operator quality receiver auditor program",
    "tracker.status": "operator quality auditor program",
    "tracker.register": "packer program",
    "tracker.commands": "operator quality packer receiver auditor program",
    "tracker.command": "operator",
    "tracker.start-shipment": "packer program",
    "installation.serve": "administrator",
    "installation.judge": "administrator",
    "installation.rebuild": "administrator",
    "people.list": "quality auditor administrator",
    "people.add": "administrator",
    "people.disable": "administrator",
    "people.enable": "administrator",
    "people.code": "administrator",
    "people.second-factor-off": "administrator",
    "people.sessions-end": "administrator",
    "self.redeem": ANYONE,
    "self.sign-in": ANYONE,
    "self.sign-out": SIGNED_IN,
    "self.show": SIGNED_IN,
    "self.password": SIGNED_IN,
    "self.second-factor": SIGNED_IN,
    "tokens.list": "quality auditor administrator",
    "tokens.make": "administrator",
    "tokens.revoke": "administrator",
    "roles.list": "quality auditor administrator",
    "roles.matrix": ANYONE,
    "roles.grant": "administrator",
    "roles.confirm": "administrator",
    "roles.revoke": "administrator",
    "roles.share": "packer program",
    "audit.list": "quality auditor administrator",
    "audit.verify": "quality auditor administrator",
    "audit.anchor": "administrator",
}

every_operation = pytest.mark.parametrize(
    "operation", OPERATIONS.values(), ids=lambda operation: operation.name
)


def holding(*held: tuple[str, str | None]) -> Who:
    return Who(access.STRANGER.actor, 1, access.rights(held))


def expected(operation: Operation, role: str, organisation: str | None) -> Scope:
    """Return what the matrix says."""
    opens = MATRIX[operation.name]
    if opens in (ANYONE, SIGNED_IN):
        return EVERYWHERE
    if role not in opens.split():
        return NOWHERE
    if organisation is None:
        return EVERYWHERE
    own_rows = operation.touches is Touches.SHIPMENT
    return Scope(organisations=frozenset({organisation})) if own_rows else NOWHERE


def test_every_operation_is_in_the_matrix() -> None:
    assert set(MATRIX) == set(OPERATIONS)
    assert set(chain.from_iterable(line.split() for line in MATRIX.values())) <= {
        *ROLES,
        *ANYONE.split(),
        *SIGNED_IN.split(),
    }


@every_operation
def test_every_role_may_what_the_matrix_says(operation: Operation) -> None:
    for role in ROLES.values():
        if role.reach is not Reach.ONE:
            who = holding((role.name, None))
            assert who.scope(operation) == expected(operation, role.name, None), role.name
        if role.reach is not Reach.ALL:
            who = holding((role.name, "acme"))
            assert who.scope(operation) == expected(operation, role.name, "acme"), role.name


@every_operation
def test_a_stranger_and_one_without_a_role_may_nothing_but_what_is_open(
    operation: Operation,
) -> None:
    assert access.STRANGER.may(operation) is (MATRIX[operation.name] == ANYONE)
    assert holding().may(operation) is (MATRIX[operation.name] in (ANYONE, SIGNED_IN))
    if not access.STRANGER.may(operation):
        with pytest.raises(Denied):
            access.STRANGER.check(operation)


@every_operation
def test_the_auditor_changes_nothing_and_the_terminal_signs_nothing(operation: Operation) -> None:
    if operation.kind is not Kind.READ and operation.touches not in (
        Touches.SELF,
        Touches.NOTHING,
    ):
        assert not holding(("auditor", None)).may(operation)
    if operation.kind is Kind.SIGN:
        assert not access.console().may(operation)


def test_nobody_holds_by_two_roles_what_neither_gives_for_those_rows() -> None:
    """Location of acme's shipments and condition of zeta's is an export of nobody's."""
    export = OPERATIONS["shipment.export"]
    two = holding(("sponsor-location", "acme"), ("operator", "zeta"))
    assert two.scope(export) == Scope(organisations=frozenset({"zeta"}))


def test_location_and_condition_of_a_sponsor_stand_apart() -> None:
    held = {name: access.rights([(name, "acme")]) for name in ROLES if name.startswith("sponsor")}
    assert Permission.CONDITION not in held["sponsor-location"]
    assert Permission.LOCATION not in held["sponsor-condition"]
    assert {Permission.LOCATION, Permission.CONDITION}.isdisjoint(held["sponsor"])
    assert all(Permission.UNBLINDED not in rights for rights in held.values())


@pytest.mark.parametrize("touches", list(Touches))
@pytest.mark.parametrize("kind", list(Kind))
def test_an_operation_without_a_rule_cannot_be_made(kind: Kind, touches: Touches) -> None:
    free = touches in (Touches.SELF, Touches.NOTHING)
    needs = frozenset({Permission.REPORT}) if free else frozenset()
    with pytest.raises(ValueError, match=r"new\.one"):
        Operation("new.one", kind, touches, needs)


# --- rows


SHIPMENTS = {"S-1": ["acme"], "S-2": ["zeta"], "S-3": ["acme", "zeta"], "S-4": []}


@pytest.fixture
def shared(tower: Tower) -> Tower:
    rows = [
        {"shipment": name, "organisation": one}
        for name, whose in SHIPMENTS.items()
        for one in whose
    ]
    with tower.write() as connection:
        connection.execute(sa.insert(shipment_parties), rows)
    return tower


def of_shipments() -> list[Operation]:
    return [one for one in OPERATIONS.values() if one.touches is Touches.SHIPMENT]


def test_the_row_filter_shows_what_is_theirs_and_nothing_else(shared: Tower) -> None:
    """For every operation on shipments and every pair of roles, against sets in Python."""
    rows = [sa.select(sa.literal(name, sa.Text).label("shipment")) for name in SHIPMENTS]
    asked = sa.union_all(*rows).subquery()
    column = asked.c.shipment
    held = [
        (role.name, organisation)
        for role in ROLES.values()
        for organisation in (None, "acme", "zeta", "nobody")
        if (organisation is None) is (role.reach is Reach.ALL) or (role.reach is Reach.EITHER)
    ]
    with shared.read() as connection:
        for pair in chain([()], combinations(held, 1), combinations(held, 2)):
            who = holding(*pair)
            for operation in of_shipments():
                statement = sa.select(column).where(access.visible(who, operation, column))
                seen = set(connection.scalars(statement))
                scope = who.scope(operation)
                theirs = {
                    name
                    for name, whose in SHIPMENTS.items()
                    if scope.everything or scope.organisations.intersection(whose)
                }
                assert seen == theirs, (pair, operation.name)


def test_a_shipment_that_one_may_not_see_is_refused_as_one_that_is_not_there(
    shared: Tower,
) -> None:
    who = holding(("sponsor-condition", "acme"))
    verify = OPERATIONS["shipment.verify"]
    with shared.read() as connection:
        access.check_shipment(connection, who, verify, "S-1")
        said = []
        for name in ("S-2", "S-9"):
            with pytest.raises(Denied) as denied:
                access.check_shipment(connection, who, verify, name)
            said.append(str(denied.value).replace(name, "it"))
    assert said[0] == said[1]


# --- commands


def commands(group: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    if isinstance(group, click.Group):
        for name, command in group.commands.items():
            yield from commands(command, f"{path} {name}")
    else:
        yield path, group


COMMANDS = dict([*commands(gateway, "gateway"), *commands(decode, "decode")])


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_names_its_operation_and_has_an_example(path: str) -> None:
    command = COMMANDS[path]
    assert operation_of(command) is not None, f"{path}: decorate it with @performs(...)"
    if path.split()[1:2] and path.split()[1] in ("people", "roles", "tokens"):
        assert f"coldtrail {path}" in (command.help or "")


def test_the_walk_finds_the_commands() -> None:
    assert {"gateway serve", "gateway command reboot", "gateway people second-factor add"} <= set(
        COMMANDS
    )
