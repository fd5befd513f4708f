"""A registration file is read as every editor saves it, or refused in one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from coldtrail_gateway.cli.main import gateway
from tests.support.blocks.blockmaker import DOWNLINK, UPLINK

TEXT = json.dumps(
    {
        "coldtrail": "registration/1",
        "trackers": [
            {
                "id": "CT-1",
                "keys": [{"version": 1, "uplink": UPLINK.hex(), "downlink": DOWNLINK.hex()}],
            }
        ],
        "shipments": [{"id": "Kühlkette-1", "tracker": "CT-1"}],
    },
    indent=2,
    ensure_ascii=False,
)


def register(folder: Path, data: bytes) -> tuple[int, str]:
    path = folder / "registration.json"
    path.touch(0o600)
    path.write_bytes(data)
    done = CliRunner().invoke(gateway, ["register", str(path), "--db", str(folder / "gateway.db")])
    return done.exit_code, done.output


def test_as_windows_editors_save_it(tmp_path: Path) -> None:
    code, said = register(tmp_path, b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode())
    assert code == 0, said


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_in_another_encoding(tmp_path: Path, encoding: str) -> None:
    code, said = register(tmp_path, TEXT.encode(encoding))
    assert code == 2
    assert said.strip().endswith("registration.json is not UTF-8: save it as UTF-8.")
    assert said.count("\n") == 1
