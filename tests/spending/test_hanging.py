"""The database stops while a terminal waits: the answer is no, in time, and nothing is left."""

import json

import pytest
from django.conf import settings
from django.db import connections

import ledger.queries
from common import clock
from common.invariants import find_breaks
from common.signatures import sign
from spending import gateways, queries
from spending.models import Authorization, CardEvent
from tests import stopping, world
from tests.krakapp.test_hanging import floor, until, web  # noqa: F401 - fixtures
from tests.spending import shop

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner"])


def send(web, kind, card, **facts):  # noqa: F811
    """Ask as the network does, which gives up after two seconds; this machine is slower."""
    event = {"type": kind, "card": card.token, "currency": "USD", "merchant": {}, **facts}
    payload = json.dumps(event).encode()
    signature = sign(payload, secret=settings.CARD_WEBHOOK_SECRET, at=clock.now())
    headers = {gateways.SIGNATURE_HEADER: signature, "Content-Type": "application/json"}
    return web.post("/webhooks/card", content=payload, headers=headers)


class TestAStoppedDatabase:
    @pytest.fixture
    def card(self, web):  # noqa: F811
        card = shop.card(world.alice())
        first = send(web, gateways.REQUESTED, card, id="evt-warm", amount="1")
        assert first.json()["decision"] == "approved"
        return card

    def test_declines_and_leaves_nothing(self, web, card):  # noqa: F811
        kind = gateways.REQUESTED
        before = (world.available(world.alice()), world.balance(world.alice()))
        connections.close_all()
        with stopping.stopped(stopping.postgres()):
            told = send(web, kind, card, id="evt-stopped", authorization="evt-warm", amount="5")
        assert told.status_code == 200
        assert (told.json()["decision"], told.json()["reason"]) == ("declined", "deadline_exceeded")
        until(lambda: web.get("/healthz").json()["database"] == "ok")
        assert (world.available(world.alice()), world.balance(world.alice())) == before
        assert not Authorization.objects.filter(external_id="evt-stopped").exists()
        assert not CardEvent.objects.exists()
        assert not list(find_breaks([*ledger.queries.CHECKS, *queries.CHECKS]))
        again = send(web, kind, card, id="evt-later", authorization="evt-warm", amount="5")
        assert again.json()["decision"] == "approved"
