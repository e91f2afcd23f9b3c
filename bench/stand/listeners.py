"""Many WebSocket clients in one process, as light as they can be: the server is to be measured."""

import asyncio
import base64
import os
import re
import resource
import struct
import time
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

STAMP = re.compile(rb'"time(?:stamp)?":"([^"]+)"')
CONNECTING_AT_ONCE = 50
PATIENCE_S = 60
QUIET_S = 1.0


@dataclass(frozen=True, slots=True)
class Heard:
    """What all clients heard: (the stamp of an update, when it came) and what it adds up to.

    Times are us of the monotonic clock, which all processes share.
    """

    updates: list[tuple[bytes, int]]
    items: int
    last_at: int
    lines_cut: int


class Socket(asyncio.Protocol):
    """One client. It says what it wants once, and notes when it heard what."""

    def __init__(self, crowd: "Crowd", path: str, headers: str, request: str) -> None:
        """Take the request that is sent once the line is open."""
        self.crowd, self.path, self.headers, self.request = crowd, path, headers, request
        self.buffer = b""
        self.is_open = False
        self.to_be_answered = max(request.count("/USD"), 1)  # one answer for each symbol
        self.answered = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        """Ask for the upgrade."""
        self.transport = transport
        key = base64.b64encode(os.urandom(16)).decode()
        transport.write(
            f"GET {self.path} HTTP/1.1\r\nHost: 127.0.0.1:{self.crowd.port}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {key}\r\n{self.headers}\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        """Take frames off what arrived."""
        now = time.monotonic_ns() // 1_000
        self.buffer += data
        if not self.is_open:
            head, separator, rest = self.buffer.partition(b"\r\n\r\n")
            if not separator:
                return
            assert b" 101 " in head, head
            self.is_open, self.buffer = True, rest
            self.say(self.request)
        while (frame := self.frame()) is not None:
            opcode, payload = frame
            if opcode == 1:
                self.hear(payload, now)
            elif opcode == 9:
                self.send(0x8A, payload)

    def frame(self) -> tuple[int, bytes] | None:
        """Take the next whole frame off the buffer, if there is one."""
        if len(self.buffer) < 2:
            return None
        size, start = self.buffer[1] & 0x7F, 2
        if size == 126:
            size, start = int.from_bytes(self.buffer[2:4], "big"), 4
        elif size == 127:
            size, start = int.from_bytes(self.buffer[2:10], "big"), 10
        if len(self.buffer) < start + size:
            return None
        opcode, payload = self.buffer[0] & 0x0F, self.buffer[start : start + size]
        self.buffer = self.buffer[start + size :]
        return opcode, payload

    def hear(self, payload: bytes, now: int) -> None:
        """Count an update; what is answered or a snapshot only says that the line is open."""
        if b'"success"' in payload:
            self.to_be_answered -= 1
            if not self.to_be_answered:
                self.answered.set_result(None)
        elif b'"snapshot"' not in payload and (found := STAMP.search(payload)):
            self.crowd.heard.append((found[1], now))
            self.crowd.items += payload.count(b'"trade_id"') or 1
            self.crowd.last = now

    def say(self, text: str) -> None:
        """Send a request."""
        self.send(0x81, text.encode())

    def send(self, opcode: int, body: bytes) -> None:
        """Send a frame, masked with zeros."""
        self.transport.write(struct.pack("!BBH", opcode, 0xFE, len(body)) + bytes(4) + body)

    def connection_lost(self, exc: Exception | None) -> None:
        """Remember that the line is cut; nobody should have."""
        self.crowd.lost += 1


class Crowd:
    """Clients in the child process."""

    def __init__(self, port: int) -> None:
        """Begin with nobody."""
        self.port = port
        self.heard: list[tuple[bytes, int]] = []
        self.items = 0  # a message may bring several trades
        self.last = 0
        self.lost = 0

    async def run(self, pipe: Any, path: str, requests: list[tuple[str, str]]) -> None:
        """Connect all, say so, listen until told, and say what was heard."""
        loop = asyncio.get_running_loop()
        sockets = []
        for start in range(0, len(requests), CONNECTING_AT_ONCE):
            batch = [
                (
                    await loop.create_connection(
                        lambda r=request: Socket(self, path, *r), "127.0.0.1", self.port
                    )
                )[1]
                for request in requests[start : start + CONNECTING_AT_ONCE]
            ]
            await asyncio.wait_for(asyncio.gather(*(s.answered for s in batch)), PATIENCE_S)
            sockets += batch
        await asyncio.sleep(QUIET_S)
        self.heard.clear()
        self.items = 0
        pipe.send("ready")
        while not pipe.poll():
            await asyncio.sleep(0.05)
        wanted = pipe.recv()
        deadline = loop.time() + PATIENCE_S
        while self.items < wanted and loop.time() < deadline:
            quiet_us = time.monotonic_ns() // 1_000 - self.last
            if self.last and quiet_us > 5_000_000:
                break
            await asyncio.sleep(0.05)
        pipe.send(Heard(self.heard, self.items, self.last, self.lost))
        pipe.recv()


class Listeners:
    """A process full of clients."""

    def __init__(self, port: int, path: str, requests: list[tuple[str, str]]) -> None:
        """Connect them all: each with headers of its own and a first request."""
        context = get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_listen, args=(theirs, port, path, requests))
        self._process.start()
        assert self._pipe.recv() == "ready"

    def heard(self, wanted: int) -> Heard:
        """Wait until so many items have arrived in all, or nothing more does."""
        self._pipe.send(wanted)
        found: Heard = self._pipe.recv()
        return found

    def close(self) -> None:
        """Let them go."""
        self._pipe.send("go")
        self._process.join(PATIENCE_S)


def _listen(pipe: Any, port: int, path: str, requests: list[tuple[str, str]]) -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 65_536), most))
    asyncio.run(Crowd(port).run(pipe, path, requests))
