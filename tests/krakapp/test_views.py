import pytest
from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings
from django.db import InterfaceError, OperationalError

from common import heartbeats, realtime
from krakapp import views


@pytest.mark.django_db
class TestHealthz:
    def test_is_ok_when_every_process_proved_life(self, client):
        for process in ("engine", "worker", "feed", "liquidity"):
            realtime.beat(process)
        answer = client.get("/healthz")
        assert answer.status_code == 200
        assert answer.json() == {
            "status": "ok",
            "database": "ok",
            "redis": "ok",
            "engine": "ok",
            "worker": "ok",
            "feed": "ok",
            "liquidity": "ok",
        }

    def test_names_the_process_that_is_silent(self, client):
        for process in ("worker", "feed", "liquidity"):
            realtime.beat(process)
        answer = client.get("/healthz")
        assert answer.status_code == 503
        assert answer.json()["engine"] == "failed"
        assert answer.json()["worker"] == "ok"

    def test_names_the_database_when_it_is_away(self, client, monkeypatch):
        monkeypatch.setitem(settings.DATABASES["default"], "HOST", "/nowhere")
        nowhere = heartbeats.Question("nowhere", heartbeats.Line().ages)
        monkeypatch.setattr(heartbeats, "_database", nowhere)
        answer = client.get("/healthz")
        assert (answer.status_code, answer.json()["database"]) == (503, "failed")

    def test_cannot_know_the_processes_without_redis(self, client, monkeypatch):
        nowhere = realtime.redis.Redis.from_pool(realtime.BoundedPool.from_url("unix:///nowhere"))
        monkeypatch.setattr(realtime, "connection", lambda: nowhere)
        answer = client.get("/healthz")
        assert answer.status_code == 503
        assert (answer.json()["redis"], answer.json()["engine"]) == ("failed", "unknown")


@pytest.mark.django_db
class TestServerError:
    @pytest.mark.parametrize(
        ("trouble", "status"), [(OperationalError, 503), (InterfaceError, 503), (ValueError, 500)]
    )
    def test_tells_a_database_that_is_away_from_a_mistake(
        self, client, monkeypatch, trouble, status
    ):
        def fail():
            raise trouble

        monkeypatch.setattr(views, "featured", fail)
        client.raise_request_exception = False
        answer = client.get("/")
        assert answer.status_code == status
        assert (answer.headers.get("Retry-After") == "1") == (status == 503)

    def test_tells_a_program_as_a_problem(self, client, monkeypatch):
        def fail(*_args, **_kwargs):
            raise OperationalError

        monkeypatch.setattr(DefaultAccountAdapter, "authenticate", fail)
        account = {"email": "alice@demo.test", "password": "krakapp-demo"}
        client.raise_request_exception = False
        answer = client.post("/_allauth/app/v1/auth/login", account, "application/json")
        assert (answer.status_code, answer["Content-Type"]) == (503, "application/problem+json")
        assert answer.json()["code"] == "Unavailable"
