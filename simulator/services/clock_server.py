"""The clock server, from which the gateway reads the virtual time."""

from __future__ import annotations

import socketserver
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path


class ClockServer:
    """Gives the gateway the virtual time: a line "?" is answered with UTC milliseconds.

    A thread answers, because the simulator's own thread waits for the gateway meanwhile. Virtual
    time is stopped then, so the answer does not depend on the host.
    """

    def __init__(self, utc_ms: Callable[[], int]) -> None:
        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                while self.rfile.readline(16) == b"?\n":
                    self.wfile.write(b"%d\n" % utc_ms())

        # Not in the folder of the results, because the path of a socket is limited to 108 bytes
        # (unix(7)).
        self._folder = tempfile.TemporaryDirectory(prefix="coldtrail-")
        path = Path(self._folder.name) / "clock"
        self.address = f"unix:{path}"
        self._server = _UnixServer(str(path), Handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._folder.cleanup()


class _UnixServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False
