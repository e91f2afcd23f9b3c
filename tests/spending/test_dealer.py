"""What the house's dealer takes from cards: at which level, how much, and at what cost."""

from datetime import timedelta
from decimal import Decimal

import pytest

import ledger.operations
import ledger.queries
import trading.operations
import trading.queries
from common.invariants import find_breaks
from ledger.models import Account
from ledger.operations import AccountKey
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

    def test_sell_nothing_to_a_dealer_without_the_dollars(self, alice, card):
        dealer, outside = ledger.operations.open_accounts(
            keys=[
                AccountKey(None, ledger.queries.usd().pk, role) for role in ("dealer", "external")
            ]
        )
        left = Account.objects.get(pk=dealer).posted - 99_000_000
        leg = ledger.operations.Leg(dealer, outside, left)
        entry = ledger.operations.Entry("test:empty", "test", [leg])
        ledger.operations.post(entries=[entry], occurred_at=world.NOW)
        told = shop.authorize(card, "100")
        assert (told["decision"], told["reason"]) == ("declined", "asset_halted")
        assert world.balance(alice, "AAPLx") == 900
        assert shop.authorize(card, "98")["decision"] == "approved"

    @pytest.mark.parametrize(
        ("price", "reason"),
        [
            ("264.58", None),
            ("264.57", "price_stale"),
            ("292.42", None),
            ("292.43", "price_stale"),
        ],
    )
    def test_are_relied_on_as_far_as_the_collar(self, card, price, reason):
        """It is 5 % wide: a card sells for 264.575 to 292.425 at a reference of 278.50.

        Below, the customer would lose, and above the house: a bid that its maker forgot there
        would be sold to by every card.
        """
        shop.quote(world.instrument(), (price, "50"))
        assert shop.authorize(card, "100")["reason"] == reason

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


class TestReversal:
    def test_at_once_undoes_the_sale_at_its_price_and_fee(self, alice, card):
        before = (world.balance(alice), world.balance(alice, "AAPLx"))
        asked = shop.pending(card, "60")
        shop.send(gateways.REVERSED, card, authorization=asked.external_id)
        assert (world.balance(alice), world.balance(alice, "AAPLx")) == before
        undone = asked.sales.get().undone_by
        assert (undone.price, undone.buy_fee) == (Decimal("278.27"), -sold_for(asked).sell_fee)
        assert "came back at the price sold for" in alice.notices.latest("id").body

    def test_returns_cash_once_the_price_has_risen(self, alice, card):
        asked = shop.pending(card, "60")
        shop.quote(world.instrument(), *LEVELS, price="278.51")
        shop.send(gateways.REVERSED, card, authorization=asked.external_id)
        assert 60 <= world.available(alice) < Decimal("60.00001")
        assert "stay sold" in alice.notices.latest("id").body

    def test_returns_cash_while_there_is_no_fresh_price(self, alice, card):
        asked = shop.pending(card, "60")
        shop.quote(world.instrument(), *LEVELS, at=world.NOW - timedelta(hours=1))
        shop.send(gateways.REVERSED, card, authorization=asked.external_id)
        assert world.available(alice) >= 60

    def test_returns_cash_later_than_the_policy_says(self, alice, card, monkeypatch):
        asked = shop.pending(card, "60")
        monkeypatch.setattr(world, "NOW", world.NOW + timedelta(seconds=31))
        shop.quote(world.instrument(), *LEVELS, at=world.NOW)
        shop.send(gateways.REVERSED, card, authorization=asked.external_id)
        assert world.available(alice) >= 60

    def test_of_a_part_returns_cash(self, alice, card):
        asked = shop.pending(card, "60")
        shop.send(gateways.REVERSED, card, authorization=asked.external_id, amount="20")
        shop.send(gateways.REVERSED, card, authorization=asked.external_id)
        assert world.available(alice) >= 60

    def test_returns_cash_where_the_dealer_has_sold_the_shares_on(self, alice, card):
        asked = shop.pending(card, "60")
        apple = world.instrument()
        left = Account.objects.get(owner=None, asset=apple.asset_id, role="dealer").available
        world.fund(world.carol(), "30000")
        trading.operations.trade_with_house(
            customer=world.carol(),
            instrument=apple,
            side="buy",
            quantity=left,
            price=Decimal("278.50"),
            now=world.NOW,
            key="all of it",
        )
        shop.send(gateways.REVERSED, card, authorization=asked.external_id)
        asked.refresh_from_db()
        assert asked.status == "reversed"
        assert world.available(alice) >= 60

    def test_undoes_the_sales_of_increments_too(self, alice, card):
        before = (world.balance(alice), world.balance(alice, "AAPLx"))
        asked = shop.pending(card, "60")
        shop.send(gateways.INCREMENTED, card, authorization=asked.external_id, amount="40")
        shop.send(gateways.REVERSED, card, authorization=asked.external_id)
        assert (world.balance(alice), world.balance(alice, "AAPLx")) == before


class TestTapAndReverse:
    """Who pays and has it reversed never has more than who did nothing."""

    def wealth(self, user, price):
        return world.balance(user) + world.balance(user, "AAPLx") * Decimal(price)

    @pytest.mark.parametrize(
        "moves",
        [
            ["277.00", "275.00", "270.00", "265.00"],
            ["279.50", "281.00", "284.00", "290.00"],
            ["276.00", "283.00", "274.00", "288.00"],
        ],
    )
    @pytest.mark.parametrize("after_s", [0, 10, 45])
    def test_never_gains_whichever_way_the_price_goes(
        self, alice, card, moves, after_s, monkeypatch
    ):
        shop.limit(card_customer_usd=[100_000] * 3)
        apple, price = world.instrument(), Decimal(shop.PRICE)
        for moved in [Decimal(text) for text in moves]:
            untouched = self.wealth(alice, moved)
            before = self.wealth(alice, price)
            asked = shop.pending(card, "4900")
            monkeypatch.setattr(world, "NOW", world.NOW + timedelta(seconds=after_s))
            levels = ((f"{moved * (10_000 - bp) / 10_000:.2f}", "100") for bp in (8, 12))
            shop.quote(apple, *levels, at=world.NOW, price=f"{moved}")
            shop.send(gateways.REVERSED, card, authorization=asked.external_id)
            price, after = moved, self.wealth(alice, moved)
            sold = sold_for(asked)
            if asked.sales.get().undone_by:
                assert after == untouched
            elif after_s < 30:  # the shares rose: what the sale kept from them is gone
                assert after < untouched
            else:  # a sale like any other: below the price of its time, and its fee is paid
                kept = Decimal(sold.cost - sold.sell_fee).scaleb(-6)
                assert kept < Decimal(sold.quantity).scaleb(-8) * asked.sales.get().reference
                assert after <= max(before, untouched)
            monkeypatch.setattr(world, "NOW", world.NOW + timedelta(seconds=120))
            shop.quote(
                apple, *((f"{moved * 9_992 / 10_000:.2f}", "100"),), at=world.NOW, price=f"{moved}"
            )
