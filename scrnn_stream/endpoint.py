"""The HTTP of the service: /metrics for a Prometheus, /healthz and /readyz for whoever starts and stops it."""

from __future__ import annotations

import logging
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from scrnn_stream.metrics import Metrics
from scrnn_stream.usage import UsageError

logger = logging.getLogger(__name__)

HOST = "127.0.0.1"  # nobody else, unless told otherwise
MOST_SILENT_S = 300.0  # Kafka takes a worker for dead that does not poll for so long
PATIENCE_S = 10.0  # with whoever connects and says nothing
PLAIN = "text/plain; charset=utf-8"


class Endpoint:
    """Answers while the ``with`` block lasts, in threads of its own.

    Parameters
    ----------
    address
        ``PORT`` or ``HOST:PORT``; without a host on 127.0.0.1 alone; port 0: any that is free.
    metrics
        What it tells.

    Raises
    ------
    UsageError
        If the address is none, or cannot be had.
    """

    def __init__(self, address: str, metrics: Metrics) -> None:
        host, _, port = address.rpartition(":")
        if not port.isdecimal() or int(port) > 65535:
            raise UsageError(f"--http {address}: is no PORT or HOST:PORT, such as 9464 or 0.0.0.0:9464")
        try:
            self._server = _Server((host.strip("[]") or HOST, int(port)), metrics)
        except OSError as error:
            raise UsageError(f"--http {address}: cannot listen there: {error.strerror or error}") from error

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def __enter__(self) -> Endpoint:
        threading.Thread(target=self._server.serve_forever, name="http", daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], metrics: Metrics) -> None:
        self.metrics = metrics
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _Handler)

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002 - as the library calls it
        """Clients come and go as they like; anything else is a fault of ours, and no answer to this client."""
        level = logging.DEBUG if isinstance(sys.exc_info()[1], ConnectionError) else logging.ERROR
        logger.log(level, "a request from %s failed", client_address, exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = PATIENCE_S
    server_version, sys_version = "scrnn-stream", ""

    def do_GET(self) -> None:
        """Answer a path that is known."""
        metrics = self.server.metrics
        path = self.path.partition("?")[0]
        if path == "/metrics":
            self._answer(200, CONTENT_TYPE_LATEST, generate_latest(metrics.registry))
        elif path == "/healthz":
            silent_s = metrics.clock() - metrics.turned_at
            is_well = silent_s < MOST_SILENT_S
            self._say(200 if is_well else 503, "ok" if is_well else f"the worker has not polled for {silent_s:.0f} s")
        elif path == "/readyz":
            self._say(*((200, "ready") if metrics.is_ready else (503, "no partition yet, or still replaying")))
        else:
            self._say(404, "there are /metrics, /healthz and /readyz")

    do_HEAD = do_GET

    def log_message(self, format: str, *arguments: Any) -> None:
        logger.debug(format, *arguments)

    def _say(self, status: int, line: str) -> None:
        self._answer(status, PLAIN, f"{line}\n".encode())

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
