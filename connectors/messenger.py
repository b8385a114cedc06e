"""One place where people are told: a webhook, a mailbox or a chat, by a URL of Apprise."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from .letters import Letter, plain
from .rounds import Undelivered

_LEVELS = {"critical": "failure", "warning": "warning", "resolved": "success"}  # in Apprise's words
_MOST_REASON_CHARS = 200


class MessengerProblem(ValueError):
    """A messenger cannot be used as asked; the message is one line that says what to do, without the URL's secrets."""


class Messenger:
    """Sends letters to one URL of Apprise, such as ``jsons://host/path``, ``mailtos://...`` or ``slack://...``.

    Parameters
    ----------
    url
        As https://appriseit.com/services/ has them. Almost all of it can be secret, so it is never shown but for its
        scheme.

    Raises
    ------
    MessengerProblem
        If Apprise is not installed or does not know the URL.
    """

    def __init__(self, url: str) -> None:
        apprise = _apprise()
        self.url = url
        asset = apprise.AppriseAsset(
            app_id="scrnn-stream", app_desc="scrnn-stream", app_url="", storage_mode="memory", async_mode=False
        )
        self._service: Any = apprise.Apprise(asset=asset)
        if not self._service.add(url):
            raise MessengerProblem(
                f"{hidden(url)} is no URL that Apprise can use; compare it with https://appriseit.com/services/"
            )

    def deliver(self, letter: Letter) -> None:
        """Send one letter; Undelivered with what Apprise says of it."""
        with self._service.notify(
            title=letter.title, body=letter.body, notify_type=_LEVELS[letter.level], body_format="text"
        ) as result:
            if not result:
                raise Undelivered(self._reason(result))

    def _reason(self, result: Any) -> str:
        said = [entry.message for entry in result.logs() if entry.level in ("WARNING", "ERROR", "CRITICAL")]
        text = plain(" ".join(said[-1].split()) if said else "it was not taken", _MOST_REASON_CHARS)
        return "it was not taken" if self.url in text else text


def hidden(url: str) -> str:
    """What may be shown of a URL that can hold a secret anywhere: ``slack://***``."""
    scheme, found, _ = url.partition("://")
    return f"{scheme}://***" if found and scheme.isalnum() else "***"


def _apprise() -> ModuleType:
    try:
        import apprise
    except ImportError:
        raise MessengerProblem("urls need Apprise: pip install 'scrnn-stream[notify]'") from None
    module: ModuleType = apprise
    return module
