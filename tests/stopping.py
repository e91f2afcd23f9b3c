"""Servers that hang: stopped by a signal, with all their processes, until they go on."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from django.conf import settings


def postgres() -> int:
    """Give the id of the tests' PostgreSQL."""
    return int((settings.HOME / "postgres/postmaster.pid").read_text().split()[0])


def valkey() -> int:
    """Give the id of the tests' Valkey."""
    [found] = [pid for pid, words in _commands() if "valkey-server" in words and _ours(words)]
    return found


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Stop a process and its descendants, so that their sockets stay and nobody answers."""
    family = [pid]
    os.kill(pid, signal.SIGSTOP)  # the parent first: it starts no more
    for parent in family:
        family += _children(parent)
    for one in family:
        _send(one, signal.SIGSTOP)
    try:
        yield
    finally:
        for one in reversed(family):
            _send(one, signal.SIGCONT)


def _send(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _children(parent: int) -> list[int]:
    text = Path(f"/proc/{parent}/task/{parent}/children").read_text()
    return [int(pid) for pid in text.split()]


def _commands() -> Iterator[tuple[int, str]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                yield int(entry.name), words


def _ours(words: str) -> bool:
    return str(settings.RUN) in words
