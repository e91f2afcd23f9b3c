"""Who asks too often is told so: each address, and each customer at every door."""

import os
import subprocess
import sys

import pytest
from django.test import Client

from krakapp import settings as source
from tests import limits, world
from users.models import CallLimit

pytestmark = pytest.mark.django_db

ONCE = ("address", 1, "0.001")
JSON = "application/json"


def codes(client, address, count, method="get", **options):
    return [getattr(client, method)(address, **options).status_code for _ in range(count)]


class TestAnAddress:
    def test_reads_so_often(self, client, settings):
        limits.set_to(settings, reads=("address", 2, "0.01"))
        assert codes(client, "/api/v1/instruments", 2) == [200, 200]
        answer = client.get("/api/v1/instruments")
        assert (answer.status_code, answer["Content-Type"]) == (429, "application/problem+json")
        assert 90 < int(answer["Retry-After"]) <= 100
        assert answer["RateLimit-Policy"] == '"reads-address";q=2;w=200'
        assert answer["RateLimit"].startswith('"reads-address";r=0;t=')
        assert (answer.json()["code"], answer.json()["limit"]) == ("TooManyCalls", "reads-address")
        assert answer.json()["retry_after"] == int(answer["Retry-After"])

    def test_is_told_on_every_answer_how_it_stands(self, client, settings):
        limits.set_to(settings, reads=("address", 5, "0.01"))
        answer = client.get("/api/v1/instruments")
        assert answer["RateLimit"] == '"reads-address";r=4;t=100'

    def test_gets_a_page_that_says_when_to_come_back(self, client, settings):
        limits.set_to(settings, reads=ONCE)
        client.get("/")
        answer = client.get("/")
        assert (answer.status_code, answer["Content-Type"]) == (429, "text/html; charset=utf-8")
        assert "That is too often. Wait 1000 seconds" in answer.content.decode()

    def test_writes_by_another_limit_than_it_reads(self, client, settings):
        limits.set_to(settings, writes=ONCE)
        assert codes(client, "/_allauth/app/v1/auth/login", 3) == [405] * 3
        assert codes(client, "/_allauth/app/v1/auth/login", 3, "post") == [400, 429, 429]

    def test_posts_webhooks_by_a_limit_of_their_own(self, client, settings):
        limits.set_to(settings, webhooks=ONCE, writes=("address", 9, 1))
        assert codes(client, "/webhooks/bank", 3, "post") == [400, 429, 429]

    def test_uploads_by_a_limit_of_their_own(self, client, settings):
        settings.UPLOADS = {"/api/v1/upload": 10}
        limits.set_to(settings, uploads=ONCE)
        assert codes(client, "/api/v1/upload", 2, "post") == [404, 429]

    def test_may_always_ask_for_the_health(self, client, settings):
        limits.set_to(settings, reads=ONCE)
        assert 429 not in codes(client, "/healthz", 3)

    def test_is_one_of_many(self, client, settings):
        limits.set_to(settings, reads=ONCE)
        assert codes(client, "/", 2, REMOTE_ADDR="192.0.2.1") == [200, 429]
        assert codes(client, "/", 2, REMOTE_ADDR="192.0.2.2") == [200, 429]

    @pytest.mark.parametrize(
        ("first", "second"),
        [
            ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2"),
            ("192.0.2.1", "::ffff:192.0.2.1"),
        ],
    )
    def test_of_ipv6_is_a_network(self, client, settings, first, second):
        limits.set_to(settings, reads=ONCE)
        assert client.get("/", REMOTE_ADDR=first).status_code == 200
        assert client.get("/", REMOTE_ADDR=second).status_code == 429

    def test_cannot_say_that_it_is_another(self, client, settings):
        limits.set_to(settings, reads=ONCE)
        assert codes(client, "/", 2, headers={"X-Forwarded-For": "192.0.2.9"}) == [200, 429]


