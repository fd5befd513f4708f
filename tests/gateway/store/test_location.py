"""A path is a path, a URL is a URL: held against the files that are there afterwards."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from urllib.parse import quote

import pytest
from click.testing import CliRunner
from hypothesis import example, given, settings
from hypothesis import strategies as st

from coldtrail_gateway.cli.main import gateway
from coldtrail_gateway.store import location
from coldtrail_gateway.store.database import Store, StoreError
from coldtrail_gateway.urls import Url
from tests.gateway.running import registration

ODD = st.text(
    st.one_of(st.sampled_from("%?#=&@:; -~'\"\\25é漢\u202e\n"), st.characters(codec="utf-8")),
    min_size=1,
    max_size=50,
).filter(lambda name: "/" not in name and "\0" not in name and name not in (".", ".."))


def made(folder: Path) -> set[str]:
    """Return the files below a folder, but for SQLite's own beside a database."""
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(("-wal", "-shm"))
    }


@given(ODD, ODD)
@example("Zone 5%25", "gateway.db")
@example("a?mode=memory", "b#c=d.db")
@example("-x", "--db")
@example(" ", "file:gateway.db?mode=ro")
@example(" ", "sqlite:")
@settings(max_examples=60, deadline=None)
def test_an_odd_name_is_the_file_that_is_made(folder: str, file: str) -> None:
    expected = f"{folder}/{file}"
    for form in (
        lambda top: f"{top}/{expected}",
        lambda top: f"sqlite:///{quote(f'{top}/{expected}')}",
    ):
        with tempfile.TemporaryDirectory() as top:
            Store(form(top), create=True).close()
            assert made(Path(top)) == {expected}
            Store(form(top), create=False).close()


def test_a_name_that_is_not_utf8_is_a_path(tmp_path: Path) -> None:
    Store(tmp_path / "\udcff.db", create=True).close()
    Store(f"{tmp_path}/\udcff.db", create=False).close()
    assert made(tmp_path) == {"\udcff.db"}


@pytest.mark.parametrize(
    ("name", "tower"),
    [
        ("-gateway.db", "-gateway.tower.db"),
        ("--db", "--db.tower"),
        ("50%25.db", "50%25.tower.db"),
        ("a?b#c=d", "a?b#c=d.tower"),
        ("x:y", "x:y.tower"),
        ("e://x", "e:/x.tower"),
    ],
)
def test_on_the_command_line(
    name: str, tower: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database is made where it is named, and the tower's beside it."""
    monkeypatch.chdir(tmp_path)
    file = registration(tmp_path)
    named = f"./{name}" if "://" in name else name
    done = CliRunner().invoke(gateway, ["register", str(file), f"--db={named}"])
    assert done.exit_code == 0, done.output
    assert made(tmp_path) == {os.path.normpath(named), tower, file.name}


def test_what_a_url_says() -> None:
    url = location.parse("postgres://me%40x:p%2Fq%23@Host:5433/da%20ta?sslmode=require")
    assert isinstance(url, Url)
    assert (url.username, url.password, url.port) == ("me@x", "p/q#", 5433)
    assert (url.host, url.path, url.query) == ("Host", "/da ta", "sslmode=require")
    assert location.parse("sqlite:///a%3Fb") == Path("a?b")
    assert location.parse("sqlite:////a/50%2525") == Path("/a/50%25")


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":memory:",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite://host/file",
        "sqlite:///a?b",
        "sqlite:///a#b",
        "a\0b",
        "mysql://localhost/x",
        "sqlite+aiosqlite:///x",
        "postgresql://h:port/db",
        "postgresql://h:99999/db",
        "postgresql://h:5432/db#x",
        "postgresql://u:p@ss@h/db",
        "postgresql://[::1/db",
        "sqlite:///my%db.db",
        "sqlite:///my%zone.db",
        "sqlite:///50%",
        "postgresql://u:50%@h/db",
        "postgresql://u@h/my%db",
        "postgresql://u@h/db?application_name=50%",
    ],
)
def test_what_names_no_database_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(StoreError, match=r"^The database cannot be used: .*\.$"):
        Store(text, create=True)


@pytest.mark.parametrize("text", ["sqlite:///my%db.db", "sqlite:///50%", "postgresql://h/50%"])
def test_a_percent_sign_that_is_no_escape(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        StoreError, match=r"begins no escape of a character: write % itself as %25"
    ):
        Store(text, create=True)
    assert made(tmp_path) == set()
