"""A network that can be cut between each client and each broker: a proxy on every way, without the rights of root.

Two kinds of cut. Refused: open connections are reset and new ones refused, as if nobody lived there. Swallowed:
connections stay open and nothing passes in either direction, nor does the news that one end has closed; what was under
way arrives when the cut is mended, as TCP would send it again. One thing is not as with a pulled cable: a connection
that is opened while packets are swallowed seems to open, and then nothing comes.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

from tests.apache_kafka import Listener, quiet_port

HOST = "127.0.0.1"
CHUNK = 1 << 16
RESET_AT_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER for no time: close tells the other end that all is lost


class Network:
    """A way from each client to each broker, over ports of its own; all are there while the block lasts.

    Parameters
    ----------
    clients
        Their names.
    n_brokers
        Each needs the :meth:`listeners` of its number.
    """

    def __init__(self, clients: Sequence[str], n_brokers: int) -> None:
        self.clients = clients
        self._ways = {(client, broker): Way() for client in clients for broker in range(n_brokers)}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Network:
        self._thread.start()
        self.mend()
        return self

    def __exit__(self, *exc: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        for way in self._ways.values():
            way.leave()

    def address(self, client: str) -> str:
        """Of all brokers, as that client knows them."""
        return ",".join(f"{HOST}:{way.port}" for (name, _), way in self._ways.items() if name == client)

    def listeners(self, broker: int) -> list[Listener]:
        """What the broker must listen on, and what it must tell each client."""
        ways = [self._ways[client, broker] for client in self.clients]
        return [Listener(f"WAY{number}", way.target, way.port) for number, way in enumerate(ways)]

    def refuse(self, client: str | None = None, broker: int | None = None) -> None:
        """Cut the ways of that client, or to that broker, or all: reset what is open, refuse what is new."""
        self._each(self._some(client, broker), Way.refuse)

    def swallow(self, client: str | None = None, broker: int | None = None) -> None:
        """Cut them so that nobody hears of it: nothing passes."""
        self._each(self._some(client, broker), Way.swallow)

    def mend(self, client: str | None = None, broker: int | None = None) -> None:
        """Let them pass everything again, what was swallowed first."""
        self._each(self._some(client, broker), Way.mend)

    async def _end(self) -> None:
        for way in self._ways.values():
            await way.end()
        carrying = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*carrying, return_exceptions=True)

    def _some(self, client: str | None, broker: int | None) -> list[Way]:
        return [
            way for (name, number), way in self._ways.items() if client in (None, name) and broker in (None, number)
        ]

    def _each(self, ways: Iterable[Way], do: Callable[[Way], Coroutine[Any, Any, None]]) -> None:
        async def all_of_them() -> None:
            for way in ways:
                await do(way)

        asyncio.run_coroutine_threadsafe(all_of_them(), self._loop).result()


class Way:
    """From a port of its own to another, with everything that comes; cut until it is mended for the first time.

    Attributes
    ----------
    port, target
        Where the client and where the broker is.
    """

    def __init__(self) -> None:
        self.port, self.target = quiet_port(), quiet_port()
        self._socket = _bound(self.port)
        self._server: asyncio.Server | None = None
        self._passes = asyncio.Event()
        self._open: set[asyncio.StreamWriter] = set()

    async def refuse(self) -> None:
        """A socket that is bound and does not listen refuses, and nobody else takes its port."""
        if self._server is not None:
            self._server.close()
            self._server, self._socket = None, _bound(self.port)
        for writer in list(self._open):
            _reset(writer)

    async def swallow(self) -> None:
        """Let nothing pass."""
        self._passes.clear()

    async def mend(self) -> None:
        """Let everything pass."""
        if self._server is None:
            self._server = await asyncio.start_server(self._carry, sock=self._socket)
        self._passes.set()

    async def end(self) -> None:
        """Refuse, and let nobody wait."""
        await self.refuse()
        self._passes.set()

    def leave(self) -> None:
        """Give up the port."""
        self._socket.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        await self._passes.wait()
        try:
            broker_reader, broker_writer = await asyncio.open_connection(HOST, self.target)
        except OSError:  # the broker itself is gone
            _reset(writer)
            self._open.discard(writer)
            return
        self._open.add(broker_writer)
        await asyncio.gather(self._pump(reader, broker_writer), self._pump(broker_reader, writer))
        self._open -= {writer, broker_writer}

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                await self._passes.wait()
                writer.write(data)
                await writer.drain()
        await self._passes.wait()
        writer.close()


def _bound(port: int) -> socket.socket:
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((HOST, port))
    return bound


def _reset(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
    writer.transport.abort()