class TestACustomer:
    @pytest.fixture
    def devices(self):
        clients = [Client(), Client()]
        for client in clients:
            client.force_login(world.alice())
        return clients

    def test_has_one_limit_on_all_devices(self, devices, settings):
        limits.set_to(settings, reads=("customer", 1, "0.01"))
        first, second = devices
        assert first.get("/api/v1/balances").status_code == 200
        answer = second.get("/api/v1/balances")
        assert (answer.status_code, answer.json()["limit"]) == (429, "reads-customer")
        assert answer["RateLimit-Policy"] == '"reads-customer";q=1;w=100'
        assert int(answer["Retry-After"]) <= 100

    def test_has_it_on_pages_too(self, devices, settings):
        limits.set_to(settings, reads=("customer", 1, "0.01"))
        assert codes(devices[0], "/orders/", 2) == [200, 429]
        assert devices[1].get("/api/v1/balances").status_code == 429

    def test_takes_nothing_from_others(self, devices, settings):
        limits.set_to(settings, reads=("customer", 1, "0.01"))
        carol = Client()
        carol.force_login(world.carol())
        assert devices[0].get("/api/v1/balances").status_code == 200
        assert carol.get("/api/v1/balances").status_code == 200


class TestPolicy:
    def test_of_the_newest_date_that_has_come_is_in_force(self, client, settings):
        limits.set_to(settings, reads=("address", 9, 1))
        later = dict.fromkeys(("kind", "scope")) | {"kind": "reads", "scope": "address"}
        CallLimit.objects.create(**later, since="2026-06-01", capacity=7, per_second=1)
        CallLimit.objects.create(**later, since="2999-01-01", capacity=1, per_second=1)
        assert client.get("/")["RateLimit-Policy"] == '"reads-address";q=7;w=7'

    def test_begins_with_a_limit_for_every_kind(self):
        assert set(CallLimit.objects.values_list("kind", flat=True)) == set(CallLimit.Kind.values)


class TestTheSwitch:
    def test_turns_every_limit_off(self, client, settings):
        limits.set_to(settings, reads=ONCE)
        settings.RATE_LIMITS = False
        assert codes(client, "/", 5) == [200] * 5

    def test_is_refused_outside_demo_mode(self):
        secrets = ("SECRET_KEY", "BANK_WEBHOOK_SECRET", "CARD_WEBHOOK_SECRET")
        env = {**os.environ, **dict.fromkeys(secrets, "x" * 50), "KRAKAPP_DEMO": "0"}
        done = subprocess.run(
            [sys.executable, "-c", "import krakapp.settings"],
            cwd=source.BASE_DIR,
            env={**env, "RATE_LIMITS": "0"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert "RATE_LIMITS=0 is for load tests in demo mode" in done.stderr


class TestTriesThatAllauthCounts:
    RESET = {"reset_password": "1/m/ip"}

    def test_are_refused_to_a_program_as_a_problem_that_says_when_to_come_back(
        self, client, settings
    ):
        settings.ACCOUNT_RATE_LIMITS = self.RESET
        address, email = "/_allauth/app/v1/auth/password/request", {"email": "nobody@demo.test"}
        assert codes(client, address, 1, "post", data=email, content_type=JSON) == [200]
        answer = client.post(address, email, content_type=JSON)
        assert (answer.status_code, answer["Content-Type"]) == (429, "application/problem+json")
        assert answer.json()["code"] == "TooManyCalls"
        assert answer["Retry-After"] == "60"

    def test_are_refused_on_a_page_that_says_when_to_come_back(self, client, settings):
        settings.ACCOUNT_RATE_LIMITS = self.RESET
        address, email = "/accounts/password/reset/", {"email": "nobody@demo.test"}
        assert codes(client, address, 1, "post", data=email) == [302]
        answer = client.post(address, email)
        assert (answer.status_code, answer["Retry-After"]) == (429, "60")
