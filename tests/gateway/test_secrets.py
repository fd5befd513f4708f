"""A marker in every place where a secret can stand, looked for in everything that is printed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from coldtrail_gateway import urls
from coldtrail_gateway.store.database import Store, StoreError
from coldtrail_gateway.store.registry import KeyPair
from coldtrail_simulator.services.process import free_port
from tests.gateway import databases
from tests.gateway.running import registration
from tests.support.host import until

MARKER = "Zq7Marker"
KEY = MARKER.encode().hex() * 4  # too long for a key, by four bytes
PASSWORDS = [
    f"{MARKER}",
    f"a#{MARKER}",
    f"a/{MARKER}",
    f"a?{MARKER}",
    f"a@{MARKER}",
    f"1:{MARKER}",
]
PASSWORDS += [f"{MARKER}{mark}b" for mark in "#/?@:%[] \\"] + [f"1/{MARKER}", f"1?{MARKER}=x"]
PASSWORDS += [f"12#{MARKER}", f"{MARKER}\N{FULLWIDTH NUMBER SIGN}"]
URLS = [
    *(f"{{scheme}}://user:{password}@127.0.0.1:1/name" for password in PASSWORDS),
    *(f"{{scheme}}://{password}@127.0.0.1:1/name" for password in PASSWORDS),
    f"{{scheme}}://user:{MARKER}@127.0.0.1:port/name",
    f"{{scheme}}://user:{MARKER}@127.0.0.1:99999/name",
    f"{{scheme}}://user:{MARKER}@[::1/name",
    f"{{scheme}}://127.0.0.1:1/name?password={MARKER}",
    f"{{scheme}}://127.0.0.1:1/name?sslpassword={MARKER}&sslkey=/none&sslmode=require",
    f"{{scheme}}://127.0.0.1:1/name?passwort={MARKER}",
    f"{{scheme}}://127.0.0.1:1/name?{MARKER}",
]


def said(
    *arguments: str | Path, code: int = 2, environment: Mapping[str, str] | None = None
) -> str:
    """Return everything that a command of the gateway's prints on its way to its end."""
    done = subprocess.run(
        [sys.executable, "-m", "coldtrail_gateway", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **(environment or {})},
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("scheme", ["postgresql", "mysql", "sqlite"])
def test_a_database_url_is_never_printed_with_its_secrets(scheme: str, tmp_path: Path) -> None:
    for url in URLS:
        with pytest.raises(StoreError) as caught:
            Store(url.format(scheme=scheme), create=False)
        told = "".join(traceback.format_exception(caught.value))
        user = f"//{MARKER}" in url or ("@127" in url and "user" not in url)
        if not user:  # what stands in the place of a user's name is no secret
            assert MARKER not in told, url


@pytest.mark.parametrize("variable", ["COLDTRAIL_DB", "COLDTRAIL_BROKER"])
def test_an_environment_is_never_printed(variable: str, tmp_path: Path) -> None:
    scheme = "postgresql" if variable == "COLDTRAIL_DB" else "mqtt"
    for url in (f"{scheme}://user:12#{MARKER}@127.0.0.1/x", f"{scheme}://u:{MARKER}@h:port"):
        told = said("serve", environment={"COLDTRAIL_DB": f"{tmp_path}/x.db", variable: url})
        assert MARKER not in told
        assert "%23" in told


@pytest.mark.parametrize("url", URLS)
def test_a_url_is_shown_without_password_and_query(url: str) -> None:
    for scheme in ("mqtt", "postgresql"):
        text = url.format(scheme=scheme)
        username = ""
        try:
            parsed = urls.parse(text)
            shown = f"{parsed} {parsed!r}"
            username = parsed.username or ""
        except ValueError:
            shown = traceback.format_exc()
        assert MARKER not in shown or MARKER in username


def changed(folder: Path, **key: Any) -> Path:
    path = registration(folder)
    document = json.loads(path.read_text())
    document["trackers"][0]["keys"][0] |= key
    path.write_text(json.dumps(document))
    return path


@pytest.mark.parametrize(
    "key",
    [
        {"uplink": KEY},
        {"uplink": MARKER},
        {"uplink": [MARKER]},
        {"uplink": {MARKER: 1}},
        {"downlink": KEY},
        {"version": MARKER},
        {"password": MARKER},
    ],
)
def test_a_registration_file_is_never_printed(key: dict[str, Any], tmp_path: Path) -> None:
    told = said("register", changed(tmp_path, **key), "--db", tmp_path / "gateway.db")
    assert MARKER not in told
    assert KEY not in told


def test_a_file_that_is_no_json_is_never_printed(tmp_path: Path) -> None:
    path = registration(tmp_path)
    path.write_text(f'{{"uplink": "{MARKER}')
    assert MARKER not in said("register", path, "--db", tmp_path / "gateway.db")


@pytest.mark.parametrize("text", [MARKER, KEY, f"\0{MARKER}", f"é{MARKER}"])
def test_a_key_file_is_never_printed(text: str, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.touch(mode=0o600)
    path.write_text(text)
    decode = [sys.executable, "-m", "coldtrail_boards", "decode", "00", "--tracker", "CT-1"]
    done = subprocess.run(
        [*decode, "--key-file", path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert MARKER not in done.stdout + done.stderr


def test_keys_stand_in_no_traceback_of_a_database(database: str) -> None:
    """A database that refuses the very row that holds them."""
    with Store(database, create=True) as store:
        with store.write() as tables:
            tables.registry.add_tracker("CT-1", test=True)
        databases.tamper(database, sa.DDL("DROP TABLE keys"))
        key = MARKER.encode().ljust(32)
        with pytest.raises(StoreError) as caught, store.write() as tables:
            tables.registry.add_key("CT-1", 1, KeyPair(key, key))
    told = "".join(traceback.format_exception(caught.value))
    assert MARKER not in told
    assert key.hex() not in told


def command_lines() -> str:
    """Return what `ps` lists."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes().decode(errors="replace"))
        except OSError:
            continue  # has ended in between
    return "\n".join(found)


def test_no_process_that_serve_starts_lists_a_secret(
    tmp_path: Path, postgresql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a broker and a database that take any password."""
    url = postgresql.replace("coldtrail@", f"coldtrail:{MARKER}@")
    monkeypatch.setenv("COLDTRAIL_DB", url)
    monkeypatch.setenv("COLDTRAIL_BROKER", f"embedded://me:{MARKER}@127.0.0.1:{free_port()}")
    said("register", registration(tmp_path), code=0)
    log = tmp_path / "gateway.log"
    with log.open("w") as file:
        serve = subprocess.Popen(
            [sys.executable, "-m", "coldtrail_gateway", "serve"], stdout=file, stderr=file
        )
    try:
        until(lambda: serve.poll() is not None or "INFO online" in log.read_text())
        assert serve.poll() is None, log.read_text()
        assert MARKER not in command_lines()
    finally:
        serve.terminate()
        serve.wait()
    assert MARKER not in log.read_text()
