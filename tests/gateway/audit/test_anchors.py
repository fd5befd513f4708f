"""Anchors: what they cover, what they cost, and that they are whole or not there at all."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest
import sqlalchemy as sa

from coldtrail_gateway.audit import anchors, trail
from coldtrail_gateway.audit.anchors import AnchorError
from coldtrail_gateway.audit.findings import What, Where
from coldtrail_gateway.keyfiles import SharedFileError
from coldtrail_gateway.store.tower.database import Tower
from tests.gateway import databases
from tests.gateway.audit.kept import NOW_MS, Kept, change, deliver, keep
from tests.support.blocks.blockmaker import Maker, rows


@pytest.fixture
def kept(database: str, tmp_path: Path) -> Kept:
    return keep(database, tmp_path)


def lines(kept: Kept, number: int) -> list[dict[str, object]]:
    with gzip.open(kept.folder / f"anchor-{number:06}.lines.gz") as file:
        return [json.loads(line) for line in file]


def test_each_anchor_covers_the_rows_since_the_one_before(kept: Kept) -> None:
    assert [line.get("id", line.get("entry")) for line in lines(kept, 1)] == [1, 2, 3, 1, 2, 3]
    assert [line.get("id", line.get("entry")) for line in lines(kept, 2)] == [4, 5, 6, 4, 5, 6, 7]
    first, second = (anchors.read(kept.folder, number) for number in (1, 2))
    assert (first.blocks, second.blocks) == ((0, 3), (3, 6))
    assert (first.entries, second.entries) == ((0, 3), (3, 7))
    assert second.previous == sha256(first.statement).digest()
    block = lines(kept, 1)[2]
    assert block["tracker"] == "CT-2"
    assert block["received_ms"] == NOW_MS
    assert lines(kept, 2)[1]["chain"] is None


def test_what_an_anchor_costs_is_what_is_new(kept: Kept) -> None:
    """Rows that are anchored are not looked at again: here they are no longer readable at all."""
    with Tower(kept.database, create=False) as tower:
        change(tower, 5)
    deliver(kept.database, [Maker(chain=b"chain  9").block(rows(1))])
    databases.unprotect(kept.database)
    databases.tamper(kept.database, sa.text("UPDATE blocks SET sealed = digest WHERE id < 6"))
    made = kept.anchor()
    assert [line.get("id", line.get("entry")) for line in lines(kept, made.number)] == [7, 8, 9]
    found = [(one.where, one.what, one.row) for one in kept.report().findings]
    assert found == [(Where.ARCHIVE, What.ALTERED, number) for number in range(1, 6)]


@pytest.mark.slow
@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_block_that_is_still_to_be_committed_is_not_passed_by(kept: Kept) -> None:
    """Its row has a lower number than one that can be seen; it comes with the next anchor."""
    maker = Maker(chain=b"chain  9")
    own = databases.engine(kept.database)
    with own.connect() as unfinished:
        unfinished.execute(
            sa.text(
                "INSERT INTO blocks (tracker, digest, sealed, key_version, received_ms) "
                "SELECT tracker, 'x', sealed, key_version, received_ms FROM blocks WHERE id = 3"
            )
        )
        deliver(kept.database, [maker.block(rows(1))])
        first = kept.anchor()
        unfinished.rollback()
    own.dispose()
    assert first.blocks == (6, 6)
    assert kept.anchor().blocks == (6, 8)
    assert kept.report().findings == ()


def test_an_anchor_without_news_says_that_there_is_none(kept: Kept) -> None:
    first = kept.anchor()
    assert first.lines == 1  # that the second anchor was made
    second = kept.anchor()
    assert second.blocks == (6, 6)
    assert kept.report().findings == ()


def test_what_was_anchored_and_is_gone_stops_the_next_anchor(kept: Kept) -> None:
    databases.unprotect(kept.database)
    databases.tamper(kept.database, sa.text("DELETE FROM blocks WHERE id = 6"))
    before = sorted(path.name for path in kept.folder.iterdir())
    with pytest.raises(AnchorError, match=r"\(row 6\).*No anchor was made"):
        kept.anchor()
    assert sorted(path.name for path in kept.folder.iterdir()) == before


def test_a_run_that_ended_half_way_leaves_nothing_and_the_next_goes_on(kept: Kept) -> None:
    # As a run leaves it that ends before the statement, which is written last.
    (kept.folder / "anchor-000003.lines.gz").write_bytes(b"half")
    (kept.folder / "anchor-000003.sig").write_bytes(b"half")
    assert kept.report().findings == ()
    assert kept.anchor().number == 3
    assert kept.report().findings == ()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_an_anchor_that_the_trail_does_not_know_yet_is_recorded_by_the_next(kept: Kept) -> None:
    """As a run leaves it that ends between the statement and the trail's entry."""
    tower = Path(kept.database.removeprefix("sqlite:///")).with_name("gateway.tower.db")
    before = tower.read_bytes()
    kept.anchor()
    tower.write_bytes(before)
    assert kept.report().findings == ()
    assert made(kept) == [1, 2]
    assert kept.anchor().number == 4
    assert kept.report().findings == ()
    assert made(kept) == [1, 2, 3, 4]


def made(kept: Kept) -> list[int]:
    """Return the anchors that the trail knows."""
    with Tower(kept.database, create=False) as tower, tower.read() as connection:
        (series,) = anchors.recorded(connection).values()
    return sorted(series)


