"""What people ask of trackers: commands given and withdrawn, each with its entry in the trail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from coldtrail_gateway.audit import elsewhere
from coldtrail_gateway.audit.trail import Action, Actor, Entry, Subject
from coldtrail_gateway.contract import command as commands
from coldtrail_gateway.contract.command import Command, Value
from coldtrail_gateway.errors import GatewayError
from coldtrail_gateway.shipments import registration
from coldtrail_gateway.store.database import Store
from coldtrail_gateway.store.tables import Tables
from coldtrail_gateway.store.tower.database import Tower

GIVE: Final = Action("command.give")
CANCEL: Final = Action("command.cancel")


def give(
    store: Store,
    tower: Tower,
    actor: Actor,
    tracker: str,
    fields: list[Value],
    for_s: int,
    now: Callable[[], int],
) -> Command:
    """Make a command that a tracker gets when it next calls, and return it.

    A shipment that it starts is registered. `for_s`: after so many seconds it is void. `now`
    returns UTC in ms.

    Raises:
        GatewayError: the tracker is not registered, or the shipment is another tracker's.
    """
    with store.read() as tables:
        registered(tables, tracker)

    def make(intent: Entry) -> Command:
        with store.write() as tables:
            tables.registry.lock([tracker])
            if fields[0] == commands.Action.START_SHIPMENT.value:
                registration.add_shipment(tables, str(fields[1]), tracker)
            return tables.commands.add(tracker, fields, intent.at_ms, for_s)

    return elsewhere.carry_out(
        tower,
        actor,
        GIVE,
        Subject("tracker", tracker),
        None,
        {"action": commands.described(fields), "void_after_s": for_s},
        "",
        now,
        make,
        look_given(store),
    )


def cancel(
    store: Store,
    tower: Tower,
    actor: Actor,
    tracker: str,
    counter: int | None,
    now: Callable[[], int],
) -> int:
    """Withdraw a command, or with None all that have no outcome; return how many.

    Raises:
        GatewayError: the tracker is not registered, or there is nothing to withdraw.
    """
    now_ms = now()
    with store.read() as tables:
        registered(tables, tracker)
        waiting = [
            made
            for made in tables.commands.of(tracker)
            if _is_open(made, now_ms) and counter in (None, made.counter)
        ]
    if not waiting:
        raise GatewayError(
            f"Nothing to cancel: no such command to {tracker} is without an outcome "
            f"(coldtrail gateway command {tracker} list)."
        )

    def withdraw(intent: Entry) -> int:
        with store.write() as tables:
            tables.registry.lock([tracker])
            for made in waiting:
                tables.commands.cancel(made, intent.at_ms)
        return len(waiting)

    before: dict[str, Any] = {
        "commands": [
            {"counter": made.counter, "action": commands.described(made.fields)}
            for made in waiting
        ]
    }
    subject = Subject("tracker", tracker)
    looks = look_cancelled(store)
    return elsewhere.carry_out(
        tower, actor, CANCEL, subject, before, None, "", now, withdraw, looks
    )


def look_given(store: Store) -> elsewhere.Look:
    """Return how to find out whether the command that an entry speaks of was made."""

    def is_made(intent: Entry) -> bool:
        return any(
            made.made_ms == intent.at_ms
            and commands.described(made.fields) == intent.after["action"]
            for made in _of(store, intent)
        )

    return is_made


def look_cancelled(store: Store) -> elsewhere.Look:
    """Return how to find out whether the commands that an entry speaks of are withdrawn."""

    def is_withdrawn(intent: Entry) -> bool:
        counters = {made["counter"] for made in intent.before["commands"]}
        still = (made for made in _of(store, intent) if made.outcome is None)
        return counters.isdisjoint(made.counter for made in still)

    return is_withdrawn


def registered(tables: Tables, tracker: str) -> None:
    """Refuse a tracker that is not registered.

    Raises:
        GatewayError: it is not.
    """
    if not tables.registry.keys([tracker]):
        raise GatewayError(
            f"Tracker {tracker} is not registered: name another, or register it first "
            "(coldtrail gateway register FILE)."
        )


def _of(store: Store, intent: Entry) -> Sequence[Command]:
    with store.read() as tables:
        return tables.commands.of(intent.subject.id)


def _is_open(made: Command, now_ms: int) -> bool:
    return made.outcome is None and now_ms < made.expiry * 1000
