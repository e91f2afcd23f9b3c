"""A server that hangs: every request is answered in time, and all goes on when the server does."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import pytest
from django.conf import settings
from django.db import OperationalError, connection, connections, transaction
from django.test import Client
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

import trading.operations
from common import patience, realtime
from krakapp.settings import BASE_DIR
from tests import stopping, world
from tests.database import NAME
from trading.models import Shard

if TYPE_CHECKING:
    from tests.trading.floor import Floor

PATIENCE_S = 120  # a slow machine's
ANSWER_S = 30  # far above what is promised, far below for ever
LIMIT = {"instrument": "AAPLx", "side": "buy", "type": "limit"}
LIMIT |= {"quantity": "0.5", "limit_price": "270.00"}


@pytest.fixture
def floor(transactional_db: None) -> "Floor":
    from tests.trading.floor import Floor  # noqa: PLC0415

    return Floor()


@pytest.fixture
def web(floor: "Floor") -> Iterator[httpx.Client]:
    """Run a web process of the platform on the servers of the tests; Alice is signed in."""
    world.fund(world.alice(), "100000")
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    described = settings.DATABASES["default"]
    who = f"{described['USER']}:{quote(described['PASSWORD'], safe='')}"
    url = f"postgresql://{who}@{quote(described['HOST'], safe='')}/{NAME}"
    environment = os.environ | {"DATABASE_URL": url, "DATABASE_POOL_SIZE": "4"}
    environment |= {"REDIS_URL": settings.REDIS_URL, "PORT": str(port), "QUEUE": "24"}
    command = [sys.executable, "-m", "uvicorn", "krakapp.asgi:application", "--port", str(port)]
    process = subprocess.Popen([*command, "--log-level", "critical"], cwd=BASE_DIR, env=environment)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=ANSWER_S) as client:
            until(lambda: client.get("/healthz").json()["database"] == "ok")
            client.headers["X-Session-Token"] = token_of_alice()
            yield client
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def token_of_alice() -> str:
    account = {"email": "alice@demo.test", "password": world.PASSWORD}
    answer = Client().post("/_allauth/app/v1/auth/login", account, "application/json")
    return str(answer.json()["meta"]["session_token"])


def until(good: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            if good():
                return
        except (httpx.TransportError, ValueError, KeyError):
            pass
        time.sleep(0.1)
    raise AssertionError("it never came to be")


@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
class TestPostgreSQL:
    @pytest.fixture
    def hanging(self, web: httpx.Client) -> Iterator[None]:
        """Warm the web process up, then stop the server."""
        assert web.get("/api/v1/me").status_code == 200
        connections.close_all()
        with stopping.stopped(stopping.postgres()):
            yield

    @pytest.mark.parametrize(
        ("method", "where", "body"),
        [
            ("GET", "/api/v1/me", None),
            ("GET", "/api/v1/instruments", None),
            ("POST", "/api/v1/orders", LIMIT),
            ("DELETE", "/api/v1/orders", None),
            ("POST", "/_allauth/app/v1/auth/login", {"email": "a@demo.test", "password": "x"}),
        ],
    )
    def test_a_request_is_told_to_come_again(
        self, web: httpx.Client, hanging: None, method: str, where: str, body: Any
    ) -> None:
        answer = web.request(method, where, json=body)
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "1"
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["code"] == "Unavailable"

    def test_health_is_told_while_all_threads_wait(self, web: httpx.Client, hanging: None) -> None:
        with ThreadPoolExecutor(60) as crowd:
            asked = [crowd.submit(web.get, "/api/v1/me") for _ in range(60)]
            for _ in range(3):
                health = web.get("/healthz")
                assert (health.status_code, health.json()["database"]) == (503, "failed")
                assert health.json()["redis"] == "ok"
            answers = [one.result(PATIENCE_S) for one in asked]
        assert {answer.status_code for answer in answers} == {503}
        assert {answer.headers["Retry-After"] for answer in answers} == {"1"}

    @pytest.mark.parametrize("where", ["/ws/v2", "/ws/v2/private"])
    def test_a_socket_is_told_to_come_again(
        self, web: httpx.Client, hanging: None, where: str
    ) -> None:
        address = f"ws://{web.base_url.host}:{web.base_url.port}{where}"
        told = {}
        try:
            with connect(address, open_timeout=ANSWER_S, close_timeout=1) as line:
                line.recv(timeout=ANSWER_S)
        except InvalidStatus as refused:
            told = {"status": refused.response.status_code}
        except ConnectionClosed as closed:
            told = {"code": closed.rcvd and closed.rcvd.code}
        assert told in ({"status": 503}, {"code": 1013})

    def test_all_goes_on_when_it_does(self, web: httpx.Client) -> None:
        assert web.get("/api/v1/me").status_code == 200
        connections.close_all()
        with stopping.stopped(stopping.postgres()):
            assert web.post("/api/v1/orders", json=LIMIT).status_code == 503
        until(lambda: web.get("/healthz").json()["database"] == "ok")
        until(lambda: web.get("/api/v1/me").status_code == 200)
        assert web.post("/api/v1/orders", json=LIMIT).status_code == 201


@pytest.mark.django_db(transaction=True)
class TestOutOfPatience:
    """Who has no time left connects once more to leave the transaction, and can't make it ready."""

    def test_no_connection_is_kept_on_which_nothing_is_committed(self) -> None:
        run_out_in_a_transaction()
        with transaction.atomic():
            Shard.objects.create(name="in-time")
        connections.close_all()
        assert not Shard.objects.filter(name="late").exists()
        assert Shard.objects.filter(name="in-time").exists()

    def test_no_connection_is_kept_on_which_locks_stay(self) -> None:
        shard = Shard.objects.create(name="locked")
        run_out_in_a_transaction()
        with transaction.atomic():
            Shard.objects.select_for_update().get(pk=shard.pk)
        with ThreadPoolExecutor(1) as other:
            other.submit(lock_at_once, shard.pk).result()


