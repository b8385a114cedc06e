"""Documents: links that lead somewhere, and every option of the service with its line."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

from scrnn_stream.cli import _add_run
from scrnn_stream.notify_options import NotifyOptions

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)")


def _anchors(page: Path) -> set[str]:
    """Those that GitHub gives to headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_between_documents_leads_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text()):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link}: no such file"
        if anchor:
            assert anchor in _anchors(target), f"{link}: no such heading"


def test_every_option_of_the_service_is_on_the_page_of_options() -> None:
    parser, page = argparse.ArgumentParser(add_help=False), (ROOT / "docs/options.md").read_text()
    _add_run(parser)
    flags = [action.option_strings[-1] for action in parser._actions]
    assert [flag for flag in flags if f"`{flag}" not in page and f"`{flag[2:].replace('-', '_')}`" not in page] == []


def test_every_key_of_notifications_is_on_their_page() -> None:
    page = (ROOT / "docs/notifications.md").read_text()
    assert [name for name in NotifyOptions.names() if f"| `{name}` |" not in page] == []
