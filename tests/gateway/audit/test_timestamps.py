"""Time stamps (RFC 3161) by another implementation: openssl ts, behind HTTP."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from coldtrail_gateway.audit import anchors, timestamps, trail, verification
from coldtrail_gateway.audit.findings import What, Where
from coldtrail_gateway.audit.timestamps import TimestampError
from coldtrail_gateway.clock import SystemClock
from coldtrail_gateway.store.database import Store
from coldtrail_gateway.store.tower.database import Tower
from tests.gateway.audit.kept import NOW_MS, change

CONFIG = """
[tsa]
default_tsa = one
[one]
dir = {folder}
serial = {folder}/serial
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
default_policy = 1.3.6.1.4.1.99999.1
digests = sha256
signer_digest = sha256
accuracy = secs:1
ess_cert_id_alg = sha256
[ca]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
[stamping]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
"""


def openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a time stamp authority that openssl plays."""
    folder = tmp_path_factory.mktemp("tsa")
    config = folder / "tsa.cnf"
    config.write_text(CONFIG.format(folder=folder))
    (folder / "serial").write_text("01\n")
    for name, subject in (("ca", "/CN=Test root"), ("tsa", "/CN=Test TSA")):
        openssl(
            "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.csr", "-subj", subject,
        )  # fmt: skip
    openssl(
        "x509", "-req", "-in", folder / "ca.csr", "-signkey", folder / "ca.key", "-days", "3650",
        "-extfile", config, "-extensions", "ca", "-out", folder / "ca.pem",
    )  # fmt: skip
    openssl(
        "x509", "-req", "-in", folder / "tsa.csr", "-CA", folder / "ca.pem",
        "-CAkey", folder / "ca.key", "-CAcreateserial", "-days", "3650",
        "-extfile", config, "-extensions", "stamping", "-out", folder / "tsa.pem",
    )  # fmt: skip
    return folder


@contextmanager
def serving(authority: Path, other: bytes | None = None, status: int = 200) -> Iterator[str]:
    """Serve the authority, or with `other` always the same answer; return its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answer = other
            if answer is None:
                query, reply = authority / "query.tsq", authority / "reply.tsr"
                query.write_bytes(body)
                openssl(
                    "ts", "-reply", "-config", authority / "tsa.cnf", "-section", "one",
                    "-queryfile", query, "-out", reply,
                )  # fmt: skip
                answer = reply.read_bytes()
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/tsa"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_an_anchor_with_a_time_stamp(authority: Path, database: str, tmp_path: Path) -> None:
    folder = tmp_path / "anchors"
    now_ms = SystemClock().now_ms()
    with (
        Store(database, create=True) as store,
        Tower(database, create=True) as tower,
        serving(authority) as url,
    ):
        change(tower, 1)
        arguments = (store, tower, folder, tmp_path / "key.pem", trail.SYSTEM)
        made = anchors.make(*arguments, now_ms, url)
        # The clock of this machine is wrong by two hours, and the authority knows.
        anchors.make(*arguments, now_ms + 2 * 3_600_000, url)
        report = verification.verify(
            store.read, tower.read, folder, authority=authority / "ca.pem"
        )
        unverified = verification.verify(store.read, tower.read, folder)
    stamped_ms = timestamps.verified_ms(made.stamp, made.statement, authority / "ca.pem")
    assert abs(stamped_ms - now_ms) < 600_000
    (finding,) = report.findings
    assert (finding.where, finding.what, finding.row) == (Where.ANCHOR, What.ALTERED, 2)
    assert "and was stamped at" in finding.detail
    assert report.stamped == 2
    assert unverified.findings == ()
    assert "Time stamps were not verified" in " ".join(unverified.unseen)
    openssl(
        "ts", "-verify", "-data", folder / "anchor-000001.json",
        "-in", folder / "anchor-000001.tsr", "-CAfile", authority / "ca.pem",
    )  # fmt: skip


def test_a_stamp_of_something_else_is_refused(authority: Path, tmp_path: Path) -> None:
    with serving(authority) as url:
        stamp = timestamps.request(url, b"one")
    with pytest.raises(TimestampError, match="does not verify"):
        timestamps.verified_ms(stamp, b"two", authority / "ca.pem")
    with (
        serving(authority, other=stamp) as url,
        pytest.raises(TimestampError, match="something else"),
    ):
        timestamps.request(url, b"two")
    openssl(
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-keyout", tmp_path / "other.key", "-out", tmp_path / "other.pem", "-subj", "/CN=Other",
    )  # fmt: skip
    with pytest.raises(TimestampError, match="does not verify"):
        timestamps.verified_ms(stamp, b"one", tmp_path / "other.pem")
    with pytest.raises(TimestampError, match="no certificate"):
        timestamps.verified_ms(stamp, b"one", tmp_path / "none.pem")


@pytest.mark.parametrize(("answer", "status"), [(b"", 200), (b"junk", 200), (b"no", 500)])
def test_an_authority_that_answers_junk(authority: Path, answer: bytes, status: int) -> None:
    with serving(authority, answer, status) as url, pytest.raises(TimestampError):
        timestamps.request(url, b"one")


@pytest.mark.parametrize("url", ["file:///etc/passwd", "tsa.example.org", "http://a:b#c@d"])
def test_what_names_no_authority(url: str) -> None:
    with pytest.raises(TimestampError):
        timestamps.request(url, b"one")


def test_no_authority_leaves_an_anchor_without_a_stamp(database: str, tmp_path: Path) -> None:
    folder = tmp_path / "anchors"
    with Store(database, create=True) as store, Tower(database, create=True) as tower:
        change(tower, 1)
        with pytest.raises(TimestampError, match="was made without a time stamp"):
            anchors.make(
                store, tower, folder, tmp_path / "key.pem", trail.SYSTEM, NOW_MS,
                "http://127.0.0.1:1/",
            )  # fmt: skip
        assert verification.verify(store.read, tower.read, folder).findings == ()
    assert anchors.read(folder, 1).stamp == b""
