"""What the house's dealer takes from cards: at which level, how much, and at what cost."""

from datetime import timedelta
from decimal import Decimal

import pytest

import ledger.queries
import trading.queries
from common.invariants import find_breaks
from ledger.models import Account
from spending import gateways, queries
from spending.models import Authorization, CardSale
from tests import world
from tests.spending import shop

pytestmark = pytest.mark.django_db

LEVELS = (("278.27", "18"), ("278.16", "36"), ("277.99", "72"))


@pytest.fixture(autouse=True)
def books_stay_true(db):
    yield
    of_trades = [check for check in trading.queries.CHECKS if check.number in {14, 22, 23, 44}]
    checks = [*ledger.queries.CHECKS, *queries.CHECKS, *of_trades]
    assert not list(find_breaks(checks))


@pytest.fixture
def alice():
    return world.alice()


@pytest.fixture
def card(alice):
    """Alice's card, which sells Apple's shares and nothing else."""
    apple = shop.hold_shares(alice, "AAPLx", "900")
    shop.quote(apple, *LEVELS)
    return shop.card(alice, ("AAPLx", "0"))


def sold_for(asked):
    return asked.sales.get().trade


def tap_and_reverse(card, amount):
    told = shop.authorize(card, amount)
    if told["decision"] == "approved":
        asked = Authorization.objects.get(uid=told["authorization"])
        shop.send(gateways.REVERSED, card, authorization=asked.external_id)
    return told


class TestLevels:
    def test_are_used_up_by_what_cards_sell(self, card):
        shop.limit(card_customer_usd=[100_000] * 3)
        prices = [sold_for(shop.pending(card, "4900")).price for _ in range(3)]
        assert prices == [Decimal("278.27"), Decimal("278.16"), Decimal("278.16")]

    def test_are_used_up_by_other_peoples_cards_too(self, card):
        shop.pending(card, "4900")
        carol = world.carol()
        shop.quote(shop.hold_shares(carol, "AAPLx", "20"), *LEVELS)
        sale = sold_for(shop.pending(shop.card(carol, ("AAPLx", "0")), "4900"))
        assert sale.price < Decimal("278.20")

    def test_that_are_all_used_up_sell_nothing_more(self, alice, card):
        shop.quote(world.instrument(), ("278.27", "1"))
        assert shop.authorize(card, "270")["decision"] == "approved"
        assert shop.authorize(card, "270")["reason"] == "sale_limit"


class TestLimits:
    def test_forty_taps_sell_no_more_than_the_policy_lets_one_customer(self, card):
        told = [tap_and_reverse(card, "4900") for _ in range(40)]
        assert [one["decision"] for one in told] == ["approved"] + ["declined"] * 39
        assert {one["reason"] for one in told[1:]} == {"sale_limit"}
        assert sum(sale.trade.cost for sale in CardSale.objects.all()) <= 5_000 * 10**6

    def test_hold_in_an_instrument_and_in_all_whoever_sells(self, card):
        carol = world.carol()
        tesla = shop.hold_shares(carol, "TSLAx", "50", price="400")
        shop.quote(tesla, ("399.90", "50"), price="400")
        other = shop.card(carol, ("TSLAx", "0"))
        shop.limit(card_instrument_usd=[1_000] * 3, card_total_usd=[1_500] * 3)
        assert shop.authorize(card, "700")["decision"] == "approved"
        assert shop.authorize(card, "700")["reason"] == "sale_limit"
        assert shop.authorize(other, "900")["reason"] == "sale_limit"
        assert shop.authorize(other, "700")["decision"] == "approved"

    def test_let_the_next_asset_pay(self, alice, card):
        world.fund(alice, "1000")
        paying = shop.card(alice, ("AAPLx", "0"), ("USD", "0"))
        shop.limit(card_customer_usd=[500] * 3)
        asked = shop.pending(paying, "1200")
        assert sold_for(asked).cost <= 500 * 10**6
        assert world.available(alice) < Decimal("300.51")

    def test_say_so_to_the_customer(self, alice, card):
        shop.limit(card_customer_usd=[1] * 3)
        shop.authorize(card, "60")
        assert "could be sold by card just now" in alice.notices.latest("id").body

    def test_end_with_their_interval(self, card, monkeypatch):
        shop.pending(card, "4900")
        assert shop.authorize(card, "4900")["reason"] == "sale_limit"
        later = world.NOW + timedelta(seconds=61)
        monkeypatch.setattr(world, "NOW", later)
        shop.quote(world.instrument(), *LEVELS, at=later)
        assert sold_for(shop.pending(card, "4900")).price == Decimal("278.27")


class TestFees:
    def test_go_to_the_house_in_the_journal_of_the_sale(self, alice, card):
        trade = sold_for(shop.pending(card, "60"))
        assert trade.sell_order.taker_rate == Decimal("0.001")
        assert trade.cost - trade.sell_fee >= 60 * 10**6
        fees = Account.objects.get(owner=None, asset__code="USD", role="fees")
        assert fees.posted == trade.sell_fee
