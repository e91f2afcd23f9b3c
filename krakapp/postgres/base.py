"""The backend itself; Django asks for a module of this name."""

from typing import Any

import psycopg
from django.db.backends.postgresql import base
from psycopg_pool import ConnectionPool


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's own, which hands out no connection that broke while nobody used it.

    Its `CONN_HEALTH_CHECKS` does the same one connection at a time, and pauses longer and longer
    in between: after a restart of the server it would find them all broken, one after the other.
    """

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Take one from the pool; where it is broken, look through all the others too.

        :raises psycopg.OperationalError: if the server is away
        """
        connection = super().get_new_connection(conn_params)
        if not self.pool:
            return connection
        try:
            ConnectionPool.check_connection(connection)
        except psycopg.OperationalError:
            self.pool.putconn(connection)
            self.pool.check()
            connection = super().get_new_connection(conn_params)
        return connection
