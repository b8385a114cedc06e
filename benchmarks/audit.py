"""Known vulnerabilities of the packages that are installed, as pip-audit finds them; what it could not ask is no pass.

    python -m benchmarks.audit

Exit code 0: all was asked about and nothing is known; 1: something is known; 3: some could not be asked about. With
CI=true that is said and passes, for CI may have no network, and only what is known fails.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

OURS = "scrnn-stream"
KNOWN, UNASKED = 1, 3
MOST_NAMED = 5


class Findings(NamedTuple):
    """Of an environment: how many packages were asked about, what is known, and who could not be asked about, why."""

    n_asked: int
    known: list[str]
    unasked: list[str]
    reason: str


def main() -> int:
    """Ask, and say what is known."""
    auditor = sys.argv[1:] or [sys.executable, "-m", "pip_audit"]
    command = [*auditor, "--format", "json", "--progress-spinner", "off", "--path", sysconfig.get_path("purelib")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(*said(findings := read(done.stdout, done.stderr)), sep="\n")
    return code(findings, os.environ)


def read(output: str, errors: str) -> Findings:
    """What pip-audit has found; where it printed no JSON, nothing was asked."""
    try:
        packages: Sequence[Mapping[str, Any]] = json.loads(output)["dependencies"]
    except (ValueError, KeyError, TypeError):
        last = errors.strip().splitlines()[-1:] or ["it said nothing"]
        return Findings(0, [], ["all packages"], last[0][:300])
    packages = [package for package in packages if package["name"] != OURS]
    unasked = [package["name"] for package in packages if "skip_reason" in package]
    reasons = [package["skip_reason"] for package in packages if "skip_reason" in package]
    known = [
        f"{package['name']} {package['version']}: {found['id']}, mended in {', '.join(found['fix_versions']) or 'none'}"
        for package in packages
        for found in package.get("vulns", ())
    ]
    return Findings(len(packages) - len(unasked), known, unasked, reasons[0] if reasons else "")


def said(findings: Findings) -> list[str]:
    """For people."""
    told = [f"audit: {findings.n_asked} packages asked about, {len(findings.known)} vulnerabilities known"]
    told += [f"  {line}" for line in findings.known]
    if findings.unasked:
        more = f" and {n} more" if (n := len(findings.unasked) - MOST_NAMED) > 0 else ""
        told += [
            f"audit: NOT ASKED ABOUT: {', '.join(findings.unasked[:MOST_NAMED])}{more}",
            f"  because: {findings.reason}",
            "  Nothing is known of these, which is no pass: run `make audit` where the service can be reached.",
        ]
    return told


def code(findings: Findings, environ: Mapping[str, str]) -> int:
    if findings.known:
        return KNOWN
    return UNASKED if findings.unasked and environ.get("CI") != "true" else 0


if __name__ == "__main__":
    sys.exit(main())
