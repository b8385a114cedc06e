"""Apprise, with a real webhook and a real mail server."""

from __future__ import annotations

import email
import email.policy
import socket
from collections.abc import Iterator
from queue import Queue
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from connectors.letters import compose
from connectors.messenger import Messenger, MessengerProblem, hidden
from connectors.rounds import Undelivered
from tests.telling import PATIENCE_S, Listener, an_alert, listening

EVIL = "a\r\nBcc: all@plant.example\r\n\r\n<script>alert(1)</script>"


class Mailbox:
    def __init__(self) -> None:
        self.mails: Queue[Any] = Queue()
        self.answer = "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: ARG002 - aiosmtpd's
        self.mails.put(envelope)
        return self.answer


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, str]]:
    box = Mailbox()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    yield box, f"mailto://127.0.0.1:{port}?mode=insecure&from=scrnn@plant.example&to=op@plant.example"
    controller.stop()


@pytest.fixture
def webhook() -> Iterator[Listener]:
    with listening() as listener:
        yield listener


def test_a_webhook_is_told(webhook: Listener) -> None:
    letter = compose([an_alert(severity="critical")])
    Messenger(f"json://user:secret@{webhook.address}/hook").deliver(letter)
    told = webhook.next()
    assert (told["title"], told["message"], told["type"]) == (letter.title, letter.body, "failure")
    assert webhook.headers.get()["Authorization"].startswith("Basic ")


def test_a_webhook_that_refuses_is_told_with_what_it_says_and_no_secret(
    webhook: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    webhook.status = 503
    with pytest.raises(Undelivered, match="503") as problem:
        Messenger(f"json://user:secret@{webhook.address}/hook?token=secret").deliver(compose([an_alert()]))
    assert "secret" not in str(problem.value)
    assert "secret" not in caplog.text


def test_nobody_who_answers_is_told() -> None:
    with listening() as gone:
        url = f"json://{gone.address}"
    with pytest.raises(Undelivered, match=r"[Cc]onnection"):
        Messenger(url).deliver(compose([an_alert()]))


@pytest.mark.parametrize("form", ["", "&format=html"])
def test_a_mail_has_no_header_and_no_markup_of_a_machine(mailbox: tuple[Mailbox, str], form: str) -> None:
    box, url = mailbox
    Messenger(url + form).deliver(compose([an_alert(EVIL)]))
    envelope = box.mails.get(timeout=PATIENCE_S)
    assert envelope.rcpt_tos == ["op@plant.example"]
    mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
    assert mail["Bcc"] is None
    assert mail["Subject"].startswith("[warning] a\\x0d\\x0aBcc: all")
    for part in mail.walk():
        if part.get_content_type() == "text/html":
            assert "<script>" not in part.get_content()
        if part.get_content_type() == "text/plain" and not form:
            assert "flow: reading 3, 1 to 2.5 is normal (60%)" in part.get_content()


def test_a_mail_server_that_refuses_is_told(mailbox: tuple[Mailbox, str]) -> None:
    box, url = mailbox
    box.answer = "554 no"
    with pytest.raises(Undelivered):
        Messenger(url).deliver(compose([an_alert()]))


def test_a_url_that_cannot_be_used_is_told_without_its_secrets() -> None:
    for url in ("nonsense://secret", "slack://secret", "secret"):
        with pytest.raises(MessengerProblem, match="is no URL that Apprise can use") as problem:
            Messenger(url)
        assert "secret" not in str(problem.value)


def test_of_a_url_the_scheme_is_shown() -> None:
    assert hidden("slack://a/b/c") == "slack://***"
    assert hidden("password") == hidden("pass word://x") == "***"
