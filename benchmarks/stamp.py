"""When, where and with what a table was measured, and the file that keeps its numbers."""

from __future__ import annotations

import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numba
import numpy as np


def stamp(**settings: Any) -> dict[str, Any]:
    """The date, the machine, the versions that matter for speed, and the settings of the run."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"cpu": cpu(), "cores": os.cpu_count(), "system": platform.platform()},
        "versions": {"python": platform.python_version(), "numpy": np.__version__, "numba": numba.__version__},
        "settings": settings,
    }


def write_json(path: Path, numbers: dict[str, Any]) -> None:
    path.write_text(json.dumps(numbers, indent=2, allow_nan=False) + "\n")


def cpu() -> str:
    """The model of the processor; `platform` often does not know it."""
    return of_processor("model name") or platform.processor() or platform.machine()


def of_processor(name: str) -> str:
    """What Linux tells of the first processor under that name; nothing elsewhere."""
    file = Path("/proc/cpuinfo")
    for line in file.read_text().splitlines() if file.exists() else []:
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""
