"""The database and its two roles: the owner migrates, the app reads and inserts.

What the app may not do with the books is revoked table by table in the ledger's own migrations;
here it is given what every app of Django needs, and the limits that keep one slow customer from
holding up the others.
"""

from typing import Any

import psycopg
from django.conf import settings
from psycopg import sql

from common.invariants import Check
from krakapp.postgres.bounded import BoundedConnection

APP_ROLE = "krakapp_app"

# Times in ms. A transaction that takes longer is a bug, and would hold back vacuum and the engine.
# What `common.database` prepares is planned once: its statements find a few rows by an index. To
# start parallel workers takes longer than any page's query should.
SESSION = {
    "transaction_timeout": 10_000,
    "idle_in_transaction_session_timeout": 10_000,
    "lock_timeout": 5_000,
    "plan_cache_mode": "force_generic_plan",
    "max_parallel_workers_per_gather": 0,
}

# Named where a role of the app's has changed what its sessions begin with.
CHECK = Check(
    9,
    "the app's sessions as provisioned",
    """
    WITH expected AS (SELECT unnest(ARRAY[{settings}]) AS setting),
    app AS (SELECT oid, rolname FROM pg_roles WHERE rolname IN ('{role}', session_user)
                AND pg_has_role(oid, '{role}', 'USAGE') AND NOT rolsuper),
    actual AS (SELECT rolname, setdatabase, unnest(setconfig) AS setting
               FROM pg_db_role_setting JOIN app ON app.oid = setrole)
    SELECT format('%s begins its sessions with %s', rolname, setting) FROM actual
    WHERE setdatabase <> 0 OR setting NOT IN (TABLE expected)
    UNION ALL
    SELECT format('%s does not begin its sessions with %s', rolname, setting) FROM app, expected
    WHERE NOT EXISTS (SELECT FROM actual WHERE actual.rolname = app.rolname
                          AND actual.setting = expected.setting AND setdatabase = 0)
    """.format(  # noqa: S608 - names of ours
        role=APP_ROLE,
        settings=", ".join(f"'{name}={value}'" for name, value in SESSION.items()),
    ),
)

_LATER = "ALTER DEFAULT PRIVILEGES IN SCHEMA public"
GRANTS = (
    "GRANT USAGE ON SCHEMA public TO {role}",
    f"{_LATER} GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {{role}}",
    f"{_LATER} GRANT USAGE, SELECT ON SEQUENCES TO {{role}}",
)

WITHHELD = (
    f"{_LATER} REVOKE ALL ON TABLES FROM {{role}}",
    f"{_LATER} REVOKE ALL ON SEQUENCES FROM {{role}}",
)


def connect(config: dict[str, Any], *, name: str | None = None) -> psycopg.Connection[Any]:
    """Open a connection of one's own, each statement its own transaction.

    :param config: one of `settings.DATABASES`
    :param name: another database of the same server
    """
    return BoundedConnection.connect(
        host=config["HOST"] or None,
        port=config["PORT"] or None,
        user=config["USER"] or None,
        password=config["PASSWORD"] or None,
        dbname=name or config["NAME"],
        connect_timeout=settings.CONNECT_S,
        autocommit=True,
    )


def provision(*, owner: dict[str, Any], app: dict[str, Any]) -> None:
    """Make the database and the app's role, and give the role its rights. Safe to repeat.

    The app signs in as `krakapp_app`, or in production as any role, which then
    becomes a member of it.

    :param owner: the owner's entry of `settings.DATABASES`
    :param app: the app's entry
    """
    with connect(owner, name="postgres") as server:
        if not _exists(server, "pg_database", "datname", owner["NAME"]):
            server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(owner["NAME"])))
    with connect(owner) as database:
        _ensure_role(database, APP_ROLE, app)
        database.execute(
            sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(
                sql.Identifier(owner["NAME"]), sql.Identifier(APP_ROLE)
            )
        )
        for grant in GRANTS:
            database.execute(sql.SQL(grant).format(role=sql.Identifier(APP_ROLE)))
        if app["USER"] != APP_ROLE:
            _ensure_role(database, app["USER"], app)
            database.execute(
                sql.SQL("GRANT {} TO {}").format(
                    sql.Identifier(APP_ROLE), sql.Identifier(app["USER"])
                )
            )


def withhold(*, owner: dict[str, Any]) -> None:
    """Grant nothing on the tables that are made next: a dump brings the grants of its own."""
    with connect(owner) as database:
        for revoke in WITHHELD:
            database.execute(sql.SQL(revoke).format(role=sql.Identifier(APP_ROLE)))


def _ensure_role(database: psycopg.Connection[Any], role: str, app: dict[str, Any]) -> None:
    """Create a role where it is missing, and set up its sessions; only the app's own signs in.

    PostgreSQL lets every role change its own password, and what its later sessions begin with.
    Both are put back here; `audit_books` names what was changed in between (`CHECK`).
    """
    name = sql.Identifier(role)
    with database.transaction():
        if not _exists(database, "pg_roles", "rolname", role):
            database.execute(sql.SQL("CREATE ROLE {}").format(name))
        if role == app["USER"]:
            log_in = sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}")
            database.execute(log_in.format(name, _verifier(database, role, app["PASSWORD"])))
        place = sql.Identifier(database.info.dbname)
        for reset in ("ALTER ROLE {} RESET ALL", "ALTER ROLE {} IN DATABASE {} RESET ALL"):
            database.execute(sql.SQL(reset).format(name, place))
        for setting, value in SESSION.items():
            database.execute(
                sql.SQL("ALTER ROLE {} SET {} = {}").format(
                    name, sql.Identifier(setting), sql.Literal(value)
                )
            )


def _verifier(database: psycopg.Connection[Any], role: str, password: str) -> sql.Literal:
    """Write a password as the server keeps it, so that no log of the server's shows it."""
    if not password:
        return sql.Literal(None)
    encrypt = database.pgconn.encrypt_password
    return sql.Literal(encrypt(password.encode(), role.encode(), b"scram-sha-256").decode())


def _exists(connection: psycopg.Connection[Any], table: str, column: str, value: str) -> bool:
    query = sql.SQL("SELECT EXISTS (SELECT FROM {} WHERE {} = %s)").format(
        sql.Identifier(table), sql.Identifier(column)
    )
    row = connection.execute(query, [value]).fetchone()
    return bool(row and row[0])
