"""What a person wrote is read as every editor saves it, or refused in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from coldtrail_boards import files
from coldtrail_boards.errors import BoardError
from coldtrail_boards.flash import packing_log, partitions, program
from coldtrail_boards.profiles import profile
from coldtrail_boards.provision import calibration
from coldtrail_boards.provision.bundle import Bundle
from tests.boards.packing import NETWORK, PROFILE, coldtrail, refused

PROFILE_FILE = program.BOARDS / "profiles" / "refrigerated_2_8.toml"
PARTITIONS = program.BOARDS / "esp32_bg95" / "partitions.csv"
CALIBRATION = """[[sensor]]
channel = "payload"
instrument = "Fühler 4711"
certificate = "CAL-2026-0815"
date = 2026-05-04
due = 2027-05-04
points = [["5.00 °C", "0.12 °C"]]
"""


def as_windows_saves(text: str) -> bytes:
    """UTF-8 with a byte order mark, lines ended by CR and LF."""
    return b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()


WRONG = [
    pytest.param(lambda text: text.encode("utf-16"), "UTF-16", id="UTF-16"),
    pytest.param(lambda text: text.encode("utf-16-le"), "UTF-16", id="UTF-16 without a mark"),
    pytest.param(lambda text: text.encode("latin-1", "replace"), "is not UTF-8", id="Latin-1"),
]


@pytest.mark.parametrize("text", ["", "a", "a\nb\n", "8.00 °C\n"])
def test_a_mark_and_line_ends_are_no_part_of_the_text(text: str, tmp_path: Path) -> None:
    path = tmp_path / "text"
    for data in (text.encode(), as_windows_saves(text)):
        path.write_bytes(data)
        assert files.read_text(path) == text


def test_the_line_with_another_encoding_is_named() -> None:
    with pytest.raises(BoardError, match=r"^x.toml: line 3 is not UTF-8: save it as UTF-8\.$"):
        files.text("a\nb\n8 °C\n".encode("latin-1"), "x.toml")


def test_a_profile(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(as_windows_saves(PROFILE_FILE.read_text(encoding="utf-8")))
    assert profile.load(str(path)) == profile.load("refrigerated_2_8")
    assert coldtrail("profile", path).exit_code == 0


@pytest.mark.parametrize(("save", "says"), WRONG)
def test_a_profile_in_another_encoding(save, says: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(save(PROFILE_FILE.read_text(encoding="utf-8")))
    said = refused("profile", path)
    assert says in said
    assert said.endswith("save it as UTF-8.")


def test_a_calibration(tmp_path: Path) -> None:
    plain, windows = tmp_path / "plain.toml", tmp_path / "windows.toml"
    plain.write_text(CALIBRATION, encoding="utf-8")
    windows.write_bytes(as_windows_saves(CALIBRATION))
    assert calibration.load(windows) == calibration.load(plain)


@pytest.mark.parametrize(("save", "says"), WRONG)
def test_a_calibration_in_another_encoding(save, says: str, tmp_path: Path) -> None:
    path = tmp_path / "calibration.toml"
    path.write_bytes(save(CALIBRATION))
    out = tmp_path / "CT-1.identity"
    words = ("provision", "tracker", "CT-1", *NETWORK, *PROFILE, "-o", out)
    assert says in refused(*words, "--calibration", path)
    assert not out.exists()


@pytest.mark.parametrize("save", [as_windows_saves, *(case.values[0] for case in WRONG)])
def test_secrets(save, tmp_path: Path) -> None:
    path, out = tmp_path / "secrets.toml", tmp_path / "CT-1.identity"
    path.touch(0o600)
    path.write_bytes(save('# für die Karte\nsim-pin = "1357"\n'))
    words = ("provision", "tracker", "CT-1", *NETWORK, *PROFILE, "-o", out, "--secrets", path)
    if save is as_windows_saves:
        assert coldtrail(*words).exit_code == 0
        assert Bundle.load(out).identity[11] == "1357"
    else:
        said = refused(*words)
        assert "UTF" in said
        assert "1357" not in said


def test_certificates_go_to_the_modem_without_what_an_editor_added(tmp_path: Path) -> None:
    made = coldtrail("provision", "ca", tmp_path / "ca", "--tracker", "CT-1")
    assert made.exit_code == 0, made.output
    plain = {}
    for name in ("ca.pem", "client.pem", "client.key"):
        path = tmp_path / "ca" / name
        plain[name] = path.read_bytes()
        path.write_bytes(as_windows_saves(plain[name].decode()))
    out = tmp_path / "CT-1.identity"
    folder = tmp_path / "ca"
    done = coldtrail(
        "provision", "tracker", "CT-1", "--broker", "mqtts://broker.example", *NETWORK[2:],
        *PROFILE, "-o", out, "--broker-ca", folder / "ca.pem",
        "--certificate", folder / "client.pem", "--key", folder / "client.key",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    found = Bundle.load(out).files
    assert {name: found[name] for name in plain} == plain


def test_a_partition_table(tmp_path: Path) -> None:
    path = tmp_path / "partitions.csv"
    path.write_bytes(as_windows_saves(PARTITIONS.read_text(encoding="utf-8")))
    assert partitions.load(path) == partitions.load(PARTITIONS)


def test_a_packing_log_that_a_spreadsheet_has_saved(tmp_path: Path) -> None:
    path = tmp_path / "packing.csv"
    packing_log.append(path, packing_log.Entry(chip="24:0a", tracker="CT-1", result="ok"))
    path.write_bytes(as_windows_saves(path.read_text(encoding="utf-8")))
    assert packing_log.chips_of(path, "CT-1") == {"24:0a"}
    path.write_bytes(path.read_bytes() + "Müller\n".encode("latin-1"))
    with pytest.raises(BoardError, match="is not CSV in UTF-8"):
        packing_log.chips_of(path, "CT-1")
