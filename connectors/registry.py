"""Schemas by their ids, from a registry that speaks Confluent's REST API: Confluent's own, Karapace, Apicurio."""

from __future__ import annotations

import http.client
import json
import logging
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any, NamedTuple

from .readings import Refused
from .web import Address, opener

logger = logging.getLogger(__name__)

TIMEOUT_S = 5.0
PAUSE_S = 1.0  # between two tries
N_TRIES = 3  # for an id that the registry does not know: it may hear of a new schema later than we do
N_STRANGE = 10  # unknown ids of late: with more, whoever makes them up must not make everybody wait
FORGET_S = 60.0  # after which an unknown id is asked for again
MAX_ANSWER_BYTES = 1 << 20
MOST_KEPT = 1_000  # schemas
WARN_EVERY_S = 600.0


class RegistryProblem(RuntimeError):
    """The registry cannot be used; the message is one line that says what to do."""


class NotNow(Exception):
    """A message cannot be read at the moment; it can be later. Nothing is wrong with it."""


class Registered(NamedTuple):
    """A schema as the registry has it."""

    id: int
    type: str
    text: str
    has_references: bool


class _Unknown(NamedTuple):
    n_tries: int
    at: float
    reason: str


class Registry:
    """The schemas of one registry; each is asked for once.

    Parameters
    ----------
    url
        Such as ``https://registry:8081``; may hold user and password for basic authentication.
    clock
        Monotonic seconds.

    Raises
    ------
    RegistryProblem
        If the URL is none.
    """

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.url, self._headers = _address(url)
        self._clock = clock
        self._schemas: dict[int, Registered] = {}
        self._unknown: dict[int, _Unknown] = {}
        self._failed_at = self._warned_at = -float("inf")

    def open(self) -> None:
        """Look whether it is there.

        Raises
        ------
        RegistryProblem
            If it does not answer, does not let us in, or is no registry.
        """
        try:
            self._get("/schemas/types")
        except urllib.error.HTTPError as error:
            raise RegistryProblem(
                f"--registry {self.url} answers but not as a schema registry ({error.code}): check its path"
            ) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise RegistryProblem(f"--registry {self.url} does not answer: {_why(error)}; is it up?") from None

    def schema(self, id: int) -> Registered:
        """The schema of that id.

        Raises
        ------
        Refused
            If there is none, after some tries.
        NotNow
            If the registry does not answer, or has not been asked often enough.
        RegistryProblem
            If it does not let us in.
        """
        known = self._schemas.get(id)
        if known is not None:
            return known
        now = self._clock()
        strange = self._unknown.get(id)
        if strange is not None and strange.n_tries >= N_TRIES and now - strange.at < FORGET_S:
            raise Refused(strange.reason)
        if now - self._failed_at < PAUSE_S or (strange is not None and now - strange.at < PAUSE_S):
            raise NotNow
        try:
            registered = _registered(id, self._get(f"/schemas/ids/{id}"))
        except urllib.error.HTTPError as error:
            if 400 <= error.code < 500 and error.code not in (408, 429):
                raise self._not_known(id, now, error) from None
            raise self._failed(f"answers {error.code}") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._failed(_why(error)) from None
        if self._warned_at > -float("inf"):
            logger.warning("the registry %s answers again", self.url)
            self._warned_at = -float("inf")
        self._unknown.pop(id, None)
        if len(self._schemas) >= MOST_KEPT:
            self._schemas.pop(next(iter(self._schemas)))
        self._schemas[id] = registered
        return registered

    def _not_known(self, id: int, now: float, error: urllib.error.HTTPError) -> Exception:
        """An id is refused after some tries; at once, while there are many such ids."""
        self._unknown = {other: u for other, u in self._unknown.items() if now - u.at < FORGET_S}
        n_tries = self._unknown[id].n_tries + 1 if id in self._unknown else 1
        reason = f"the registry has no schema {id} ({error.code})"
        if len(self._unknown) >= N_STRANGE:
            n_tries = N_TRIES
        self._unknown[id] = _Unknown(n_tries, now, reason)
        return Refused(reason) if n_tries >= N_TRIES else NotNow()

    def _failed(self, reason: str) -> NotNow:
        self._failed_at = self._clock()
        if self._failed_at - self._warned_at >= WARN_EVERY_S:
            self._warned_at = self._failed_at
            logger.warning("the registry %s: %s; nothing is lost, messages wait for it", self.url, reason)
        return NotNow()

    def _get(self, path: str) -> Any:
        request = urllib.request.Request(self.url + path, headers=self._headers)  # noqa: S310 - http or https
        try:
            with opener.open(request, timeout=TIMEOUT_S) as answer:
                body = self._body(answer)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in (401, 403):
                raise RegistryProblem(
                    f"--registry {self.url} does not let in ({error.code}): check user and password in its URL"
                ) from None
            raise
        return json.loads(body)

    def _body(self, answer: http.client.HTTPResponse) -> bytes:
        """The time-out of a socket is for each of its reads: byte by byte an answer could take for ever."""
        body, end = b"", self._clock() + TIMEOUT_S
        while part := answer.read1(1 << 16):
            body += part
            if len(body) > MAX_ANSWER_BYTES:
                raise ValueError(f"its answer is longer than {MAX_ANSWER_BYTES} bytes")
            if self._clock() > end:
                raise TimeoutError(f"its answer takes longer than {TIMEOUT_S:g} s")
        return body


def _registered(id: int, answer: Any) -> Registered:
    if not isinstance(answer, dict) or not isinstance(answer.get("schema"), str):
        raise ValueError("its answer holds no schema")
    type = answer.get("schemaType") or "AVRO"  # which it need not say
    return Registered(id, str(type), answer["schema"], bool(answer.get("references")))


def _address(url: str) -> tuple[str, dict[str, str]]:
    """The URL without what must not be shown, and headers with it."""
    try:
        address = Address.of(url)
    except ValueError:
        raise RegistryProblem("--registry must be a URL such as http://127.0.0.1:8081") from None
    accept = {"Accept": "application/vnd.schemaregistry.v1+json, application/json"}
    return address.url(address.path), accept | address.headers


def _why(error: Exception) -> str:
    reason = getattr(error, "reason", error)
    return " ".join(str(getattr(reason, "strerror", None) or reason).split()) or type(error).__name__
