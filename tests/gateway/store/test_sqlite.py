"""SQLite files where they cannot be written safely, or not at all."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from coldtrail_gateway.readings import keeper
from coldtrail_gateway.store import sqlite
from coldtrail_gateway.store.database import Store
from coldtrail_gateway.store.errors import ExchangedError
from coldtrail_gateway.store.tower.database import Tower
from tests.gateway.running import coldtrail, registration

# As proc(5) has it; a place may hold escaped characters, and a later line hides an earlier.
MOUNTS = r"""22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:25 / /srv/nfs rw,relatime shared:2 - nfs4 server:/export rw,vers=4.2
31 22 0:26 / /srv/cold\040chain rw shared:3 - cifs //server/share rw
32 30 8:2 / /srv/nfs/local rw - xfs /dev/sdb1 rw
33 22 0:27 / /home/me/remote rw - fuse.sshfs me@server: rw
34 22 0:28 / /tmp rw - nfs server:/tmp rw
35 22 0:29 / /tmp rw - tmpfs tmpfs rw
"""


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("/var/gateway.db", "ext4"),
        ("/srv/nfs/gateway.db", "nfs4"),
        ("/srv/nfs-backup/gateway.db", "ext4"),
        ("/srv/cold chain/a/gateway.db", "cifs"),
        ("/srv/nfs/local/gateway.db", "xfs"),
        ("/home/me/remote/gateway.db", "fuse.sshfs"),
        ("/tmp/gateway.db", "tmpfs"),
    ],
)
def test_the_file_system_of_a_path(place: str, kind: str, tmp_path: Path) -> None:
    (tmp_path / "mounts").write_text(MOUNTS)
    assert sqlite.file_system(Path(place), tmp_path / "mounts") == kind


def test_the_file_system_of_this_machine() -> None:
    mounts = Path("/proc/self/mountinfo")
    if not mounts.exists():
        pytest.skip("This system has no /proc/self/mountinfo.")
    assert sqlite.file_system(Path("/proc/version"), mounts) == "proc"


def test_a_file_that_another_program_took_out_of_wal_is_put_back(tmp_path: Path) -> None:
    file = tmp_path / "gateway.db"
    Store(file, create=True).close()
    with sqlite3.connect(file) as other:
        assert other.execute("PRAGMA journal_mode=DELETE").fetchone() == ("delete",)
    other.close()
    Store(file, create=False).close()
    with sqlite3.connect(file) as other:
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    other.close()


@pytest.mark.parametrize("copy", [True, False], ids=["exchanged", "deleted"])
def test_nothing_is_written_to_a_file_that_lost_its_name(tmp_path: Path, *, copy: bool) -> None:
    """Where it goes on, blocks would be confirmed that no other program can ever read."""
    file = tmp_path / "gateway.db"
    with Store(file, create=True) as store:
        with store.write() as tables:
            tables.registry.add_tracker("CT-1", test=True)
        shutil.copy(file, tmp_path / "copy.db")
        file.unlink()
        if copy:
            (tmp_path / "copy.db").rename(file)
        with pytest.raises(ExchangedError, match="not the file that was opened"), store.write():
            pass
        with pytest.raises(ExchangedError, match="not the file that was opened"), store.read():
            pass
        with pytest.raises(ExchangedError, match="not the file that was opened"):
            store.settle()
        assert file.exists() == copy


def test_a_judge_ends_where_the_file_of_its_read_model_is_taken_away(tmp_path: Path) -> None:
    file = tmp_path / "gateway.db"
    with Store(file, create=True) as store, Tower(file, create=True) as tower:
        stopping = threading.Event()
        limit = threading.Timer(20, stopping.set)  # else it would go on for ever
        limit.start()
        (tmp_path / "gateway.tower.db").unlink()
        with pytest.raises(ExchangedError, match=r"gateway\.tower\.db is not the file"):
            keeper.keep(store, tower, stopping)
        limit.cancel()


def test_on_a_read_only_mount_there_is_a_sentence(tmp_path: Path) -> None:
    """In a mount namespace of its own, which root may make."""
    if os.getuid() or not shutil.which("unshare"):
        pytest.skip("Only root can mount a folder read-only (unshare, of Debian's util-linux).")
    folder = tmp_path / "mounted"
    folder.mkdir()
    database = folder / "gateway.db"
    coldtrail("gateway", "register", registration(tmp_path), "--db", database)
    command = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && shift && exec "$@"'
    serve = [sys.executable, "-m", "coldtrail_gateway", "serve", "--db", str(database)]
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", command, "sh", str(folder), *serve],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "cannot be opened: check that it, and its folder, can be written" in done.stderr
    assert "Traceback" not in done.stderr
