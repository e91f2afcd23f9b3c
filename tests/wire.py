"""A wire to PostgreSQL that can be cut around a COMMIT.

It stands between the app and the server, reads what the app says in the server's own protocol, and
at the next COMMIT it is told to cut, either drops it or lets it through and drops the answer. The
app cannot tell the two apart: that is what makes them worth testing.
"""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

COMMIT = b"COMMIT\0"


class Wire:
    """A socket in `folder` that leads to a server; `config` is one of `settings.DATABASES`."""

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        """Listen where a client of PostgreSQL looks for a server whose host is a folder."""
        self.folder = folder
        self.host, self.port = config["HOST"], config["PORT"] or 5432
        self.cuts = 0
        self._armed: str | None = None
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / ".s.PGSQL.5432"))
        self._listener.listen()

    def __enter__(self) -> Self:
        """Take connections in the background."""
        threading.Thread(target=self._take_connections, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take no more."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def cut_next(self, what: str) -> None:
        """Cut at the next COMMIT: lose the "request" itself, or the "answer" to it."""
        assert what in {"request", "answer"}
        self._armed = what

    def _take_connections(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(client, self._reach()), daemon=True).start()

    def _reach(self) -> socket.socket:
        if self.host.startswith("/"):
            server = socket.socket(socket.AF_UNIX)
            server.connect(f"{self.host}/.s.PGSQL.{self.port}")
            return server
        return socket.create_connection((self.host, int(self.port)))

    def _carry(self, client: socket.socket, server: socket.socket) -> None:
        """Carry messages to the server, and its answers back, until an end closes or it is cut."""
        answers = threading.Thread(target=_pour, args=(server, client.sendall), daemon=True)
        try:
            server.sendall(_first_message(client))
            answers.start()
            while True:
                kind, message = _message(client)
                if kind == ord("Q") and message[5:].upper() == COMMIT and self._armed:
                    self._cut(client, server, message)
                    return
                server.sendall(message)
        except (OSError, EOFError):
            return
        finally:
            _close(client)
            _close(server)

    def _cut(self, client: socket.socket, server: socket.socket, commit: bytes) -> None:
        """Lose the message or the answer, and both ends with it."""
        what, self._armed = self._armed, None
        self.cuts += 1  # counted first: the app may be done before the server has left
        client.shutdown(socket.SHUT_RDWR)  # from here on the app hears nothing
        if what == "answer":
            server.sendall(commit)
            server.shutdown(socket.SHUT_WR)  # it commits, answers into the void, and then leaves
            with suppress(OSError):
                while server.recv(65536):
                    pass


def _pour(source: socket.socket, into: Callable[[bytes], None]) -> None:
    with suppress(OSError):
        while said := source.recv(65536):
            into(said)


def _first_message(client: socket.socket) -> bytes:
    """Read the one message that has no type: who wants which database."""
    length = _exactly(client, 4)
    return length + _exactly(client, int.from_bytes(length) - 4)


def _message(client: socket.socket) -> tuple[int, bytes]:
    """Read one message: its type, and all its bytes."""
    head = _exactly(client, 5)
    return head[0], head + _exactly(client, int.from_bytes(head[1:]) - 4)


def _exactly(source: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = source.recv(size - len(parts))
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)


def _close(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
