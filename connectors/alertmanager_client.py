"""The HTTP of an Alertmanager's API, version 2: alerts as it wants them, and one request that takes them there."""

from __future__ import annotations

import contextlib
import http.client
import json
import logging
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any

from scrnn_stream.alert import Alert

from .letters import plain, since, values
from .messenger import MessengerProblem
from .rounds import Undelivered
from .times import format_time
from .web import Address, opener

logger = logging.getLogger(__name__)

TIMEOUT_S = 10.0
PATH = "/api/v2/alerts"
_REFUSED = frozenset(range(400, 500)) - {401, 403, 404, 408, 413, 429}  # it is the alerts, and no use to try again


class AlertmanagerClient:
    """Posts alerts to one Alertmanager.

    Parameters
    ----------
    url
        Such as ``http://127.0.0.1:9093``; may hold user and password for basic authentication.
    name
        In the log.

    Raises
    ------
    MessengerProblem
        If the URL is none.
    """

    def __init__(self, url: str, name: str) -> None:
        self.name = name
        self._url, self._headers = _address(url)

    def post(self, alerts: Sequence[dict[str, Any]]) -> bool:
        """Whether they were taken; False if they were refused for good, Undelivered if it can be tried again."""
        body = json.dumps(alerts, allow_nan=False).encode()
        request = urllib.request.Request(self._url, body, self._headers, method="POST")  # noqa: S310 - http or https
        try:
            with opener.open(request, timeout=TIMEOUT_S):
                return True
        except urllib.error.HTTPError as error:
            said = f"{error.code} {_said(error)}".strip()
            if error.code not in _REFUSED:
                raise Undelivered(f"it answers {said}") from None
            logger.error("notify %s: it refuses alerts: %s", self.name, said)
            return False
        except (OSError, http.client.HTTPException) as error:
            raise Undelivered(plain(str(getattr(error, "reason", error)) or type(error).__name__)) from None


def postable(alert: Alert, starts: float, ends: float) -> dict[str, Any]:
    """An alert as Alertmanager takes it, firing until a time that is told in Unix seconds."""
    return {
        "startsAt": format_time(starts),
        "endsAt": format_time(max(ends, starts)),
        "labels": _labels(alert),
        "annotations": _annotations(alert),
    }


def _labels(alert: Alert) -> dict[str, str]:
    """What an alert is there: these stay the same while it lasts."""
    words = "".join(word.capitalize() for word in alert.kind.split("_"))
    return {
        "alertname": f"Machine{words}",
        "machine": plain(alert.machine),
        "kind": alert.kind,
        "severity": alert.severity,
        "topic": plain(alert.position.partition.topic),
        "partition": str(alert.position.partition.number),
    }


def _annotations(alert: Alert) -> dict[str, str]:
    """What is said of it; empty ones are left out, as Alertmanager does."""
    said = {
        "summary": plain(alert.message),
        "values": "; ".join(values(alert)),
        "since": "" if alert.begin is None else format_time(alert.begin),
        "description": "\n".join(part for part in (plain(alert.message), *values(alert), since(alert)) if part),
        "alert_id": alert.id,
    }
    return {name: text for name, text in said.items() if text}


def _said(error: urllib.error.HTTPError) -> str:
    with contextlib.suppress(OSError, http.client.HTTPException):
        return plain(error.read(300).decode(errors="replace").strip())
    return ""


def _address(url: str) -> tuple[str, dict[str, str]]:
    try:
        address = Address.of(url)
    except ValueError:
        address = None
    if address is None or address.has_more:
        raise MessengerProblem("alertmanager is no URL such as http://127.0.0.1:9093")
    headers = {"Content-Type": "application/json", "User-Agent": "scrnn-stream"} | address.headers
    return address.url(address.path.removesuffix(PATH) + PATH), headers
