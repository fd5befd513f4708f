"""``coldtrail gateway audit``: read the audit trail, anchor it, and verify everything."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console
from rich.table import Table

from coldtrail_gateway.audit import (
    anchor_keys,
    anchors,
    differences,
    proofs,
    signatures,
    trail,
    verification,
)
from coldtrail_gateway.audit.differences import Change
from coldtrail_gateway.audit.findings import silent
from coldtrail_gateway.audit.local_time import local_iso
from coldtrail_gateway.audit.timestamps import TimestampError
from coldtrail_gateway.audit.trail import Entry, Wanted
from coldtrail_gateway.cli.access import asking, performs
from coldtrail_gateway.cli.anchoring import (
    anchors_beside,
    anchors_option,
    key_beside,
    key_option,
    tsa_option,
)
from coldtrail_gateway.cli.options import (
    FILE,
    console,
    database,
    echo,
    open_store,
    open_tower,
    parsed,
)
from coldtrail_gateway.cli.options import clock as clock_option
from coldtrail_gateway.clock import Clock, SystemClock
from coldtrail_gateway.contract.printable import printable
from coldtrail_gateway.contract.utc import iso
from coldtrail_gateway.exports import tabular, text
from coldtrail_gateway.shipments import history as histories

_FOLDER: Final = click.Path(file_okay=False, path_type=Path)
_NEW: Final = click.Path(dir_okay=False, path_type=Path)
_WIDE: Final = 200

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


def _moment_ms(value: str) -> int:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError(
            "a moment is written 2026-03-01 or 2026-03-01T12:30:00+01:00; without an offset it "
            "is UTC"
        ) from None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return round(moment.timestamp() * 1000)


def _filters(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that choose entries."""
    for option in reversed(
        (
            click.option("--who", metavar="ID", help="Only what this person or program did."),
            click.option(
                "--what",
                metavar="ACTION",
                help='Only this action, such as shipment.release, or "shipment.*".',
            ),
            click.option(
                "--subject",
                metavar="KIND[:ID]",
                help="Only what was done to this, such as shipment:S-1, or to all of a kind.",
            ),
            click.option(
                "--since",
                "since_ms",
                metavar="TIME",
                callback=parsed(_moment_ms),
                help="Only from this moment on: 2026-03-01 or 2026-03-01T12:30:00+01:00.",
            ),
            click.option(
                "--until",
                "until_ms",
                metavar="TIME",
                callback=parsed(_moment_ms),
                help="Only before this moment.",
            ),
        )
    ):
        function = option(function)
    return function


def _wanted(
    who: str | None,
    what: str | None,
    subject: str | None,
    since_ms: int | None,
    until_ms: int | None,
) -> Wanted:
    kind, _, name = (subject or "").partition(":")
    return Wanted(
        actor=who,
        action=what,
        kind=kind or None,
        subject=name or None,
        since_ms=since_ms,
        until_ms=until_ms,
    )


@click.group(short_help="Read the audit trail, anchor it, verify everything.")
def audit() -> None:
    """Read the audit trail, anchor it, and verify archive and trail.

    \b
    coldtrail gateway audit list --subject shipment:S-1
    coldtrail gateway audit anchor          # daily: a signed file outside the database
    coldtrail gateway audit verify          # exit code 1 when something was altered
    """  # noqa: D301


@performs("audit.list")
@audit.command("list")
@_filters
@database
@as_json
def list_(db: str | None, as_json: bool, **chosen: Any) -> None:
    """List the entries of the audit trail, the oldest first.

    \b
    coldtrail gateway audit list --who ana --since 2026-03-01
    coldtrail gateway audit list --what "shipment.*" --json
    """  # noqa: D301
    with open_tower(db) as tower, tower.read() as connection:
        found = list(trail.find(connection, _wanted(**chosen)))
    if as_json:
        _print_json([entry.to_json() for entry in found])
        return
    view = Table()
    for name in ("entry", "UTC", "local time", "who", "what", "subject", "change", "why"):
        view.add_column(name, overflow="fold")
    for entry in found:
        view.add_row(
            str(entry.number),
            iso(entry.at_ms)[:19],
            local_iso(entry.at_ms, entry.offset_min),
            printable(f"{entry.actor.name} ({entry.actor.id})"),
            entry.action,
            printable(f"{entry.subject.kind} {entry.subject.id}"),
            "\n".join(map(_line, differences.changes(entry))),
            printable(entry.why),
        )
    console(_WIDE).print(view)


