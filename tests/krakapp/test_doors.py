"""The same hostile input at every door that takes a body, a page of a list, or an amount."""

import base64
import json

import pytest
from django.conf import settings
from django.test import Client

from common import clock
from common.errors import PROBLEM
from common.signatures import sign
from tests import world

pytestmark = pytest.mark.django_db

BODIES = [
    ("POST", "/api/v1/orders"),
    ("POST", "/api/v1/orders/preview"),
    ("POST", "/api/v1/orders/batch"),
    ("POST", "/api/v1/orders/cancel-all-after"),
    ("POST", "/api/v1/deposits"),
    ("PUT", "/api/v1/kyc/application"),
    ("POST", "/api/v1/kyc/application/submit"),
    ("POST", "/_allauth/app/v1/auth/login"),
    ("POST", "/_allauth/app/v1/auth/signup"),
    ("POST", "/webhooks/bank"),
    ("POST", "/webhooks/card"),
]
HOSTILE = {
    "deep": b'{"a":' + b"[" * 40 + b"]" * 40 + b"}",
    "50,000 deep": b"[" * 50_000,
    "a key twice": b'{"amount": "1", "amount": "1000000"}',
    "NUL": b'{"amount": "1\\u0000"}',
    "half a pair": b'{"amount": "\\ud800"}',
    "no UTF-8": b'{"amount": "\xff"}',
    "NaN": b'{"amount": NaN}',
    "no JSON": b"{",
}
LISTS = ["orders", "trades", "deposits", "activity", "cards", "instruments"]
LISTS += ["instruments/AAPLx/trades"]


@pytest.fixture
def alice(client):
    alice = world.alice()
    world.fund(alice, "1000")
    client.force_login(alice)
    return alice


def send(client, method, path, body):
    secrets = {"/webhooks/bank": "BANK_WEBHOOK_SECRET", "/webhooks/card": "CARD_WEBHOOK_SECRET"}
    headers = {}
    if path in secrets:
        secret = getattr(settings, secrets[path])
        headers["Webhook-Signature"] = sign(body, secret=secret, at=clock.now())
    client = client if path.startswith("/api/") else Client()
    client.raise_request_exception = False
    return client.generic(method, path, body, content_type="application/json", headers=headers)


class TestBodies:
    @pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
    @pytest.mark.parametrize(("method", "path"), BODIES, ids=[path for _, path in BODIES])
    def test_that_cannot_be_read_are_malformed(self, client, alice, method, path, body):
        answer = send(client, method, path, body)
        assert answer.status_code == 400, answer.content
        assert answer["Content-Type"] == PROBLEM
        assert answer.json()["code"] in {"Unreadable", "WebhookMalformed", "EventMalformed"}


def cursor(position):
    return base64.b64encode(f"p={position}".encode()).decode()


class TestPages:
    @pytest.mark.parametrize(
        "asked",
        [
            {"cursor": "garbage"},
            {"cursor": "\N{GRINNING FACE}"},
            {"cursor": cursor("%00")},
            {"cursor": base64.b64encode(b"o=-1").decode()},
            {"limit": "0"},
            {"limit": "-1"},
            {"limit": "501"},
            {"limit": "1e3"},
            {"limit": "9" * 5000},
            {"limit": "\N{ARABIC-INDIC DIGIT FIVE}"},
        ],
        ids=str,
    )
    @pytest.mark.parametrize("name", LISTS)
    def test_with_garbage_are_malformed(self, client, alice, name, asked):
        answer = client.get(f"/api/v1/{name}", asked)
        assert answer.status_code == 400, answer.content
        assert answer["Content-Type"] == PROBLEM
        assert answer.json()["errors"][0]["field"] in asked

    @pytest.mark.parametrize("place", ["abc", "9" * 30, "1.5", "", "0001-13-01"])
    @pytest.mark.parametrize("name", [name for name in LISTS if name != "instruments"])
    def test_from_a_place_that_cannot_be_are_malformed(self, client, alice, name, place):
        answer = client.get(f"/api/v1/{name}", {"cursor": cursor(place)})
        assert (answer.status_code, answer.json()["code"]) == (400, "CursorInvalid")

    def test_follow_their_own_cursors(self, client, alice):
        first = client.get("/api/v1/instruments", {"limit": "2"}).json()
        second = client.get(first["next"]).json()
        assert second["results"][0]["symbol"] > first["results"][1]["symbol"]
        assert client.get(second["previous"]).json()["results"] == first["results"]


AMOUNTS = ["1e3", "1E3", "1e-2", "NaN", "Infinity", "0x10", "1_000", "\N{ARABIC-INDIC DIGIT FIVE}"]
FLOATS = [1e3, 12.5, 1.0]


def order(**amounts):
    body = {"instrument": "AAPLx", "side": "buy", "type": "limit", "quantity": "1"}
    return body | {"limit_price": "100"} | amounts


def funding(keep):
    return {"sources": [{"asset": "USD", "keep": keep}]}


DOORS = {
    "deposits": ("POST", "deposits", lambda amount: {"asset": "USD", "amount": amount}),
    "quantity": ("POST", "orders", lambda amount: order(quantity=amount)),
    "limit price": ("POST", "orders/preview", lambda amount: order(limit_price=amount)),
    "batch": ("POST", "orders/batch", lambda amount: {"orders": [order(quantity=amount)]}),
    "trail": (
        "POST",
        "orders",
        lambda amount: {**order(trail=amount, limit_price=None), "type": "trailing_stop"},
    ),
    "funding": ("PUT", "cards/{card}/funding", funding),
}


class TestAmounts:
    @pytest.mark.parametrize("amount", [*AMOUNTS, *FLOATS], ids=repr)
    @pytest.mark.parametrize("door", DOORS.keys())
    def test_are_plain_decimals_at_every_door(self, client, alice, door, amount):
        method, path, body = DOORS[door]
        if "{card}" in path:
            card = client.post("/api/v1/cards", {}, content_type="application/json").json()["id"]
            path = path.format(card=card)
        answer = send(client, method, f"/api/v1/{path}", json.dumps(body(amount)).encode())
        # Python writes NaN where JSON has none, so that one is not read at all.
        assert answer.status_code == 400, answer.content
        assert answer["Content-Type"] == PROBLEM

    @pytest.mark.parametrize("amount", [amount for amount in AMOUNTS if amount.isascii()])
    def test_are_plain_decimals_in_forms_too(self, client, alice, amount):
        answer = client.post("/deposit/", {"amount": amount})
        assert "write it like 1,000.50" in answer.content.decode()
