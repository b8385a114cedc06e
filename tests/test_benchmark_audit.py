"""An audit that could not ask is no pass, and says so."""

from __future__ import annotations

import json
from typing import Any

from benchmarks.audit import KNOWN, UNASKED, code, read, said

ASKED = {"name": "numpy", "version": "2.0", "vulns": []}
BAD = {"name": "old", "version": "1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"]}]}
SKIPPED = {"name": "river", "skip_reason": "Dependency not found on PyPI and could not be audited: river (0.26)"}
OURS = {"name": "scrnn-stream", "skip_reason": "distribution marked as editable"}


def found(*packages: dict[str, Any]) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


def test_all_asked_about_and_nothing_known_is_a_pass() -> None:
    findings = read(found(ASKED, OURS), "")
    assert said(findings) == ["audit: 1 packages asked about, 0 vulnerabilities known"]
    assert code(findings, {}) == 0


def test_what_is_known_fails_everywhere_and_names_the_version_that_mends_it() -> None:
    findings = read(found(ASKED, BAD, SKIPPED), "")
    assert "  old 1.0: PYSEC-1, mended in 1.1" in said(findings)
    assert code(findings, {}) == code(findings, {"CI": "true"}) == KNOWN


def test_what_could_not_be_asked_about_is_told_and_passes_in_ci_alone() -> None:
    findings = read(found(ASKED, *[SKIPPED] * 9), "")
    told = "\n".join(said(findings))
    assert "audit: NOT ASKED ABOUT: river, river, river, river, river and 4 more" in told
    assert "because: Dependency not found on PyPI" in told
    assert (code(findings, {}), code(findings, {"CI": "true"})) == (UNASKED, 0)


def test_an_auditor_that_breaks_has_asked_about_nothing() -> None:
    for output in ("", "Traceback", "[]", "{}"):
        findings = read(output, "a trace\nConnectionError: no such host\n")
        assert findings.n_asked == 0
        assert "because: ConnectionError: no such host" in "\n".join(said(findings))
        assert code(findings, {}) == UNASKED
