from datetime import timedelta
from decimal import Decimal

import pytest

from portfolio import queries
from spending import gateways
from spending.models import Authorization
from tests import world
from tests.portfolio import desk
from tests.spending import shop
from tests.trading.floor import Floor

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice():
    alice = world.alice()
    world.fund(alice, "10000")
    return alice


class TestSummary:
    def test_of_somebody_new_is_nothing(self):
        whole = queries.summary(world.alice(), now=world.NOW)
        assert (whole.total, whole.positions, whole.day_change) == (0, [], 0)
        assert whole.day_change_pct is None

    def test_adds_cash_and_shares_at_the_reference_price(self, alice):
        desk.trade(alice, "buy", "2", price="100", days=-3)
        desk.book()
        desk.price(world.instrument(), "120", before="110")
        whole = queries.summary(alice, now=world.NOW)
        (apple,) = whole.positions
        assert apple.quantity == 2
        assert apple.average_cost == 100
        assert apple.value == 240_000_000
        assert (apple.unrealized, apple.unrealized_pct) == (40_000_000, 20)
        assert whole.total == 10_040_000_000
        assert whole.day_change == 20_000_000
        assert whole.day_change_pct == Decimal("0.20")

    def test_counts_realized_gains(self, alice):
        desk.trade(alice, "buy", "2", price="100")
        desk.trade(alice, "sell", "1", price="150", minutes=1)
        desk.book()
        (apple,) = queries.summary(alice, now=world.NOW).positions
        assert apple.realized == 50_000_000

    def test_counts_what_positions_that_were_sold_out_brought(self, alice):
        desk.trade(alice, "buy", "2", price="100", days=-3)
        desk.trade(alice, "buy", "1", "TSLAx", price="200", days=-3)
        desk.trade(alice, "sell", "2", price="150", days=-2)
        desk.trade(alice, "sell", "0.5", "TSLAx", price="100", days=-2)
        desk.book()
        whole = queries.summary(alice, now=world.NOW)
        assert [one.instrument.symbol for one in whole.positions] == ["TSLAx"]
        (apple,) = whole.closed
        assert (apple.instrument.symbol, apple.lots.realized) == ("AAPLx", 100_000_000)
        assert (apple.lots.sold_cost, apple.lots.proceeds) == (200_000_000, 300_000_000)
        assert apple.realized_pct == 50
        assert apple.lots.closed_at == world.NOW - timedelta(days=2)
        assert whole.realized == 50_000_000  # and half of Tesla lost fifty dollars
        (said,) = queries.describe_summary(whole)["closed_positions"]
        assert said["realized_pnl"] == "100.000000"

    def test_selling_out_today_keeps_what_the_day_earned(self, alice):
        desk.trade(alice, "buy", "2", price="50", days=-3)
        desk.trade(alice, "sell", "2", price="110", hours=-1)
        desk.book()
        desk.price(world.instrument(), "120", before="100")
        assert queries.summary(alice, now=world.NOW).day_change == 20_000_000

    def test_shows_what_a_card_and_orders_have_set_aside_as_pending(self, alice):
        card = shop.card(alice)
        shop.pending(card, "40.25")
        Floor().place(alice, "buy", quantity="1", limit_price="100")
        whole = queries.summary(alice, now=world.NOW)
        assert (whole.cash_card, whole.cash_orders) == (40_250_000, 100_100_000)
        assert whole.total == whole.cash == 10_000_000_000
        said = queries.describe_summary(whole)
        assert said["cash_available"] == "9859.650000"
        assert said["pending"] == {"card": "40.250000", "orders": "100.100000", "debt": "0.000000"}
        assert said["owed"] == "0.000000"

    def test_shows_what_goes_to_a_debt_as_pending(self, alice):
        shop.send(gateways.CLEARED, shop.card(alice), amount="10030")
        world.fund(alice, "20")
        whole = queries.summary(alice, now=world.NOW)
        assert (whole.owed, whole.cash_debt, whole.cash_orders) == (30_000_000, 20_000_000, 0)
        assert whole.pending == [(20_000_000, "going to what you owe")]
        said = queries.describe_summary(whole)
        assert (said["owed"], said["cash_available"]) == ("30.000000", "0.000000")
        assert said["pending"]["debt"] == "20.000000"

    def test_todays_purchase_earned_only_since_it_was_made(self, alice):
        desk.trade(alice, "buy", "2", price="118", hours=-1)
        desk.book()
        desk.price(world.instrument(), "120", before="60")
        assert queries.summary(alice, now=world.NOW).day_change == 4_000_000

    def test_todays_sale_earned_until_it_was_made(self, alice):
        desk.trade(alice, "buy", "2", price="50", days=-3)
        desk.trade(alice, "sell", "1", price="110", hours=-1)
        desk.book()
        desk.price(world.instrument(), "120", before="100")
        assert queries.summary(alice, now=world.NOW).day_change == 30_000_000

    def test_shares_without_a_price_are_shown_and_count_nothing(self, alice):
        desk.trade(alice, "buy", "2", price="100")
        desk.book()
        whole = queries.summary(alice, now=world.NOW)
        assert whole.positions[0].value is None
        assert whole.total == 9_800_000_000

    def test_counts_through_the_multiplier(self, alice):
        desk.trade(alice, "buy", "2", price="100")
        desk.book()
        apple = world.instrument()
        world.split(apple, 4)
        desk.price(apple, "30", before="30")
        (held,) = queries.summary(alice, now=world.NOW).positions
        assert (held.quantity, held.average_cost, held.value) == (8, 25, 240_000_000)

    @pytest.mark.parametrize("symbols", [["AAPLx"], ["AAPLx", "TSLAx", "NVDAx", "SPYx"]])
    def test_takes_as_many_queries_for_many_as_for_one(
        self, alice, django_assert_num_queries, symbols
    ):
        for symbol in symbols:
            desk.trade(alice, "buy", "1", symbol)
        desk.book()
        desk.price(world.instrument(), "120", before="100")
        with django_assert_num_queries(8):
            queries.describe_summary(queries.summary(alice, now=world.NOW))


