"""Changes of a configuration: what a program was started with, where it is other than before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlalchemy.engine import Connection

from coldtrail_gateway.audit import trail
from coldtrail_gateway.audit.canonical import Json
from coldtrail_gateway.audit.redaction import redact
from coldtrail_gateway.audit.trail import Action, Actor, Entry, Subject, Wanted

CHANGE: Final = Action("configuration.change")


def note(
    connection: Connection,
    actor: Actor,
    subject: Subject,
    settings: Mapping[str, Json],
    now_ms: int,
) -> Entry | None:
    """Record the settings of a program where they are others than the trail has; else None.

    Raises:
        TrailError: it cannot be recorded.
    """
    trail.lock(connection)
    wanted = Wanted(action=CHANGE.name, kind=subject.kind, subject=subject.id)
    before = None
    for entry in trail.find(connection, wanted):
        before = entry.after
    if before == redact(settings):
        return None
    return trail.append(connection, actor, CHANGE, subject, before, settings, "", now_ms)
