"""How long one piece of work may wait for the database and for Redis, all its waits together.

A server that hangs keeps its connections open and never answers, so whoever waits has to count.
A request has one `Patience` from its arrival on. Where none is set, each wait is bounded by itself,
or not at all in processes that may wait for ever.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class Patience:
    """Seconds that are left for waiting."""

    def __init__(self, seconds: float) -> None:
        """Begin with so many."""
        self.left = seconds
        self.is_counting = False


_patience: ContextVar[Patience | None] = ContextVar("patience", default=None)
_of_each_wait: list[float] = []  # of this process, where nothing else is said


@contextmanager
def within(seconds: float) -> Iterator[Patience]:
    """Let what is done here wait for so long in all."""
    patience = Patience(max(0.0, seconds))
    token = _patience.set(patience)
    try:
        yield patience
    finally:
        _patience.reset(token)


def bound_every_wait(seconds: float) -> None:
    """Bound each wait of this process that is part of no work with a patience of its own."""
    _of_each_wait[:] = [seconds]


def left() -> float | None:
    """Say for how many seconds the next wait may last; None is for ever."""
    patience = _patience.get()
    if patience is not None:
        return patience.left
    return _of_each_wait[0] if _of_each_wait else None


@contextmanager
def waiting() -> Iterator[None]:
    """Count what happens here as waiting."""
    patience, begun = _patience.get(), time.monotonic()
    if patience is None or patience.is_counting:
        yield
        return
    patience.is_counting = True
    try:
        yield
    finally:
        patience.is_counting = False
        patience.left = max(0.0, patience.left - (time.monotonic() - begun))
