"""A small HTTP client for load: kept connections, no more than the bytes that must be."""

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

APART_S = 0.03  # between two connections that open


@dataclass(frozen=True, slots=True)
class Post:
    """One request: who asks, where, and what."""

    path: str
    token: str
    body: dict[str, Any]


@dataclass(slots=True)
class Answer:
    """What came back: when it was asked (`time.time`), how long it took in seconds."""

    asked_at: float
    took: float
    status: int
    body: dict[str, Any] = field(default_factory=dict)


class Connection:
    """One kept connection."""

    def __init__(self, address: str) -> None:
        """Remember where to connect; the first request does."""
        self.host, self.port = urlsplit(address).hostname, urlsplit(address).port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, post: Post) -> Answer:
        """Send a request and read its answer."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(self.host, self.port)
        reader, writer = self._streams
        body = json.dumps(post.body).encode()
        head = f"POST {post.path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\n"
        head += f"X-Session-Token: {post.token}\r\nContent-Type: application/json\r\n"
        asked_at, started = time.time(), time.perf_counter()
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        fields = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines[1:])}
        content = await reader.readexactly(int(fields["content-length"]))
        took = time.perf_counter() - started
        return Answer(asked_at, took, int(lines[0].split()[1]), json.loads(content))


async def flood(
    address: str, make: Callable[[int], Post], *, connections: int, seconds: float
) -> list[Answer]:
    """Ask on so many connections, each as soon as the last answer is there.

    They open one after the other: of many at once, one web worker would take them all.
    """
    until = time.perf_counter() + seconds
    answers: list[Answer] = []

    async def keep_asking(first: int) -> None:
        connection, number = Connection(address), first
        await asyncio.sleep(first * APART_S)
        while time.perf_counter() < until:
            answers.append(await connection.ask(make(number)))
            number += connections

    await asyncio.gather(*(keep_asking(number) for number in range(connections)))
    return answers


async def pace(address: str, posts: Sequence[Post], *, rate: float) -> list[Answer]:
    """Ask so often a second, whether or not answers are there; from when each was due.

    Connections take turns: one that rests too long is closed by the server.
    """
    free = deque(Connection(address) for _ in range(8))
    begin = time.perf_counter() + 0.1

    async def ask(number: int) -> Answer:
        await asyncio.sleep(begin + number / rate - time.perf_counter())
        connection = free.popleft() if free else Connection(address)
        answer = await connection.ask(posts[number])
        free.append(connection)
        return answer

    return list(await asyncio.gather(*(ask(number) for number in range(len(posts)))))
