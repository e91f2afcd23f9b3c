import json
from decimal import Decimal

import pytest
from django.conf import settings

from common import clock
from common.signatures import sign
from spending import gateways
from tests import world
from tests.spending import shop
from users.models import Notice

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice(client):
    alice = world.alice()
    world.fund(alice, "100")
    client.force_login(alice)
    return alice


def call(client, method, path, body=None, **headers):
    return client.generic(
        method,
        f"/api/v1{path}",
        json.dumps(body) if body is not None else "",
        content_type="application/json",
        headers=headers,
    )


class TestCards:
    def test_are_issued_and_listed(self, client, alice):
        issued = call(client, "POST", "/cards", {})
        assert issued.status_code == 201
        assert issued.json()["status"] == "active"
        assert call(client, "GET", "/cards").json()["results"] == [issued.json()]

    def test_the_same_key_issues_one(self, client, alice):
        first, again = (
            call(client, "POST", "/cards", {}, **{"Idempotency-Key": "one"}) for _ in range(2)
        )
        assert first.json() == again.json()
        assert alice.cards.count() == 1

    def test_are_refused_with_the_reason_before_verification(self, client):
        client.force_login(world.bob())
        refused = call(client, "POST", "/cards", {})
        assert refused.status_code == 403
        assert refused.json()["code"] == "VerificationRequired"

    def test_of_others_are_not_there(self, client, alice):
        other = shop.card(world.carol())
        for method, path in (
            ("GET", ""),
            ("POST", "/freeze"),
            ("GET", "/funding"),
            ("PUT", "/funding"),
            ("GET", "/transactions"),
        ):
            body = {"sources": [{"asset": "USD"}]}
            assert call(client, method, f"/cards/{other.uid}{path}", body).status_code == 404

    def test_are_for_people_who_signed_in(self, client):
        assert call(client, "GET", "/cards").status_code == 401

    def test_freeze_and_unfreeze_and_cancel(self, client, alice):
        card = shop.card(alice)
        for action, status in (
            ("freeze", "frozen"),
            ("freeze", "frozen"),
            ("unfreeze", "active"),
            ("activate", "active"),
            ("cancel", "cancelled"),
        ):
            done = call(client, "POST", f"/cards/{card.uid}/{action}")
            assert (done.status_code, done.json()["status"]) == (200, status)
        refused = call(client, "POST", f"/cards/{card.uid}/unfreeze")
        assert (refused.status_code, refused.json()["code"]) == (409, "CardCancelled")


class TestFunding:
    def test_is_read_and_replaced(self, client, alice):
        card = shop.card(alice)
        path = f"/cards/{card.uid}/funding"
        body = {"sources": [{"asset": "AAPLx", "keep": "0.5"}, {"asset": "USD", "keep": "0"}]}
        assert call(client, "PUT", path, body).json() == body
        assert call(client, "GET", path).json() == body

    def test_names_the_field_that_is_wrong(self, client, alice):
        path = f"/cards/{shop.card(alice).uid}/funding"
        assert call(client, "PUT", path, {"sources": []}).status_code == 400
        refused = call(client, "PUT", path, {"sources": [{"asset": "EUR", "keep": "0"}]})
        assert (refused.status_code, refused.json()["code"]) == (422, "FundingInvalid")


class TestTransactions:
    def test_tell_what_was_asked_sold_and_taken(self, client, alice):
        apple = shop.hold_shares(alice, "AAPLx", "1")
        shop.quote(apple, ("278.40", "5"))
        card = shop.card(alice, ("AAPLx", "0"))
        asked = shop.pending(card, "60")
        shop.send(gateways.CLEARED, card, authorization=asked.external_id)
        (told,) = call(client, "GET", f"/cards/{card.uid}/transactions").json()["results"]
        assert told["merchant"] == "Blue Door Café"
        assert (told["amount"], told["captured_amount"], told["status"]) == (
            "60.00",
            "60.00",
            "closed",
        )
        (sold,) = told["sold"]
        assert (sold["asset"], sold["quantity"], sold["price"], sold["fee"]) == (
            "AAPLx",
            "0.21573298",
            "278.400000",
            "0.060060",
        )
        assert told["cash_amount"] == "0.00"

    def test_tell_what_cash_paid_beside_the_shares(self, client, alice):
        apple = shop.hold_shares(alice, "AAPLx", "1")
        shop.quote(apple, ("278.40", "5"))
        world.fund(alice, "3.20")
        card = shop.card(alice, ("USD", "0"), ("AAPLx", "0"))
        shop.pending(card, "60")
        (told,) = call(client, "GET", f"/cards/{card.uid}/transactions").json()["results"]
        (sold,) = told["sold"]
        assert Decimal(told["cash_amount"]) + Decimal(sold["proceeds"]) == 60
        assert Decimal("3.19") < Decimal(told["cash_amount"]) <= Decimal("3.20")
        assert "from cash $3.20 and 0.2042 AAPLx" in client.get("/cards/").content.decode()
        assert Notice.objects.latest("id").body == (
            "Sold 0.2042 AAPLx at $278.40 to pay for it; cash paid $3.20. The fee was $0.06."
        )

    @pytest.mark.parametrize("taps", [1, 6])
    def test_take_as_many_queries_for_many_as_for_one(
        self, client, alice, django_assert_num_queries, taps
    ):
        card = shop.card(alice)
        for _ in range(taps):
            shop.pending(card, "1")
        with django_assert_num_queries(6):
            call(client, "GET", f"/cards/{card.uid}/transactions")


class TestWebhook:
    def post(self, client, event, *, secret=None):
        payload = json.dumps(event).encode()
        signature = sign(payload, secret=secret or settings.CARD_WEBHOOK_SECRET, at=clock.now())
        return client.post(
            "/webhooks/card",
            payload,
            content_type="application/json",
            headers={"Webhook-Signature": signature},
        )

    def event(self, card, **facts):
        return {
            "id": "evt-web",
            "type": gateways.REQUESTED,
            "card": card.token,
            "amount": "4.50",
            **facts,
        }

    def test_answers_the_decision(self, client, alice):
        told = self.post(client, self.event(shop.card(alice)))
        assert told.status_code == 200
        assert told.json()["decision"] == "approved"

    def test_answers_the_same_bytes_again(self, client, alice):
        card = shop.card(alice)
        first, again = (self.post(client, self.event(card)) for _ in range(2))
        assert first.content == again.content

    def test_refuses_a_wrong_signature(self, client, alice):
        refused = self.post(client, self.event(shop.card(alice)), secret="guess")
        assert (refused.status_code, refused.json()["code"]) == (400, "SignatureInvalid")

    def test_refuses_what_it_does_not_understand(self, client, alice):
        refused = self.post(client, self.event(shop.card(alice), type="party"))
        assert (refused.status_code, refused.json()["code"]) == (400, "EventMalformed")
