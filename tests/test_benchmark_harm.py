"""What the chaos run does to networks and disks is really done: refused, swallowed, full."""

from __future__ import annotations

import contextlib
import errno
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.cut_network import Network

HOST, SOON_S = "127.0.0.1", 0.3
PROGRAM = """
import sys
from pathlib import Path
from benchmarks.small_disk import mounts_of_its_own, small_disk

mounts_of_its_own()
with small_disk(Path(sys.argv[1]) / "disk", 4 << 20) as disk:
    if disk is None:
        sys.exit("not permitted")
    for n_left in (0, 1 << 16):
        disk.fill(n_left)
        try:
            (disk.directory / "state").write_bytes(bytes(1 << 18))
        except OSError as error:
            print(error.errno, (disk.directory / "state").stat().st_size <= n_left)
        (disk.directory / "state").unlink()
        disk.free()
    print(len(bytes(1 << 18)), (disk.directory / "state").write_bytes(bytes(1 << 18)))
"""


class Echo(threading.Thread):
    """Answers every connection with what it says."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.server = socket.create_server((HOST, port))

    def run(self) -> None:
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self.answer, args=(connection,), daemon=True).start()

    @staticmethod
    def answer(connection: socket.socket) -> None:
        with connection, contextlib.suppress(ConnectionResetError):
            while said := connection.recv(100):
                connection.sendall(said)


@pytest.fixture
def network() -> Iterator[Network]:
    network = Network(["one", "other"], n_brokers=1)
    echoes = [Echo(listener.port) for listener in network.listeners(0)]
    for echo in echoes:
        echo.start()
    with network:
        yield network
    for echo in echoes:
        echo.server.shutdown(socket.SHUT_RDWR)
        echo.server.close()


def call(network: Network, client: str) -> socket.socket:
    host, _, port = network.address(client).partition(":")
    return socket.create_connection((host, int(port)), timeout=5.0)


def says(caller: socket.socket, words: bytes) -> bytes:
    caller.sendall(words)
    return caller.recv(100)


def test_a_refused_client_is_reset_and_finds_nobody_until_the_network_is_mended(network: Network) -> None:
    with call(network, "one") as one, call(network, "other") as other:
        assert says(one, b"a") == says(other, b"a") == b"a"
        network.refuse("one")
        with pytest.raises(ConnectionResetError):
            one.recv(100)
        with pytest.raises(ConnectionRefusedError):
            call(network, "one")
        assert says(other, b"b") == b"b"
    network.mend("one")
    with call(network, "one") as one:
        assert says(one, b"c") == b"c"


def test_what_is_swallowed_arrives_when_the_network_is_mended(network: Network) -> None:
    with call(network, "one") as one, call(network, "other") as other:
        assert says(one, b"a") == b"a"
        network.swallow("one")
        one.settimeout(SOON_S)
        with pytest.raises(TimeoutError):
            says(one, b"b")
        assert says(other, b"b") == b"b"
        network.mend("one")
        one.settimeout(5.0)
        assert one.recv(100) == b"b"


def test_a_filled_disk_has_no_room_and_then_has_again(tmp_path: Path) -> None:
    run = subprocess.run([sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True)
    if "not permitted" in run.stderr:
        pytest.skip("nobody may mount a file system here")
    assert run.stdout.splitlines() == [f"{errno.ENOSPC} True"] * 2 + ["262144 262144"], run.stderr
