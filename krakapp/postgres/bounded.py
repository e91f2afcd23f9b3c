"""Connections whose waits end."""

from typing import Any

import psycopg
from psycopg.abc import RV, PQGen
from psycopg.errors import _WaitTimeout

from common import patience

INTERVAL_S = 0.1  # between looks for an interrupt, as psycopg has it


class OutOfPatience(psycopg.OperationalError):
    """The database did not answer in time."""


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that gives a server which hangs up: nobody else would end the wait.

    A server that is stopped keeps its sockets, so neither TCP nor a timeout of its own helps.
    """

    def wait(
        self, gen: PQGen[RV], interval: float = INTERVAL_S, timeout: float | None = None
    ) -> RV:
        """Wait for an answer as long as whoever asks may; then this connection is closed.

        :raises OutOfPatience: if none came
        """
        bound = patience.left()
        if bound is None or (timeout is not None and timeout < bound):
            return super().wait(gen, interval, timeout)
        if bound <= 0:
            raise OutOfPatience("no time is left to ask the database")
        try:
            with patience.waiting():
                return super().wait(gen, interval, bound)
        except _WaitTimeout:
            self.close()
            raise OutOfPatience(f"the database did not answer within {bound:.1f} s") from None
