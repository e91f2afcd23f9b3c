from datetime import timedelta

import httpx
import pytest

from common.money import USD, Amount
from common.signatures import SignatureInvalid, sign
from payments import gateways
from payments.gateways import Expected, SimulatedBank, WebhookBank
from tests import world

SECRET = "shared"
URL = "http://127.0.0.1:8000/webhooks/bank"


def expected(count=20):
    amount = Amount.parse("250", USD)
    return [Expected(f"KRAK{n:08}", amount, world.NOW) for n in range(count)]


def heard_by(pay, answer=200):
    """Give the credits a listener with the same secret reads from what the bank posts."""
    heard = []

    def listen(request):
        signature = request.headers[gateways.HEADER]
        reader = WebhookBank(SECRET)
        heard.append(reader.read_credit(request.read(), signature, now=world.NOW))
        return httpx.Response(answer)

    taken = pay(SimulatedBank(SECRET, URL, httpx.MockTransport(listen)))
    return heard, taken


class TestWebhookBank:
    def test_reads_what_the_bank_has_signed(self):
        body = b'{"id": "b-1", "reference": "KRAK", "currency": "USD", "amount": "12.50"}'
        signature = sign(body, secret=SECRET, at=world.NOW)
        credit = WebhookBank(SECRET).read_credit(body, signature, now=world.NOW)
        assert (credit.external_id, str(credit.amount)) == ("b-1", "12.500000")

    def test_refuses_a_body_changed_on_the_way(self):
        signature = sign(b"{}", secret=SECRET, at=world.NOW)
        with pytest.raises(SignatureInvalid):
            WebhookBank(SECRET).read_credit(b"{ }", signature, now=world.NOW)


class TestSimulatedBank:
    def test_pays_everything_within_seconds(self):
        later = world.NOW + timedelta(seconds=gateways.SLOWEST_S)
        heard, _ = heard_by(lambda bank: bank.pay(expected(), now=later))
        assert {one.reference for one in heard} == {one.reference for one in expected()}

    def test_takes_longer_for_some_than_for_others(self):
        heard, _ = heard_by(lambda bank: bank.pay(expected(), now=world.NOW))
        assert 0 < len({one.reference for one in heard}) < 20

    def test_tells_some_news_twice_under_the_same_id(self):
        later = world.NOW + timedelta(seconds=gateways.SLOWEST_S)
        heard, taken = heard_by(lambda bank: bank.pay(expected(), now=later))
        assert taken == len(heard) > len({one.external_id for one in heard}) == 20

    def test_does_the_same_every_time(self):
        def told():
            later = world.NOW + timedelta(seconds=2)
            heard, _ = heard_by(lambda bank: bank.pay(expected(), now=later))
            return sorted(one.external_id for one in heard)

        assert told() == told()

    def test_survives_our_being_away(self):
        def away(request):
            raise httpx.ConnectError("refused", request=request)

        bank = SimulatedBank(SECRET, URL, httpx.MockTransport(away))
        assert bank.pay(expected(), now=world.NOW + timedelta(seconds=9)) == 0

    def test_counts_what_was_taken(self):
        _, taken = heard_by(lambda bank: bank.pay(expected(3), now=world.NOW), answer=500)
        assert taken == 0

    def test_exists_in_the_demo_only(self, settings):
        settings.DEMO = False
        assert gateways.simulated_bank() is None
