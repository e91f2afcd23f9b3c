"""Statements that the server plans once for each connection, and not each time.

Django binds parameters on its side, so that every statement is new to the server, and it builds
each query of a queryset anew. What every order asks is worth saying once: building and planning
take longer there than answering.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import psycopg
from django.db import connection, models

Row = TypeVar("Row", bound=models.Model)
Params = Sequence[Any] | Mapping[str, Any]


def prepared(query: str, params: Params) -> list[tuple[Any, ...]]:
    """Run a prepared statement in the current transaction and give the rows it returns.

    It lists its columns: a plan of `SELECT *` would fail once a migration adds one.
    """
    connection.ensure_connection()
    binding = psycopg.Cursor(connection.connection)
    # As connection.cursor() does, so that statements are counted and errors are Django's.
    with connection._prepare_cursor(binding) as cursor:  # type: ignore[attr-defined]  # noqa: SLF001
        cursor.execute(query, params)
        return [] if cursor.description is None else list(cursor.fetchall())


def read(
    model: type[Row], which: str, params: Params, *, only: Sequence[str] | None = None
) -> list[Row]:
    """Read rows of a model by a prepared statement.

    :param which: what follows the name of the table: WHERE, ORDER BY, LIMIT
    :param only: the attributes to read, else all of them
    """
    fields = [
        field
        for field in model._meta.concrete_fields  # noqa: SLF001 - Django's own, documented
        if only is None or field.attname in only
    ]
    columns = ", ".join(str(field.column) for field in fields)
    table = model._meta.db_table  # noqa: SLF001
    rows = prepared(f"SELECT {columns} FROM {table} {which}", params)  # noqa: S608 - names of ours
    names = [field.attname for field in fields]
    convert = [getattr(field, "from_db_value", None) for field in fields]
    return [
        model.from_db(
            connection.alias,
            names,
            [
                one(value, None, connection) if one else value
                for one, value in zip(convert, row, strict=True)
            ],
        )
        for row in rows
    ]


def delete_in_batches(table: str, which: str, params: Params, *, at_once: int = 5000) -> int:
    """Delete rows, so many in a transaction each, so that nobody waits long for their locks.

    Nothing cascades: only for tables that no other points at. It must not run in a transaction.

    :param which: what follows WHERE; the row is `t`
    :returns: how many went
    """
    query = f"""
        DELETE FROM {table} WHERE ctid = ANY (ARRAY(
            SELECT t.ctid FROM {table} t WHERE {which} LIMIT {at_once} FOR UPDATE SKIP LOCKED))
    """  # noqa: S608 - words of ours
    gone = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(query, params)
            batch: int = cursor.rowcount
        gone += batch
        if batch < at_once:
            return gone