def test_a_trail_that_was_set_back_stops_the_next_anchor(kept: Kept) -> None:
    unprotected(kept, "DELETE FROM audit_trail WHERE number > 6")
    with pytest.raises(AnchorError, match="Entry 7 .* does not fit .* begin another series"):
        kept.anchor()
    with Tower(kept.database, create=False) as tower:
        change(tower, 7)
    with pytest.raises(AnchorError, match="Entry 7 .* does not fit"):
        kept.anchor()
    other = Kept(kept.database, kept.folder.with_name("other"), kept.key.with_name("o.pem"), 6, 7)
    assert other.anchor().number == 1
    report = other.report()
    assert report.findings == ()
    assert "knows anchors 1 to 2 that another key signed" in " ".join(report.unseen)


def test_anchors_that_are_lost_stop_the_next(kept: Kept) -> None:
    for file in kept.folder.glob("anchor-000002.*"):
        file.unlink()
    with pytest.raises(AnchorError, match="Anchor 2, which the audit trail knows, is not in"):
        kept.anchor()
    named = [str(finding) for finding in kept.report().findings]
    assert [line for line in named if line.startswith("anchor 2: missing: ")], named


def unprotected(kept: Kept, statement: str) -> None:
    """Change the tower's database as its administrator can."""
    if kept.database.startswith("sqlite"):
        drops = [
            sa.text(f"DROP TRIGGER audit_trail_{name}")
            for name in ("no_UPDATE", "no_DELETE", "in_order")
        ]
    else:
        drops = [sa.text("ALTER TABLE audit_trail DISABLE TRIGGER audit_trail_only_grows")]
    databases.tamper(kept.place("tower"), *drops, sa.text(statement))


def test_the_key_is_private_and_needed_only_to_sign(kept: Kept) -> None:
    assert kept.key.stat().st_mode & 0o777 == 0o600
    assert b"PRIVATE" not in b"".join(path.read_bytes() for path in kept.folder.iterdir())
    moved = kept.key.rename(kept.key.with_name("elsewhere.pem"))
    assert kept.report().findings == ()
    with pytest.raises(AnchorError, match=r"is not there, and the anchors .* with --key"):
        kept.anchor()
    other = Kept(kept.database, kept.folder.with_name("other"), kept.key, 6, 7)
    other.anchor()
    with pytest.raises(AnchorError, match="is not the key that the anchors"):
        kept.anchor()
    moved.chmod(0o644)
    moved.rename(kept.key)
    with pytest.raises(SharedFileError):
        kept.anchor()


def test_two_that_anchor_at_once_make_two_anchors(kept: Kept) -> None:
    script = (
        "import sys; from pathlib import Path; from tests.gateway.audit.kept import Kept; "
        "Kept(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), 6, 7).anchor()"
    )
    arguments = [sys.executable, "-c", script, kept.database, str(kept.folder), str(kept.key)]
    running = [subprocess.Popen(arguments) for _ in range(2)]
    assert [process.wait() for process in running] == [0, 0]
    assert anchors.numbers(kept.folder) == [1, 2, 3, 4]
    assert kept.report().findings == ()


def test_a_folder_that_cannot_be_used(kept: Kept, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    other = Kept(kept.database, tmp_path / "file", kept.key, 6, 7)
    with pytest.raises(AnchorError, match="name another with --anchors"):
        other.anchor()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_an_outsider_verifies_with_openssl_and_a_few_lines(kept: Kept, tmp_path: Path) -> None:
    """The worked example of gateway/audit/README.md, with nothing of Coldtrail."""
    folder = kept.folder
    for number in (1, 2):
        verified = subprocess.run(
            [
                "openssl", "pkeyutl", "-verify", "-rawin", "-pubin",
                "-inkey", folder / "anchor-public.pem",
                "-sigfile", folder / f"anchor-{number:06}.sig",
                "-in", folder / f"anchor-{number:06}.json",
            ],
            check=True,
            capture_output=True,
            text=True,
        )  # fmt: skip
        assert "Signature Verified Successfully" in verified.stdout
    readme = (Path(trail.__file__).parent / "README.md").read_text(encoding="utf-8")
    (program,) = (
        block.split("```")[0] for block in readme.split("```python\n")[1:] if "gzip" in block
    )
    with Tower(kept.database, create=False) as tower, tower.read() as connection:
        exported = [entry.line for entry in trail.find(connection)]
    (tmp_path / "trail.jsonl").write_bytes(b"".join(line + b"\n" for line in exported))
    (tmp_path / "check.py").write_text(program)

    def outsider() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                "/usr/bin/env",
                "python3",
                "-I",
                tmp_path / "check.py",
                folder,
                tmp_path / "trail.jsonl",
            ],
            check=False,
            capture_output=True,
            text=True,
            env={"PATH": os.environ["PATH"]},
        )

    good = outsider()
    assert (good.returncode, good.stderr) == (0, "")
    assert good.stdout.splitlines() == [
        "anchor 1: 6 lines, root right",
        "anchor 2: 7 lines, root right",
        "trail: 8 entries, chain right, anchors 1 and 2 in it",
    ]
    changed = exported[3].replace(b"anchor.made", b"anchor.fake")
    (tmp_path / "trail.jsonl").write_bytes(
        b"".join(line + b"\n" for line in (*exported[:3], changed, *exported[4:]))
    )
    assert outsider().returncode != 0
