from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from connectors.broker import EmbeddedBroker


def listening(pid: int) -> set[str]:
    """The addresses in hexadecimal that a process listens on, by Linux's own table."""
    sockets = {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()}
    tables = [Path(f"/proc/{pid}/net/{name}").read_text() for name in ("tcp", "tcp6")]
    rows = [line.split() for table in tables for line in table.splitlines()[1:]]
    return {row[1].partition(":")[0] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in sockets}


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@linux_only
def test_the_broker_listens_on_the_loopback_alone() -> None:
    with EmbeddedBroker() as broker:
        assert broker.pid is not None
        assert listening(broker.pid) == {"0100007F"}


@linux_only
def test_the_broker_ends_with_its_block_and_takes_its_data_along() -> None:
    with EmbeddedBroker() as broker:
        pid, directory = broker.pid, Path(f"/proc/{broker.pid}/cwd").resolve()
        assert directory.is_dir()
    assert pid is not None
    assert not is_running(pid)
    assert not directory.exists()


@linux_only
def test_the_broker_ends_when_its_process_is_killed() -> None:
    program = """if True:
        import time
        from connectors.broker import EmbeddedBroker
        with EmbeddedBroker() as broker:
            print(broker.pid, flush=True)
            time.sleep(60)
    """
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert is_running(pid)
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while is_running(pid):
        assert time.monotonic() < deadline, "the broker outlived its process"


def test_two_brokers_run_side_by_side() -> None:
    with EmbeddedBroker() as one, EmbeddedBroker() as two:
        assert one.address != two.address