@performs("audit.list")
@audit.command()
@click.argument("number", type=click.IntRange(1, 2**53))
@database
@as_json
def show(number: int, db: str | None, as_json: bool) -> None:
    """Show entry NUMBER whole: who, when (UTC and local), from where, what before and after.

    A signature is shown with what 21 CFR 11.50 asks for, and whether it still stands.

    \b
    coldtrail gateway audit show 17
    """  # noqa: D301
    with open_tower(db) as tower, tower.read() as connection:
        entry = trail.get(connection, number)
        answers = list(trail.find(connection, Wanted(answers=number)))
        signed = signatures.signature(entry) if entry.action == signatures.SIGNED else None
        found = signatures.standing(connection, signed, signed.digest) if signed else None
        content = signatures.signed_content(connection, signed) if signed else b""
    if as_json:
        shown = entry.to_json() | {"answered_by": [answer.number for answer in answers]}
        if signed and found:
            shown["signed"] = json.loads(content)
            superseded = found.superseded
            shown["superseded_by"] = superseded.number if superseded else None
        _print_json(shown)
        return
    for line in _described(entry):
        echo(line)
    for answer in answers:
        echo(f"answered by entry {answer.number}: {answer.action} {answer.why}".rstrip())
    if signed and found:
        click.echo()
        for line in signatures.manifest(signed, found).splitlines():
            echo(line)


@performs("audit.list")
@audit.command()
@click.argument("kind")
@click.argument("subject", metavar="ID")
@click.option(
    "--since-entry",
    "after",
    type=click.IntRange(0, 2**53),
    default=0,
    show_default=True,
    help="What stood before the entry that follows this one is the old value.",
)
@database
@as_json
def changed(kind: str, subject: str, after: int, db: str | None, as_json: bool) -> None:
    """Show what changed in a KIND with ID since an entry: each field, old and new value.

    \b
    coldtrail gateway audit changed shipment S-1 --since-entry 17
    """  # noqa: D301
    with open_tower(db) as tower, tower.read() as connection:
        wanted = Wanted(kind=kind, subject=subject, after=after)
        found = differences.since(trail.find(connection, wanted))
    if as_json:
        _print_json(
            [
                {"field": one.field, "old": one.old, "new": one.new, "entry": one.entry}
                for one in found
            ]
        )
        return
    view = Table()
    for name in ("field", "old", "new", "last changed by entry"):
        view.add_column(name, overflow="fold")
    for one in found:
        view.add_row(printable(one.field), _value(one.old), _value(one.new), str(one.entry))
    console(_WIDE).print(view)


@performs("audit.list")
@audit.command()
@_filters
@click.option("-o", "--output", type=_NEW, help="Write to this file, not to standard output.")
@database
def export(output: Path | None, db: str | None, **chosen: Any) -> None:
    """Write entries as they are hashed: canonical JSON (RFC 8785), one entry on each line.

    The SHA-256 of a line, without its end, is what the next line names as "previous". So anybody
    can check the chain, and the last hash against an anchor.

    \b
    coldtrail gateway audit export -o trail.jsonl
    """  # noqa: D301
    with open_tower(db) as tower, tower.read() as connection:
        lines = [entry.line + b"\n" for entry in trail.find(connection, _wanted(**chosen))]
    content = b"".join(lines)
    if output is None:
        click.echo(content, nl=False)
    else:
        tabular.write(output, content)


@performs("audit.anchor")
@audit.command()
@anchors_option
@key_option
@tsa_option
@database
@clock_option
@click.pass_context
def anchor(
    context: click.Context,
    folder: Path | None,
    key_file: Path | None,
    tsa: str | None,
    db: str | None,
    clock: Clock | None,
) -> None:
    """Make an anchor: a signed file that says what archive and trail hold now.

    Run it daily, and copy the folder of anchors to where the gateway's administrators cannot
    change it. An anchor covers what is new since the one before. The key is not needed to verify.

    \b
    coldtrail gateway audit anchor
    coldtrail gateway audit anchor --anchors /mnt/worm/anchors --tsa http://tsa.example.org
    """  # noqa: D301
    folder = folder or anchors_beside(db)
    key_file = key_file or key_beside(db)
    now_ms = (clock or SystemClock()).now_ms()
    with open_store(db) as store, open_tower(db, create=True) as tower:
        actor = asking(tower, now_ms).actor
        try:
            made = anchors.make(store, tower, folder, key_file, actor, now_ms, tsa)
        except TimestampError as error:
            echo(f"Warning: {error}", err=True)
            context.exit(2)
    echo(
        f"anchor {made.number}: {made.lines} rows, archive up to row {made.blocks[1]}, "
        f"audit trail up to entry {made.entries[1]}, in {folder}"
    )


