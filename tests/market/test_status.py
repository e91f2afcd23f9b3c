"""The platform says how it is: over REST, whatever hangs, and on the sockets as it changes."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client

from common import heartbeats, realtime
from tests.market.sockets import Client as SocketClient
from tests.market.sockets import serving

pytestmark = pytest.mark.django_db(transaction=True)


def last_heard(part: str, ago: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE common_heartbeat SET at = clock_timestamp() - %s::interval WHERE part = %s",
            [ago, part],
        )


def status() -> tuple[str, dict[str, dict[str, Any]]]:
    answer = Client().get("/api/v1/status")
    assert answer.status_code == 200
    return answer.json()["system"], {part["part"]: part for part in answer.json()["parts"]}


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    heartbeats._silent_since.clear()
    heartbeats._answered_at.clear()
    yield
    heartbeats._silent_since.clear()
    heartbeats._answered_at.clear()


class TestStatus:
    def test_is_online_while_every_part_is_heard(self) -> None:
        system, parts = status()
        assert system == "online"
        assert set(parts) == set(heartbeats.WORDS)
        assert {name: part["state"] for name, part in parts.items()} == dict.fromkeys(parts, "ok")

    @pytest.mark.parametrize(
        ("part", "system"),
        [
            ("engine:main", "cancel_only"),
            ("settler", "limit_only"),
            ("feed", "limit_only"),
            ("liquidity", "online"),
        ],
    )
    def test_says_in_words_who_is_silent_and_since_when(self, part: str, system: str) -> None:
        last_heard(part, "1 hour")
        name, _, _ = part.partition(":")
        now_system, parts = status()
        silent = parts[name]
        assert (now_system, silent["state"]) == (system, "silent")
        assert silent["detail"] == heartbeats.WORDS[name]
        first = datetime.fromisoformat(silent["silent_since"])
        assert datetime.fromisoformat(status()[1][name]["silent_since"]) == first

    def test_knows_of_the_others_only_through_the_database(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(settings.DATABASES["default"], "HOST", "/nowhere")
        nowhere = heartbeats.Question("nowhere", heartbeats.Line().ages)
        monkeypatch.setattr(heartbeats, "_database", nowhere)
        system, parts = status()
        assert system == "maintenance"
        assert parts["database"]["state"] == "silent"
        assert parts["engine"]["state"] == "unknown"

    def test_tells_of_redis_and_goes_on(self, monkeypatch: pytest.MonkeyPatch) -> None:
        away = realtime.redis.Redis.from_pool(realtime.BoundedPool.from_url("unix:///nowhere"))
        monkeypatch.setattr(realtime, "connection", lambda: away)
        system, parts = status()
        assert (system, parts["redis"]["state"]) == ("online", "silent")


class TestTheChannel:
    def test_tells_everybody_when_a_part_falls_silent_and_is_heard_again(self) -> None:
        def says(system: str) -> Any:
            return lambda m: m.get("channel") == "status" and m["data"][0]["system"] == system

        with serving() as address:
            client = SocketClient(address)
            client.wait_for(says("online"))
            last_heard("engine:main", "1 hour")
            [told] = client.wait_for(says("cancel_only"))["data"]
            [silent] = told["silent"]
            assert (silent["part"], silent["detail"]) == ("engine", heartbeats.WORDS["engine"])
            newcomer = SocketClient(address)
            newcomer.wait_for(says("cancel_only"))
            with connection.cursor() as cursor:
                cursor.execute("UPDATE common_heartbeat SET at = 'infinity'")
            [told] = client.wait_for(says("online"))["data"]
            assert told["silent"] == []
            for one in (client, newcomer):
                one.close()
