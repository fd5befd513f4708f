"""The interpreters and the broker run here, and are found the way the README says."""

import shlex
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from coldtrail_simulator.services import debian, tools
from tests.support.host import until

needs_apt = pytest.mark.skipif(
    not shutil.which("apt-get"), reason="apt-get is missing: run this on Debian or Ubuntu"
)

ONE_LINE = """\
deb cdrom:[Debian GNU/Linux 12]/ bookworm main
# deb http://commented.example.org/debian bookworm main
deb-src http://source.example.org/debian bookworm main
deb [arch=amd64 signed-by=/usr/share/keyrings/vendor.gpg] https://vendor.example.com/apt bookworm main
deb https://docker.example.com/linux/debian bookworm stable
deb http://security.example.org/debian-security bookworm-security main
deb [arch=amd64] http://mirror.example.org/debian/ bookworm main contrib
"""  # noqa: E501
DEB822 = """\
Types: deb deb-src
URIs: http://disabled.example.org/debian
Suites: bookworm
Components: main
Enabled: no

# A comment between entries.
Types: deb
URIs: https://first.example.org/debian mirror+file:/etc/apt/mirrors/debian.list
Suites: trixie trixie-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: https://first.example.org/debian-security
Suites: trixie-security
Components: main
"""


@pytest.fixture(autouse=True)
def _fresh_lookup(monkeypatch):
    for name in ("MICROPYTHON", "MICROPYTHON32", "MOSQUITTO"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def empty_tools_dir(tmp_path, monkeypatch):
    """Nothing on PATH but what apt needs, nothing fetched."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("apt-get", "apt-cache", "apt-config", "dpkg", "dpkg-deb"):
        found = shutil.which(name)
        if found:
            (programs / name).symlink_to(found)
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setattr(debian, "TOOLS_DIR", tmp_path / "tools")
    return tmp_path / "tools"


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def python(argv: list[str], code: str) -> str:
    done = subprocess.run([*argv, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_micropython_runs_and_is_new_enough():
    found = tools.probe(tools.micropython())
    assert found.version >= (1, 24)


def test_reference_interpreter_has_31_bit_small_integers():
    argv = tools.micropython32()
    assert tools.probe(argv).maxsize == 2**31 - 1
    # A small integer costs no heap; the first number beyond 31 bits does.
    allocates = "import gc\ndef f(n):\n a = gc.mem_alloc()\n b = n + 1\n return gc.mem_alloc() - a"
    assert python(argv, f"{allocates}\nprint(f(2**30 - 2), f(2**30 - 1) > 0)") == "0 True"


def test_reference_interpreter_runs_in_96_kib():
    assert (
        python([*tools.micropython32(), "-X", "heapsize=96k"], "import asyncio; print(1)") == "1"
    )


def test_second_lookup_starts_no_process(monkeypatch):
    first = tools.micropython()
    monkeypatch.setattr(subprocess, "run", None)
    second = tools.micropython()
    assert second == first
    assert second is not first


def test_mosquitto_serves(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    config = tmp_path / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nuser root\n")
    with subprocess.Popen([*tools.mosquitto(), "-c", config], stderr=subprocess.DEVNULL) as broker:
        try:
            with socket.socket() as client:
                until(lambda: client.connect_ex(("127.0.0.1", port)) == 0, "the broker")
                client.sendall(bytes.fromhex("100f00044d5154540402003c0003657067"))
                assert client.recv(4) == bytes.fromhex("20020000")
        finally:
            broker.terminate()


def test_variable_wins_over_path(monkeypatch, tmp_path):
    argv = tools.micropython()
    wrapper = script(tmp_path / "my python", f'exec {shlex.join(argv)} "$@"')
    monkeypatch.setenv("MICROPYTHON", str(wrapper))
    assert tools.micropython() == [str(wrapper)]


def test_variable_may_hold_a_command(monkeypatch):
    argv = tools.micropython()
    monkeypatch.setenv("MICROPYTHON", shlex.join(argv))
    assert tools.micropython() == argv


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ("echo micropython 9223372036854775807 1 22 0", "MicroPython 1.22.0; 1.24 or newer"),
        ("echo cpython 9223372036854775807 3 11 2", "is not MicroPython"),
        ("exit 3", "cannot be used"),
    ],
)
def test_unfit_variable_is_refused(monkeypatch, tmp_path, answer, sentence):
    monkeypatch.setenv("MICROPYTHON", str(script(tmp_path / "mp", answer)))
    with pytest.raises(tools.ToolError, match=sentence):
        tools.micropython()


def test_variable_that_names_nothing_is_refused(monkeypatch):
    monkeypatch.setenv("MOSQUITTO", "/nowhere/mosquitto")
    with pytest.raises(tools.ToolError, match="MOSQUITTO names /nowhere/mosquitto"):
        tools.mosquitto()


def test_64_bit_interpreter_is_no_reference(monkeypatch, tmp_path):
    answer = "echo micropython 9223372036854775807 1 25 0"
    monkeypatch.setenv("MICROPYTHON32", str(script(tmp_path / "mp", answer)))
    with pytest.raises(tools.ToolError, match="not 32-bit"):
        tools.micropython32()


def test_reference_on_another_machine_is_one_sentence(empty_tools_dir, tmp_path):
    (tmp_path / "bin" / "dpkg").unlink(missing_ok=True)
    script(tmp_path / "bin" / "dpkg", "echo arm64")
    with pytest.raises(tools.UnsupportedMachineError, match="set MICROPYTHON32"):
        tools.micropython32()


def test_old_interpreter_on_path_is_passed_over(empty_tools_dir, tmp_path):
    script(tmp_path / "bin" / "micropython", "echo micropython 9223372036854775807 1 22 0")
    (tmp_path / "bin" / "dpkg").unlink(missing_ok=True)
    script(tmp_path / "bin" / "dpkg", "echo amd64")
    kept = empty_tools_dir / f"micropython-{debian.RELEASE}-amd64"
    (kept / "lib").mkdir(parents=True)
    (kept / "lib" / "ld-linux-x86-64.so.2").touch()
    assert tools.micropython()[-1] == str(kept / "bin" / "micropython")


def mirrors(folder: Path) -> list[str]:
    options = ("Dir::Etc::SourceList=/dev/null", f"Dir::Etc::SourceParts={folder}")
    return debian.machine_mirrors(*(word for option in options for word in ("-o", option)))


@needs_apt
def test_mirror_from_one_line_sources(tmp_path):
    (tmp_path / "all.list").write_text(ONE_LINE)
    assert mirrors(tmp_path) == [
        "http://mirror.example.org/debian/",
        "https://vendor.example.com/apt/",
    ]


@needs_apt
def test_mirror_from_deb822_sources(tmp_path):
    (tmp_path / "debian.sources").write_text(DEB822)
    assert mirrors(tmp_path) == [
        "https://first.example.org/debian/",
        "mirror+file:/etc/apt/mirrors/debian.list/",
    ]


@needs_apt
def test_no_mirror_is_one_sentence(empty_tools_dir, monkeypatch):
    monkeypatch.setattr(debian, "machine_mirrors", list)
    with pytest.raises(tools.ToolError, match=r"no Debian mirror .* set MICROPYTHON to it\.$"):
        tools.micropython()


@needs_apt
def test_dead_mirror_is_one_sentence_and_leaves_nothing(empty_tools_dir, monkeypatch):
    monkeypatch.setattr(debian, "machine_mirrors", lambda: ["http://127.0.0.1:9/debian"])
    with pytest.raises(tools.ToolError, match="micropython .* could not be fetched") as caught:
        tools.micropython()
    assert "\n" not in str(caught.value)
    assert [path.name for path in empty_tools_dir.iterdir()] == ["lock"]


@needs_apt
def test_mirror_without_debians_signature_is_refused(empty_tools_dir, monkeypatch, tmp_path):
    dists = tmp_path / "mirror" / "dists" / debian.RELEASE
    (dists / "main" / "binary-amd64").mkdir(parents=True)
    (dists / "main" / "binary-amd64" / "Packages").write_text("Package: micropython\n")
    (dists / "Release").write_text("Origin: Debian\nCodename: trixie\nSuite: stable\n")
    monkeypatch.setattr(debian, "machine_mirrors", lambda: [f"file:{tmp_path}/mirror"])
    with pytest.raises(tools.ToolError, match="not signed"):
        tools.micropython()


def test_without_apt_it_says_what_to_install(empty_tools_dir, tmp_path):
    (tmp_path / "bin" / "apt-get").unlink(missing_ok=True)
    with pytest.raises(
        tools.ToolError, match="apt-get is not on this machine; install MicroPython"
    ):
        tools.micropython()


def test_command_line_names_what_it_found(capsys):
    assert tools.main(["micropython"]) == 0
    assert capsys.readouterr().out.startswith("micropython ")


def test_command_line_refuses_an_unknown_tool(capsys):
    assert tools.main(["nothing"]) == 2
    assert "choose from micropython" in capsys.readouterr().err
