"""The database of the tests: made by its owner, used by the app's role, restored to as migrated."""

import hashlib
from typing import Any

import psycopg
from django.core.management import call_command
from django.db import connections
from psycopg import sql

from krakapp import database
from krakapp.settings import BASE_DIR

NAME = "test_krakapp"

# The ledger's own tests post what no app above explains; only the owner can list such a kind.
A_KIND_OF_THE_TESTS = (
    "INSERT INTO ledger_journalkind (name, guard) VALUES ('test', 'ledger_journals_at_once')"
)

# No process runs beside the tests, and none is missed: each part was last heard of in the future.
ALL_AT_WORK = """
INSERT INTO common_heartbeat (part, at)
SELECT unnest(ARRAY['engine:main', 'settler', 'feed', 'liquidity']), 'infinity'
"""

# A copy of every row that the migrations left, in a schema that only the owner sees.
KEEP_SEEDS = """
DO $$
DECLARE this regclass;
BEGIN
    DROP SCHEMA IF EXISTS seeds CASCADE;
    CREATE SCHEMA seeds;
    FOR this IN SELECT relid FROM pg_stat_user_tables WHERE schemaname = 'public'
    LOOP
        EXECUTE format('CREATE TABLE seeds.%1$I AS TABLE %2$s', (
            SELECT relname FROM pg_class WHERE oid = this), this);
    END LOOP;
END $$
"""

# Triggers and foreign keys are set aside for this transaction only.
RESTORE = """
DO $$
DECLARE this record; used boolean; seeded boolean;
BEGIN
    SET LOCAL session_replication_role = replica;
    SET LOCAL lock_timeout = '10s';
    FOR this IN
        SELECT format('public.%I', c.relname) AS name, format('seeds.%I', c.relname) AS seed,
            (SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute
             WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
            ) AS columns
        FROM pg_class c
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
            AND NOT c.relispartition
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %s)', this.name) INTO used;
        EXECUTE format('SELECT EXISTS (SELECT FROM %s)', this.seed) INTO seeded;
        IF used THEN
            EXECUTE format('DELETE FROM %s', this.name);
        END IF;
        IF seeded THEN
            EXECUTE format('INSERT INTO %1$s (%3$s) OVERRIDING SYSTEM VALUE SELECT %3$s FROM %2$s',
                this.name, this.seed, this.columns);
        END IF;
    END LOOP;
END $$
"""


class Bed:
    """One server's test database."""

    def __init__(self, databases: dict[str, dict[str, Any]]) -> None:
        """Point both aliases of Django at the test database."""
        for alias in ("default", "owner"):
            databases[alias]["NAME"] = NAME
            connections[alias].settings_dict["NAME"] = NAME
        # Many tests run whole in one transaction, which the app's role would be timed out of.
        patient = "-ctransaction_timeout=120s -cidle_in_transaction_session_timeout=120s"
        connections["default"].settings_dict["OPTIONS"]["options"] = patient
        self.owner, self.app = databases["owner"], databases["default"]

    def make(self, *, anew: bool) -> None:
        """Create and migrate it, unless it stands already as these migrations would leave it."""
        digest = _digest_of_migrations()
        with database.connect(self.owner, name="postgres") as server:
            if not anew and self._made_from(server) == digest:
                self.restore()
                return
            name = sql.Identifier(NAME)
            server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
        database.provision(owner=self.owner, app=self.app)
        call_command("migrate", database="owner", verbosity=0, interactive=False)
        connections["owner"].close()
        with database.connect(self.owner) as made:
            made.execute(A_KIND_OF_THE_TESTS)
            made.execute(ALL_AT_WORK)
            made.execute(KEEP_SEEDS)
            comment = sql.SQL("COMMENT ON DATABASE {} IS {}")
            made.execute(comment.format(sql.Identifier(NAME), sql.Literal(digest)))

    def restore(self) -> None:
        """Take away what tests committed, and put back what the migrations had."""
        with database.connect(self.owner) as owner:
            owner.execute(RESTORE)

    def _made_from(self, server: psycopg.Connection[Any]) -> str | None:
        row = server.execute(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s",
            [NAME],
        ).fetchone()
        return row[0] if row else None


def _digest_of_migrations() -> str:
    """Hash whatever the made database depends on."""
    digest = hashlib.sha256()
    names = ("requirements.txt", "krakapp/database.py", "users/rules.py", "users/receivers.py")
    files = [BASE_DIR / name for name in names]
    for path in [
        *files,
        *sorted(BASE_DIR.glob("*/migrations/*.py")),
        *BASE_DIR.glob("tests/database.py"),
    ]:
        digest.update(path.read_bytes())
    return digest.hexdigest()
