"""A schema registry for tests: a local HTTP server that follows Confluent's documented API for looking up ids.

It answers ``GET /schemas/types`` and ``GET /schemas/ids/{id}`` as
https://docs.confluent.io/platform/current/schema-registry/develop/api.html says; a test sets what is registered,
and can let it fail.
"""

from __future__ import annotations

import base64
import contextlib
import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any


class SchemaRegistry:
    """What it knows and how it behaves; every request is noted.

    Attributes
    ----------
    schemas
        What is answered for each id.
    fails_with
        A status that is answered to everything; None: it works.
    user
        ``user:password`` that it asks for.
    """

    def __init__(self) -> None:
        self.schemas: dict[int, dict[str, Any]] = {}
        self.fails_with: int | None = None
        self.user: str | None = None
        self.body: bytes | None = None  # in place of any answer
        self.asked: list[str] = []
        self.url = ""

    def register(self, schema: object, type: str | None = None, **more: Any) -> int:
        """The id under which the schema is known from now on."""
        answer = {"schema": schema if isinstance(schema, str) else json.dumps(schema), **more}
        self.schemas[id := 100_001 + len(self.schemas)] = answer | ({} if type is None else {"schemaType": type})
        return id

    def answer(self, path: str, authorization: str | None) -> tuple[int, bytes]:
        """Status and body."""
        self.asked.append(path)
        wanted = None if self.user is None else "Basic " + base64.b64encode(self.user.encode()).decode()
        if authorization != wanted and self.user is not None:
            return 401, b'{"error_code": 401, "message": "Unauthorized"}'
        if self.fails_with is not None:
            return self.fails_with, b'{"error_code": 50001, "message": "Error in the backend data store"}'
        if self.body is not None:
            return 200, self.body
        if path == "/schemas/types":
            return 200, b'["JSON", "PROTOBUF", "AVRO"]'
        id = path.removeprefix("/schemas/ids/")
        if id.isdigit() and int(id) in self.schemas:
            return 200, json.dumps(self.schemas[int(id)]).encode()
        return 404, b'{"error_code": 40403, "message": "Schema not found"}'


@contextlib.contextmanager
def schema_registry() -> Iterator[SchemaRegistry]:
    """A registry on a free port of this machine."""
    registry = SchemaRegistry()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = registry.answer(self.path, self.headers.get("Authorization"))
            self.send_response(status)
            self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        registry.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield registry
        finally:
            server.shutdown()
            thread.join()
