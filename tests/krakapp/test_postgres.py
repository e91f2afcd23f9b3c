"""The web's pool, when the database goes away and comes back."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest
from django.conf import settings
from psycopg_pool import ConnectionPool

from krakapp import database
from krakapp.postgres.base import DatabaseWrapper
from krakapp.settings import database as described

IDLE = 6  # connections that nobody uses when the server restarts
NAME = "the pool of a test"


@pytest.fixture
def pooled(
    servers: None, monkeypatch: pytest.MonkeyPatch, django_db_blocker: Any
) -> Iterator[dict[str, Any]]:
    """Describe a database with a pool as the web process has it."""
    monkeypatch.setenv("DATABASE_POOL_SIZE", "8")
    config = settings.DATABASES["owner"] | described("postgres:///postgres")
    config |= {
        name: settings.DATABASES["owner"][name] for name in ("USER", "PASSWORD", "HOST", "PORT")
    }
    config["OPTIONS"]["application_name"] = NAME
    with django_db_blocker.unblock():
        yield config
        DatabaseWrapper(config, alias=NAME).close_pool()


def ask(config: dict[str, Any]) -> tuple[Any, ...] | None:
    """Ask something as a request does: with a connection of its own, given back at once."""
    with closing(DatabaseWrapper(config, alias=NAME)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        return cursor.fetchone()


def test_no_connection_that_broke_while_idle_is_handed_out(pooled: dict[str, Any]) -> None:
    with ExitStack() as requests:
        for _ in range(IDLE):
            connection = requests.enter_context(closing(DatabaseWrapper(pooled, alias=NAME)))
            connection.ensure_connection()
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s"
    with database.connect(pooled) as server:
        assert len(server.execute(end, [NAME]).fetchall()) == IDLE
    assert ask(pooled) == (1,)
    lost = connection.pool.get_stats()["connections_lost"]
    assert lost == IDLE - 1  # all the others were found by the same request
    assert ask(pooled) == (1,)


def test_whoever_asks_next_connects_at_once(pooled: dict[str, Any], tmp_path: Any) -> None:
    place = {"host": str(tmp_path), "user": pooled["USER"], "dbname": "postgres"}  # nobody there
    place["password"] = pooled["PASSWORD"]
    gave_up = threading.Event()
    with ConnectionPool(
        kwargs=place,
        reconnect_failed=lambda _pool: gave_up.set(),
        open=False,
        **pooled["OPTIONS"]["pool"],
    ) as pool:
        assert gave_up.wait(30)
        place["host"] = pooled["HOST"]
        with pool.connection(timeout=1) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