def run_out_in_a_transaction() -> None:
    with patience.within(PATIENCE_S) as waits, pytest.raises(OperationalError):
        write_too_late(waits)


@transaction.atomic
def write_too_late(waits: patience.Patience) -> None:
    Shard.objects.create(name="late")
    waits.left = 0
    Shard.objects.create(name="too-late")


def lock_at_once(shard_id: int) -> None:
    try:
        with transaction.atomic():
            Shard.objects.select_for_update(nowait=True).get(pk=shard_id)
    finally:
        connection.close()


@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
class TestRedis:
    def test_is_missed_by_nobody_but_those_who_ask_for_it(self, web: httpx.Client) -> None:
        assert web.post("/api/v1/orders", json=LIMIT).status_code == 201
        with stopping.stopped(stopping.valkey()):
            health = web.get("/healthz").json()
            assert (health["database"], health["redis"]) == ("ok", "failed")
            with ThreadPoolExecutor(20) as crowd:
                asked = [crowd.submit(web.post, "/api/v1/orders", json=LIMIT) for _ in range(20)]
                answers = [one.result(PATIENCE_S) for one in asked]
            assert {answer.status_code for answer in answers} == {201}
            assert web.get("/api/v1/orders").status_code == 200
            assert web.delete("/api/v1/orders").status_code == 202
        until(lambda: web.get("/healthz").json()["redis"] == "ok")

    def test_costs_one_who_waits_and_not_each(self, servers: None) -> None:
        realtime.connection().ping()
        with stopping.stopped(stopping.valkey()):
            with pytest.raises(realtime.redis.TimeoutError):
                realtime.connection().ping()
            with pytest.raises(realtime.redis.ConnectionError, match="a moment ago"):
                realtime.connection().ping()
        until(_answers)


def _answers() -> bool:
    try:
        return bool(realtime.connection().ping())
    except realtime.redis.RedisError:
        return False


@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
class TestTheEngine:
    def test_begins_anew_when_its_database_goes_on(self, floor: "Floor") -> None:
        alice = world.alice()
        world.fund(alice, "1000")
        floor.engine.release()
        leader = trading.operations.Leader("main")
        leader.step()
        epoch = leader.engine().epoch
        with stopping.stopped(stopping.postgres()):
            with patience.within(1), pytest.raises(OperationalError):
                leader.step()
            with patience.within(1), pytest.raises(OperationalError):
                leader.step()
        until(lambda: leads(leader))
        assert leader.engine().epoch > epoch
        order = floor.place(alice, "buy", quantity="1", limit_price="270")
        assert leader.step() >= 1
        order.refresh_from_db()
        assert order.status == "open"


def leads(leader: trading.operations.Leader) -> bool:
    try:
        leader.step()
    except (OperationalError, trading.operations.NotLeader):
        return False
    return True
