"""What may not be seen is not seen, whichever way a log writes it, and no line pretends to be another."""

from __future__ import annotations

import json

import pytest

from scrnn_stream import masking
from scrnn_stream.masking import MOST, harmless, hide, on_one_line, without_secrets


@pytest.mark.parametrize(
    "secret", ["plain words", "line\nand \"quotes\" and 'others'", "é, ü and \u2028", "\\back\\slash"]
)
def test_a_hidden_secret_is_not_seen_as_text_repr_or_bytes(secret: str) -> None:
    hide(secret)
    for form in (
        secret,
        repr(secret),
        repr(secret.encode()),
        repr({"password": secret}),
        f"a{secret}b",
        f"user\0{secret}",
    ):
        shown = harmless(f"before {form} after")
        assert "***" in shown
        assert secret[5:] not in shown


def test_raw_requests_are_not_seen_whoever_sends_them() -> None:
    text = """Request 3: SaslAuthenticate(version=2, auth_bytes=b"\\x00u'\\x00p\\"w"), Send: b'\\x00\\'pw' and more"""
    assert without_secrets(text) == "Request 3: SaslAuthenticate(version=2, auth_bytes=***), Send: *** and more"


def test_user_and_password_of_a_url_are_not_seen() -> None:
    assert without_secrets("through socks5://me:pass@word@proxy:1 at last") == "through socks5://***@proxy:1 at last"


def test_what_is_too_short_to_be_a_secret_or_is_none_leaves_the_text_alone() -> None:
    for nothing in ("", "abc", None, 5):
        hide(nothing)
    assert without_secrets("abc 5") == "abc 5"


def test_secrets_are_forgotten_oldest_first_so_that_tokens_do_not_fill_memory() -> None:
    before = dict(masking._secrets)
    try:
        for number in range(MOST + 10):
            hide(f"token-{number:05}")
        assert len(masking._secrets) == MOST
        assert without_secrets(f"token-{MOST:05}") == "***"
        assert without_secrets("token-00001") == "token-00001"
    finally:
        masking._secrets.clear()
        masking._secrets.update(before)


@pytest.mark.parametrize(
    "hostile",
    [
        "a\nERROR forged",
        "a\r\x1b[2Kforged",
        "\x1b]0;title\x07",
        "\x85\u2028\u2029",
        "\u202egnp.exe",
        "\x00",
        "\ud800",
        "\u200b\ufeff",
    ],
)
def test_characters_that_move_the_cursor_or_end_the_line_are_written_out(hostile: str) -> None:
    shown = on_one_line(hostile)
    assert shown.isprintable()
    assert len(shown.splitlines()) == 1
    assert json.loads(json.dumps(shown)) == shown
    shown.encode("utf-8")


def test_letters_of_all_languages_stay_as_they_are() -> None:
    assert harmless("Förderpumpe 泵 насос مضخة 🌊") == "Förderpumpe 泵 насос مضخة 🌊"
