import socket

import pytest
from django.contrib.auth.models import Group
from django.contrib.contenttypes.models import ContentType
from django.db import connection

from common import realtime


def role_of_the_tests() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        return cursor.fetchone()[0]


@pytest.mark.django_db
class TestTheDatabaseOfTheTests:
    def test_is_used_by_the_restricted_role(self):
        assert role_of_the_tests() == "krakapp_app"

    def test_gives_the_app_its_limits(self):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT unnest(setconfig) FROM pg_db_role_setting"
                " WHERE setrole = 'krakapp_app'::regrole"
            )
            limits = {row[0] for row in cursor.fetchall()}
        assert limits == {
            "transaction_timeout=10000",
            "idle_in_transaction_session_timeout=10000",
            "lock_timeout=5000",
            "plan_cache_mode=force_generic_plan",
            "max_parallel_workers_per_gather=0",
        }

    def test_lets_the_app_own_nothing(self):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_class WHERE pg_get_userbyid(relowner) = 'krakapp_app'"
            )
            assert cursor.fetchone()[0] == 0


@pytest.mark.django_db(transaction=True)
class TestATransactionalTest:
    @pytest.mark.parametrize("turn", ["first", "second"])
    def test_finds_the_database_as_migrated(self, turn):
        assert not Group.objects.filter(name="left behind").exists()
        assert ContentType.objects.exists()
        Group.objects.create(name="left behind")
        ContentType.objects.filter(app_label="sessions").delete()


class TestTheNetwork:
    def test_is_closed(self):
        with socket.socket() as out, pytest.raises(AssertionError, match="reached out"):
            out.connect(("192.0.2.1", 80))


@pytest.mark.django_db
class TestRedis:
    @pytest.mark.parametrize("turn", ["first", "second"])
    def test_is_empty_at_the_start_of_a_test(self, turn):
        assert not realtime.connection().exists("left behind")
        realtime.connection().set("left behind", "1")
