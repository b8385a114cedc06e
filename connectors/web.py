"""What requests over HTTP share: an address without its password, and an opener that takes it nowhere else."""

from __future__ import annotations

import base64
import urllib.request
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit, urlunsplit


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Whoever answers must not send our password elsewhere; where a proxy points to its login page, that is told."""

    def redirect_request(self, *_: Any) -> None:
        return None


opener = urllib.request.build_opener(_NoRedirect)


class Address(NamedTuple):
    """A URL taken apart: `headers` authorise with the user and password that stood in it, `has_more` than a path."""

    scheme: str
    place: str
    path: str
    headers: dict[str, str]
    has_more: bool

    @classmethod
    def of(cls, url: str) -> Address:
        """The address of an ``http`` or ``https`` URL. ValueError if it is none."""
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        if parts.scheme not in ("http", "https") or not host:
            raise ValueError("no URL of http or https")
        headers = {}
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode("ascii")
        place = (f"[{host}]" if ":" in host else host) + (f":{port}" if port is not None else "")
        return cls(parts.scheme, place, parts.path.rstrip("/"), headers, bool(parts.query or parts.fragment))

    def url(self, path: str) -> str:
        """Without user and password, with this path."""
        return urlunsplit((self.scheme, self.place, path, "", ""))
