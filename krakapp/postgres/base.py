"""The backend itself; Django asks for a module of this name."""

from typing import Any

import psycopg
from django.db.backends.postgresql import base
from django.db.backends.postgresql.psycopg_any import IsolationLevel
from psycopg_pool import ConnectionPool

from common import patience
from krakapp.postgres.bounded import BoundedConnection, OutOfPatience


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's own, with bounded waits, which hands out no connection that broke while idle.

    Its `CONN_HEALTH_CHECKS` does the same one connection at a time, and pauses longer and longer
    in between: after a restart of the server it would find them all broken, one after the other.
    """

    def connect(self) -> None:
        """Connect; a connection that could not be made ready in time is not kept.

        It would be the thread's from then on, without autocommit: what comes next would take itself
        for a part of a transaction, commit nothing and keep all its locks.

        :raises psycopg.OperationalError: if the server is away or does not answer
        """
        try:
            super().connect()
        except BaseException:
            self.close()
            raise

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Connect, or take one from the pool; where it is broken, look through all the others too.

        :raises psycopg.OperationalError: if the server is away or does not answer
        """
        self.isolation_level = IsolationLevel.READ_COMMITTED
        if not self.pool:
            with patience.waiting():
                return BoundedConnection.connect(**conn_params)
        self.pool.open()
        connection = self._take()
        try:
            ConnectionPool.check_connection(connection)
        except psycopg.OperationalError as failure:
            self.pool.putconn(connection)
            if isinstance(failure, OutOfPatience):
                raise
            self.pool.check()
            connection = self._take()
        return connection

    def _take(self) -> Any:
        """Wait for a free connection of the pool."""
        with patience.waiting():
            return self.pool.getconn(timeout=patience.left())