@performs("audit.verify")
@audit.command()
@anchors_option
@click.option(
    "--public-key",
    type=FILE,
    envvar="COLDTRAIL_ANCHOR_PUBLIC_KEY",
    help="Your own copy of the key that verifies the anchors; also $COLDTRAIL_ANCHOR_PUBLIC_KEY. "
    " [default: the one in the folder of anchors]",
)
@click.option(
    "--tsa-ca",
    "authority",
    type=FILE,
    help="Root certificate of the time stamp authority (PEM), to verify time stamps too.",
)
@database
@as_json
@click.pass_context
def verify(
    context: click.Context,
    folder: Path | None,
    public_key: Path | None,
    authority: Path | None,
    db: str | None,
    as_json: bool,
) -> None:
    """Read archive, audit trail, signatures and anchors again, and name every row that is wrong.

    Names what was altered, removed, reordered or put in, and says what it cannot see. Exit code 1
    when something is wrong. Everything is read, so that a large archive takes its time.

    \b
    coldtrail gateway audit verify
    coldtrail gateway audit verify --public-key my-copy.pem --json
    """  # noqa: D301
    folder = folder or anchors_beside(db)
    shown = Console(stderr=True)
    with open_store(db) as store, open_tower(db) as tower, shown.status("reading") as status:

        def progress(what: str, rows: int) -> None:
            status.update(f"{what}: {rows}")

        report = verification.verify(
            store.read,
            tower.read,
            folder,
            public_key,
            authority,
            progress if shown.is_terminal else silent,
        )
    if as_json:
        _print_json(report.to_json())
    else:
        echo(
            f"read: {report.blocks} blocks, {report.entries} entries, {report.signatures} "
            f"signatures, {report.anchors} anchors that hold"
        )
        for finding in report.findings:
            echo(str(finding))
        for sentence in report.unseen:
            echo(f"Note: {sentence}")
        click.echo("verified" if report.good else "NOT verified")
    if not report.good:
        context.exit(1)


@performs("shipment.prove")
@audit.command()
@click.argument("shipment")
@anchors_option
@click.option("-o", "--output", type=_NEW, help="Write to this file, not to standard output.")
@database
def prove(shipment: str, folder: Path | None, output: Path | None, db: str | None) -> None:
    """Write the proof that the blocks of SHIPMENT were anchored, and when; it shows no others.

    Whoever has the public key checks it with coldtrail gateway audit check-proof, and compares
    the SHA-256 of each block with those of coldtrail gateway export --format blocks.

    \b
    coldtrail gateway audit prove S-1 -o S-1.proof.json
    """  # noqa: D301
    with open_store(db) as store, store.read() as tables:
        history = histories.load(tables, shipment)
    digests = [entry.row.digest for entry in history.entries]
    proof, missing = proofs.make(folder or anchors_beside(db), digests)
    if missing:
        echo(
            f"Warning: {len(missing)} of {len(digests)} blocks are in no anchor yet: make one "
            "with coldtrail gateway audit anchor.",
            err=True,
        )
    content = text.to_json(proof, indent=1) + "\n"
    if output is None:
        click.echo(content, nl=False)
    else:
        tabular.write(output, content)


@performs("blocks.check-proof")
@audit.command("check-proof")
@click.argument("file", type=FILE)
@click.option(
    "--public-key",
    type=FILE,
    required=True,
    envvar="COLDTRAIL_ANCHOR_PUBLIC_KEY",
    help="The key that verifies the anchors, from whoever you trust; also "
    "$COLDTRAIL_ANCHOR_PUBLIC_KEY.",
)
@as_json
def check_proof(file: Path, public_key: Path, as_json: bool) -> None:
    """Check the proof in FILE, and list the blocks that it proves. Needs no database.

    \b
    coldtrail gateway audit check-proof S-1.proof.json --public-key anchor-public.pem
    """  # noqa: D301
    try:
        proof = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise proofs.ProofError(f"{file} holds no JSON.") from error
    found = proofs.verify(proof, anchor_keys.public(public_key))
    if as_json:
        _print_json([{**one.block, "anchored": iso(one.anchored_ms)} for one in found])
        return
    for one in found:
        block = one.block
        echo(
            f"tracker {block['tracker']}, chain {block['chain']}, number {block['number']}, "
            f"SHA-256 {block['sha256']}: arrived {iso(block['received_ms'])}, anchored "
            f"{iso(one.anchored_ms)}"
        )
    click.echo(f"proven: {len(found)}")


def _print_json(value: Any) -> None:
    click.echo(text.to_json(value, indent=1))


def _value(value: Any) -> str:
    if value is None:
        return "–"
    return printable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _line(change: Change) -> str:
    return f"{printable(change.field)}: {_value(change.old)} → {_value(change.new)}"


def _described(entry: Entry) -> list[str]:
    actor = entry.actor
    local = local_iso(entry.at_ms, entry.offset_min)
    lines = [
        f"entry {entry.number}: {entry.action}, {entry.subject.kind} {entry.subject.id}",
        f"who: {actor.name} ({actor.kind.value} {actor.id}), from {actor.source}",
        f"when: {iso(entry.at_ms)}, local time {local} ({actor.zone})",
    ]
    if entry.why:
        lines.append(f"why: {entry.why}")
    if entry.intent:
        lines.append("intended: another entry says what became of it")
    if entry.answers is not None:
        lines.append(f"answers entry {entry.answers}")
    lines += [f"changed: {_line(change)}" for change in differences.changes(entry)]
    lines.append(f"previous: {entry.previous.hex()}")
    lines.append(f"SHA-256: {entry.digest.hex()}")
    return lines
