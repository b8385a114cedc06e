"""What tests of notifications share: alerts, and somebody who listens over real HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from typing import Any

from scrnn_stream.alert import Alert, SensorEvidence
from scrnn_stream.records import Partition, Position

PATIENCE_S = 20.0  # of whoever waits for a message; it comes at once
BEGIN = 1.7e9
PLANT = Partition("plant", 0)


def an_alert(machine: str = "pump-1", kind: str = "anomaly", state: str = "firing", **fields: Any) -> Alert:
    evidence = SensorEvidence(sensor="flow", share=0.6, actual=3.0, expected=2.0, low=1.0, high=2.5)
    of = {
        "id": f"{machine}/{kind}",
        "severity": "warning",
        "begin": BEGIN,
        "raised": BEGIN + 60,
        "end": BEGIN + 120 if state == "resolved" else None,
        "position": Position(PLANT, 7),
        "score": 0.7,
        "p_value": 1e-7,
        "message": f"{machine}: flow reads 3",
        "sensors": (evidence,),
    }
    return Alert(machine=machine, kind=kind, state=state, **of | fields)  # type: ignore[arg-type]


class Listener:
    """What was posted, in order, as JSON; answers with the status that is set, and the next posts wait for `lock`."""

    def __init__(self) -> None:
        self.heard: Queue[Any] = Queue()
        self.headers: Queue[dict[str, str]] = Queue()
        self.paths: Queue[str] = Queue()
        self.status = 200
        self.said = b""
        self.lock = threading.Lock()
        self.port = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def next(self) -> Any:
        return self.heard.get(timeout=PATIENCE_S)


@contextmanager
def listening(listener: Listener | None = None) -> Iterator[Listener]:
    """A server on a free port of this machine."""
    heard_by = listener or Listener()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with heard_by.lock:
                status = heard_by.status
            heard_by.headers.put(dict(self.headers))
            heard_by.paths.put(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(heard_by.said)))
            self.end_headers()
            self.wfile.write(heard_by.said)
            heard_by.heard.put(json.loads(body))

        def log_message(self, format: str, *arguments: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    heard_by.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield heard_by
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
