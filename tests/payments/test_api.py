import json
import threading

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client

from common import clock, signatures
from common.invariants import find_breaks
from ledger.models import Journal
from payments import operations, queries
from payments.models import BankCredit
from tests import world


def announce(user, amount="250"):
    world.instrument()
    return operations.announce_deposit(user=user, amount=world.usd(amount), now=clock.now())


def news(reference, **parts):
    body = {"id": "bank-1", "reference": reference, "currency": "USD", "amount": "250.00", **parts}
    return json.dumps(body).encode()


def post(body, secret=None, at=None):
    """Post a webhook as the bank does, with CSRF checks on."""
    signature = signatures.sign(
        body, secret=secret or settings.BANK_WEBHOOK_SECRET, at=at or clock.now()
    )
    return Client(enforce_csrf_checks=True).post(
        "/webhooks/bank",
        body,
        content_type="application/json",
        headers={"Webhook-Signature": signature},
    )


@pytest.mark.django_db
class TestTheBanksWebhook:
    def test_posts_the_deposit(self):
        alice = world.alice()
        answer = post(news(announce(alice).reference))
        assert (answer.status_code, answer.json()) == (200, {"id": "bank-1", "matched": True})
        assert world.balance(alice) == 250

    def test_is_answered_the_same_when_it_comes_again(self):
        alice = world.alice()
        body = news(announce(alice).reference)
        assert post(body).json() == post(body).json()
        assert world.balance(alice) == 250

    def test_is_taken_for_an_unknown_reference_too(self):
        world.instrument()
        assert post(news("who knows")).json() == {"id": "bank-1", "matched": False}

    def test_of_a_stranger_is_refused(self):
        answer = post(news("who knows"), secret="guessed")
        assert (answer.status_code, answer.json()["code"]) == (400, "SignatureInvalid")
        assert answer["Content-Type"] == "application/problem+json"
        assert not BankCredit.objects.exists()

    def test_of_yesterday_is_refused(self):
        answer = post(news("who knows"), at=world.NOW)
        assert (answer.status_code, answer.json()["code"]) == (400, "SignatureInvalid")

    def test_without_a_signature_is_refused(self):
        answer = Client().post("/webhooks/bank", b"{}", content_type="application/json")
        assert answer.status_code == 400

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"not json",
            b"[]",
            b'{"id": "bank-1"}',
            news("x", amount=250),
            news("x", amount="-1.00"),
            news("x", amount="1e9"),
            news("x", amount="0.00"),
            news("x", amount="NaN"),
            news("x", amount="1.0000001"),
            news("x", currency="EUR"),
            news("x", id=""),
            news("x", id="y" * 65),
            news("x\x00"),
            news("x" * 141),
            news("x", more="than agreed"),
            b"\xff\xfe",
        ],
    )
    def test_that_is_malformed_is_refused_whole(self, body):
        answer = post(body)
        assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
        assert answer.json()["code"] == "WebhookMalformed"
        assert not BankCredit.objects.exists()

    def test_that_contradicts_itself_is_a_conflict(self):
        reference = announce(world.alice()).reference
        post(news(reference))
        answer = post(news(reference, amount="9.00"))
        assert (answer.status_code, answer.json()["code"]) == (409, "CreditContradicts")


@pytest.mark.django_db(transaction=True)
class TestTheBanksWebhookAtTheSameMoment:
    def test_makes_one_journal_of_eight_equal_ones(self):
        alice = world.alice()
        body = news(announce(alice).reference)
        started, answers = threading.Barrier(8), []

        def deliver():
            started.wait()
            answers.append(post(body).status_code)
            connection.close()

        bank = [threading.Thread(target=deliver) for _ in range(8)]
        for one in bank:
            one.start()
        for one in bank:
            one.join()
        assert answers == [200] * 8
        assert world.balance(alice) == 250
        assert Journal.objects.filter(kind="deposit").count() == 1
        assert list(find_breaks(queries.CHECKS)) == []

    def test_posts_one_of_eight_payments_of_one_deposit_and_lets_the_others_wait(self):
        alice = world.alice()
        reference = announce(alice).reference
        started, answers = threading.Barrier(8), []

        def deliver(number):
            started.wait()
            answers.append(post(news(reference, id=f"bank-{number}")).status_code)
            connection.close()

        bank = [threading.Thread(target=deliver, args=[number]) for number in range(8)]
        for one in bank:
            one.start()
        for one in bank:
            one.join()
        assert answers == [200] * 8
        assert world.balance(alice) == 250
        assert BankCredit.objects.filter(status="waiting", waits_for="completed").count() == 7


@pytest.mark.django_db
class TestDeposits:
    def test_are_announced_and_answered_with_the_way_to_pay(self, client):
        world.instrument()
        client.force_login(world.alice())
        answer = client.post(
            "/api/v1/deposits", {"asset": "USD", "amount": "100.00"}, "application/json"
        )
        body = answer.json()
        assert answer.status_code == 201
        assert (body["status"], body["amount"]) == ("waiting", "100.000000")
        assert body["reference"].startswith("KRAK")
        assert set(body["bank"]) == {"beneficiary", "bank", "iban", "bic"}

    def test_are_announced_once_under_one_key(self, client):
        world.instrument()
        client.force_login(world.alice())
        first, again = (
            client.post(
                "/api/v1/deposits",
                {"amount": "100"},
                "application/json",
                headers={"Idempotency-Key": "a"},
            ).json()
            for _ in range(2)
        )
        assert first == again
        assert queries.waiting_instructions().count() == 1

    def test_are_listed_newest_first_and_ones_own(self, client):
        alice = world.alice()
        announce(alice, "10")
        announce(world.carol(), "20")
        announce(alice, "30")
        client.force_login(alice)
        amounts = [one["amount"] for one in client.get("/api/v1/deposits").json()["results"]]
        assert amounts == ["30.000000", "10.000000"]

    def test_say_what_arrived(self, client):
        alice = world.alice()
        post(news(announce(alice).reference, amount="249.00"))
        client.force_login(alice)
        [one] = client.get("/api/v1/deposits").json()["results"]
        assert (one["status"], one["received_amount"]) == ("completed", "249.000000")
        assert one["completed_at"] is not None

    def test_wait_for_the_verification(self, client):
        world.instrument()
        client.force_login(world.bob())
        answer = client.post("/api/v1/deposits", {"amount": "100"}, "application/json")
        assert (answer.status_code, answer.json()["code"]) == (403, "VerificationRequired")

    @pytest.mark.parametrize("amount", ["", "NaN", "-5", "1e400", "five", None, "0.0000001"])
    def test_refuse_what_is_no_amount(self, client, amount):
        world.instrument()
        client.force_login(world.alice())
        answer = client.post("/api/v1/deposits", {"amount": amount}, "application/json")
        assert answer.status_code in {400, 422}
        assert answer["Content-Type"] == "application/problem+json"

    def test_are_for_people_who_signed_in(self, client):
        assert client.get("/api/v1/deposits").status_code == 401