class TestGainOfSale:
    def test_is_against_the_cost_of_the_oldest_lots(self, alice):
        desk.trade(alice, "buy", "1", price="100", days=-3)
        desk.trade(alice, "buy", "1", price="200", days=-2)
        desk.book()
        apple = world.instrument()
        half, more = 50_000_000, 150_000_000
        gain = queries.gain_of_sale(alice, apple, quantity=half, proceeds=75_000_000)
        assert gain == 25_000_000
        gain = queries.gain_of_sale(alice, apple, quantity=more, proceeds=150_000_000)
        assert gain == -50_000_000

    def test_is_unknown_until_the_lots_are_booked(self, alice):
        desk.trade(alice, "buy", "1", price="100")
        apple = world.instrument()
        assert queries.gain_of_sale(alice, apple, quantity=1, proceeds=1) is None


class TestValueHistory:
    def test_walks_today_back_through_what_happened(self, alice):
        apple = world.instrument()
        desk.trade(alice, "buy", "10", price="100", hours=2)
        desk.book()
        desk.price(apple, "130", before="100")
        for hour, close in ((0, "100"), (1, "110"), (2, "100"), (3, "120")):
            desk.candle(apple, "15m", world.NOW + timedelta(hours=hour), close)
        now = world.NOW + timedelta(hours=4)
        whole = queries.summary(alice, now=now)
        history = queries.value_history(alice, whole, period="1d", now=now)
        points = history.points
        at = {point.at: point.value // 10**6 for point in points}
        assert at[now] == 10_300
        assert at[world.NOW + timedelta(hours=3)] == 10_200
        assert at[world.NOW + timedelta(hours=1)] == 10_000
        assert at[world.NOW - timedelta(hours=1)] == 0
        assert [point.at for point in points] == sorted(at)

    def test_tells_what_was_earned_from_what_came_in(self, alice):
        apple = world.instrument()
        desk.trade(alice, "buy", "10", price="100", hours=2)
        desk.book()
        desk.price(apple, "130", before="100")
        now = world.NOW + timedelta(hours=4)
        whole = queries.summary(alice, now=now)
        history = queries.value_history(alice, whole, period="1d", now=now)
        assert history.came == 10_000 * 10**6
        assert history.earned == 300 * 10**6


class TestActivity:
    def items(self, user):
        return queries.items_of(list(queries.activity_of(user)), user)

    def test_says_what_happened_newest_first(self, alice):
        desk.trade(alice, "buy", "2", price="100")
        desk.trade(alice, "sell", "0.5", price="110", minutes=1)
        assert [(one.kind, one.title) for one in self.items(alice)] == [
            ("sell", "Sold 0.5 AAPLx"),
            ("buy", "Bought 2 AAPLx"),
            ("deposit", "Deposit"),
        ]
        sold, bought, deposit = self.items(alice)
        assert (bought.cash, bought.shares) == (-200, 2)
        assert (sold.cash, sold.shares) == (55, Decimal("-0.5"))
        assert (deposit.cash, deposit.shares) == (10_000, None)

    def test_names_the_merchant_of_a_payment_and_of_the_sale_for_it(self):
        alice = world.alice()
        apple = shop.hold_shares(alice, "AAPLx", "1")
        shop.quote(apple, ("278.40", "5"))
        card = shop.card(alice, ("AAPLx", "0"))
        asked = shop.pending(card, "60")
        shop.send(gateways.CLEARED, card, authorization=asked.external_id)
        shop.send(gateways.REFUNDED, card, authorization=asked.external_id, amount="1")
        refund, paid, sale = self.items(alice)[:3]
        assert refund.title == "Refund from Blue Door Café"
        assert (paid.title, paid.cash) == ("Paid Blue Door Café", -60)
        assert (sale.kind, sale.detail) == (
            "card_sale",
            "at $278.40, to pay Blue Door Café, fee $0.06",
        )

    def test_is_each_ones_own(self, alice):
        assert self.items(world.carol()) == []

    @pytest.mark.parametrize("trades", [1, 8])
    def test_takes_as_many_queries_for_many_as_for_one(
        self, alice, django_assert_num_queries, trades
    ):
        for minute in range(trades):
            desk.trade(alice, "buy", "1", minutes=minute)
        with django_assert_num_queries(5):
            self.items(alice)


class TestTaps:
    @pytest.fixture
    def card(self, alice):
        return shop.card(alice)

    def page(self, alice):
        return queries.page_of(alice, limit=500).items

    def test_are_in_the_activity_from_the_tap_on(self, alice, card):
        shop.pending(card, "40.25")
        (tap,) = [one for one in self.page(alice) if one.kind == "card_tap"]
        assert tap.title == "Card: $40.25 at Blue Door Café"
        assert tap.detail.endswith("set aside until it is taken, from cash")
        assert tap.amounts == []

    def test_say_everything_that_pays(self, card):
        bob = world.carol()
        shop.hold_shares(bob, "AAPLx", "1")
        shop.quote(world.instrument(), ("278.40", "5"))
        world.fund(bob, "10")
        both = shop.card(bob, ("USD", "0"), ("AAPLx", "0"))
        shop.pending(both, "40")
        (tap,) = [one for one in self.page(bob) if one.kind == "card_tap"]
        assert tap.detail.endswith(", from cash $10.00 and 0.1078 AAPLx")

    def test_say_what_was_sold_though_it_was_given_back(self, card):
        bob = world.carol()
        shop.hold_shares(bob, "AAPLx", "1")
        shop.quote(world.instrument(), ("278.40", "5"))
        shares = shop.card(bob, ("AAPLx", "0"))
        asked = shop.pending(shares, "40")
        shop.send(gateways.REVERSED, shares, authorization=asked.external_id)
        (tap,) = [one for one in self.page(bob) if one.kind == "card_tap"]
        assert tap.detail.endswith("reversed, from 0.1438 AAPLx")

    def test_say_all_that_was_taken(self, alice, card):
        asked = shop.pending(card, "40")
        shop.send(gateways.CLEARED, card, authorization=asked.external_id, amount="45")
        (tap,) = [one for one in self.page(alice) if one.kind == "card_tap"]
        assert tap.title == "Card: $45.00 at Blue Door Café"

    def test_that_are_taken_back_in_part_wait_for_their_end(self, alice, card):
        asked = shop.pending(card, "40")
        shop.send(gateways.REVERSED, card, authorization=asked.external_id, amount="15")
        assert "card_given_back" not in {one.kind for one in self.page(alice)}
        shop.send(gateways.CLEARED, card, authorization=asked.external_id, amount="25")
        (back,) = [one for one in self.page(alice) if one.kind == "card_given_back"]
        assert back.title == "$15.00 set aside for Blue Door Café is yours again"

    def test_tell_of_what_was_declined_reversed_and_never_taken(self, alice, card):
        shop.authorize(card, "99999")
        asked = shop.pending(card, "40")
        shop.send(gateways.REVERSED, card, authorization=asked.external_id)
        kinds = [one.kind for one in self.page(alice) if one.kind.startswith("card")]
        assert sorted(kinds) == ["card_declined", "card_given_back", "card_tap"]

    @pytest.mark.parametrize("apart", [timedelta(hours=1), timedelta(0)])
    def test_are_told_once_on_pages_of_any_size(self, alice, card, apart):
        """Many taps between two postings, at times of their own or all at one."""
        for number in range(9):
            shop.pending(card, f"{number + 1}")
            world.fund(alice, "5") if number in {2, 7} else None
        reversed_one = Authorization.objects.order_by("id")[4]
        shop.send(gateways.REVERSED, card, authorization=reversed_one.external_id)
        for number, asked in enumerate(Authorization.objects.order_by("id")):
            Authorization.objects.filter(pk=asked.pk).update(
                requested_at=world.NOW - apart * (number // 2)
            )
        whole = [(one.id, one.kind) for one in self.page(alice)]
        assert len(set(whole)) == len(whole) >= 13
        for size in (1, 2, 3, 5, 12):
            page = queries.page_of(alice, limit=size)
            cut = [page]
            while page.older:
                page = queries.page_of(alice, limit=size, beyond=page.older)
                cut.append(page)
            assert [len(one.items) for one in cut[:-1]] == [size] * (len(cut) - 1)
            assert 1 <= len(cut[-1].items) <= size
            assert [(i.id, i.kind) for one in cut for i in one.items] == whole
            for before in reversed(cut[:-1]):
                page = queries.page_of(alice, limit=size, beyond=page.newer, newer=True)
                assert page == before or page.items == before.items
            assert page.newer is None


class TestBalances:
    def test_are_said_in_dollars_and_shares(self, alice):
        desk.trade(alice, "buy", "2")
        apple = world.instrument()
        world.split(apple, 4)
        assert queries.balances(alice) == [
            {
                "asset": "USD",
                "total": "9800.000000",
                "held": "0.000000",
                "available": "9800.000000",
            },
            {
                "asset": "AAPLx",
                "total": "8.00000000",
                "held": "0.00000000",
                "available": "8.00000000",
            },
        ]
