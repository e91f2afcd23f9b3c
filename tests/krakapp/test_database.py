"""The app's role, attacked by whoever could make it say anything."""

import psycopg
import pytest
from django.db import DatabaseError, connection, connections

from krakapp import database
from krakapp.management.commands import audit_books

OWNERS_ONLY = (
    "ALTER ROLE krakapp_app SUPERUSER",
    "ALTER ROLE krakapp_app CREATEROLE",
    "ALTER ROLE krakapp_app BYPASSRLS",
    "ALTER ROLE krakapp_app VALID UNTIL 'infinity'",
    "ALTER ROLE krakapp_app CONNECTION LIMIT -1",
    "ALTER ROLE krakapp_app RENAME TO krakapp_owner2",
    "ALTER ROLE krakapp_owner PASSWORD 'mine'",
    "ALTER ROLE krakapp_owner SET search_path = pg_temp",
    "ALTER ROLE ALL SET transaction_timeout = 0",
    "ALTER DATABASE test_krakapp SET transaction_timeout = 0",
    "ALTER SYSTEM SET fsync = off",
    "GRANT krakapp_owner TO krakapp_app",
    "SET ROLE krakapp_owner",
    "SET SESSION AUTHORIZATION krakapp_owner",
    "CREATE ROLE friend LOGIN",
    "CREATE TABLE public.trap ()",
    "CREATE SCHEMA trap",
    "CREATE FUNCTION public.trap() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "COPY django_session TO PROGRAM 'cat'",
    "SELECT pg_read_file('postgresql.conf')",
    "SELECT rolpassword FROM pg_authid",
    "SET session_replication_role = replica",
)
# PostgreSQL lets every role do these to itself, and has no way to forbid them.
ITS_OWN = (
    "ALTER ROLE krakapp_app SET transaction_timeout = 0",
    "ALTER ROLE krakapp_app SET search_path = pg_temp, public",
    "ALTER ROLE krakapp_app IN DATABASE test_krakapp SET lock_timeout = 0",
    "ALTER ROLE krakapp_app RESET ALL",
)


def breaks():
    return [found.detail for found in audit_books.audit([database.CHECK])]


@pytest.fixture
def provisioned():
    """Leave the role as it should be."""
    yield lambda: database.provision(
        owner=connections["owner"].settings_dict, app=connection.settings_dict
    )
    database.provision(owner=connections["owner"].settings_dict, app=connection.settings_dict)


@pytest.mark.django_db(transaction=True)
class TestTheAppsRole:
    @pytest.mark.parametrize("attack", OWNERS_ONLY)
    def test_gets_no_more_than_it_has(self, attack):
        refusals = r"permission denied|must be|cannot be renamed"
        with pytest.raises(DatabaseError, match=refusals), connection.cursor() as cursor:
            cursor.execute(attack)

    def test_is_found_as_provisioned(self):
        assert breaks() == []

    @pytest.mark.parametrize("attack", ITS_OWN)
    def test_that_changed_its_sessions_is_named_and_put_back(self, provisioned, attack):
        with connection.cursor() as cursor:
            cursor.execute(attack)
        assert breaks()
        provisioned()
        assert breaks() == []

    def test_that_changed_its_password_gets_ours_back(self, provisioned):
        with connection.cursor() as cursor:
            cursor.execute("ALTER ROLE krakapp_app PASSWORD 'mine'")
        with pytest.raises(psycopg.OperationalError, match="authentication failed"):
            database.connect(connection.settings_dict)
        provisioned()
        with database.connect(connection.settings_dict) as again:
            assert again.execute("SELECT 1").fetchone() == (1,)
