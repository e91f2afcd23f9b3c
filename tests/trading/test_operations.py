from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

import trading.operations
from common.errors import DomainError
from ledger import queries as books
from ledger.models import Account, Hold
from ledger.operations import InsufficientFunds
from market.models import ReferencePrice
from market.queries import AHEAD_S
from tests import world
from trading.models import Command, MarketRule, Order, Trade
from trading.operations import OrderDraft
from trading.operations.acceptance import DisplayOutOfBounds, DuplicateClientOrderId
from trading.operations.sending import OrderAlreadyDone
from trading.queries.pricing import PriceStale
from users.models import User

if TYPE_CHECKING:
    from tests.trading.floor import Floor


def balance(user: User, code: str) -> tuple[int, int]:
    account = Account.objects.get(owner=user, asset__code=code)
    return account.posted, account.held


class TestPlaceOrder:
    def test_holds_the_worst_case_of_a_limit_buy(self, floor: "Floor") -> None:
        alice = world.alice()
        world.fund(alice, "1000")
        order = floor.place(alice, "buy", quantity="2", limit_price="100")
        assert order.status == Order.Status.PENDING
        assert balance(alice, "USD") == (1_000_000_000, 200_200_000)  # 2 x $100 and 0.1 %
        assert Command.objects.get(order=order).sequence is None

    def test_holds_the_shares_of_a_sell(self, floor: "Floor") -> None:
        alice = world.alice()
        world.give(alice, floor.instrument, "2.5")
        floor.place(alice, "sell", quantity="2.5", limit_price="300")
        assert balance(alice, "AAPLx") == (250_000_000, 250_000_000)

    def test_collars_a_market_order(self, floor: "Floor") -> None:
        alice = world.alice()
        world.fund(alice, "1000")
        order = floor.place(alice, "buy", notional="25")
        assert order.worst_price == Decimal("292.42")  # 5 % above 278.50 while New York trades
        assert balance(alice, "USD")[1] == 25_025_000

    def test_refuses_what_is_not_covered(self, floor: "Floor") -> None:
        alice = world.alice()
        world.fund(alice, "10")
        with pytest.raises(InsufficientFunds, match=r"\$10\.01.*\$10\.00"):
            floor.place(alice, "buy", notional="10")
        assert not Order.objects.exists()
        assert not Hold.objects.exists()

    def test_refuses_the_same_name_twice(self, floor: "Floor") -> None:
        alice = world.alice()
        world.fund(alice, "1000")
        draft = OrderDraft(
            floor.instrument,
            "buy",
            "limit",
            quantity=Decimal(1),
            limit_price=Decimal(100),
            client_order_id="mine",
        )
        results = trading.operations.place_orders(
            drafts=[draft, draft], customer=alice, now=world.NOW
        )
        assert isinstance(results[0], Order)
        assert isinstance(results[1], DuplicateClientOrderId)
        with pytest.raises(DuplicateClientOrderId):
            trading.operations.place_order(draft=draft, customer=alice, now=world.NOW)

    @pytest.mark.parametrize(("cash", "accepted"), [("40.04", 2), ("40.03", 1)])
    def test_covers_the_orders_of_a_batch_together(
        self, floor: "Floor", cash: str, accepted: int
    ) -> None:
        tesla = world.instrument("TSLAx")
        alice = world.alice()
        world.fund(alice, cash)
        drafts = [
            OrderDraft(one, "buy", "limit", notional=Decimal(20), limit_price=Decimal(100))
            for one in (floor.instrument, tesla, floor.instrument)
        ]
        results = trading.operations.place_orders(drafts=drafts, customer=alice, now=world.NOW)
        refused = results[accepted:]
        assert [type(one) for one in results[:accepted]] == [Order] * accepted
        assert {(type(one), getattr(one, "field", "")) for one in refused} == {
            (InsufficientFunds, "notional")
        }
        assert balance(alice, "USD")[1] == 20_020_000 * accepted  # each with its fee

    def test_counts_the_orders_of_a_batch_together(self, floor: "Floor") -> None:
        """Three may wait: one does, so that two of a batch are taken and one is not."""
        MarketRule.objects.update(max_open_orders=3)
        alice = world.alice()
        world.fund(alice, "100")
        draft = floor.draft("buy", "limit", quantity="0.01", limit_price="270")
        trading.operations.place_order(draft=draft, customer=alice, now=world.NOW)
        results = trading.operations.place_orders(drafts=[draft] * 3, customer=alice, now=world.NOW)
        assert [isinstance(one, Order) for one in results] == [True, True, False]

    def test_covers_the_sales_of_a_batch_together(self, floor: "Floor") -> None:
        alice = world.alice()
        world.give(alice, floor.instrument, "2.5")
        drafts = [
            OrderDraft(
                floor.instrument, "sell", "limit", quantity=quantity, limit_price=Decimal(300)
            )
            for quantity in (Decimal("1.5"), Decimal("1.00000001"), Decimal(1))
        ]
        first, second, third = trading.operations.place_orders(
            drafts=drafts, customer=alice, now=world.NOW
        )
        assert isinstance(second, InsufficientFunds)
        assert second.field == "quantity"
        assert all(isinstance(one, Order) for one in (first, third))
        assert balance(alice, "AAPLx") == (250_000_000, 250_000_000)

    @pytest.mark.parametrize(("quantity", "display"), [("1.5", "1.5"), ("1.5", "0.1")])
    def test_an_iceberg_shows_between_a_fifteenth_and_all_of_itself(
        self, floor: "Floor", quantity: str, display: str
    ) -> None:
        alice = world.alice()
        world.fund(alice, "1000")
        terms = {"limit_price": "270", "quantity": quantity, "display_quantity": display}
        assert floor.ask(alice, "buy", "iceberg", **terms).display_quantity
        less = {"0.1": {"quantity": "1.50000001"}, "1.5": {"display_quantity": "1.50000001"}}
        with pytest.raises(DisplayOutOfBounds):
            floor.ask(alice, "buy", "iceberg", **terms | less[display])

    def test_relies_on_a_reference_price_up_to_its_oldest_age(self, floor: "Floor") -> None:
        oldest = timedelta(seconds=MarketRule.objects.get().reference_max_age_s)
        self.relies_on_prices_up_to(floor, world.NOW - oldest, -timedelta(microseconds=1))

    def test_relies_on_a_price_no_further_ahead_than_clocks_differ(self, floor: "Floor") -> None:
        ahead = timedelta(seconds=AHEAD_S)
        self.relies_on_prices_up_to(floor, world.NOW + ahead, timedelta(microseconds=1))

    def relies_on_prices_up_to(self, floor: "Floor", at: datetime, beyond: timedelta) -> None:
        world.fund(world.alice(), "1000")
        ReferencePrice.objects.update(at=at)
        assert floor.place(world.alice(), "buy", notional="25")
        ReferencePrice.objects.update(at=at + beyond)
        with pytest.raises(PriceStale):
            floor.place(world.alice(), "buy", notional="25")

    @pytest.mark.parametrize(
        ("terms", "field"),
        [
            ({"quantity": "1", "notional": "5"}, "quantity"),
            ({}, "quantity"),
            ({"quantity": "0", "limit_price": "5"}, "quantity"),
            ({"quantity": "-1", "limit_price": "5"}, "quantity"),
            ({"quantity": "1", "limit_price": "5.001"}, "limit_price"),
            ({"quantity": "1", "limit_price": "-5"}, "limit_price"),
            ({"quantity": "0.001", "limit_price": "5"}, "quantity"),
            ({"quantity": "0.000000001", "limit_price": "5"}, "quantity"),
        ],
    )
    def test_names_the_field_that_is_wrong(
        self, floor: "Floor", terms: dict[str, str], field: str
    ) -> None:
        alice = world.alice()
        world.fund(alice, "1000")
        with pytest.raises(DomainError) as refusal:
            floor.place(alice, "buy", **terms)
        assert refusal.value.field == field
        assert not Command.objects.filter(kind="place").exists()

    def test_fifty_cost_as_many_statements_as_one(self, floor: "Floor") -> None:
        alice = world.alice()
        world.fund(alice, "100000")
        draft = OrderDraft(
            floor.instrument, "buy", "limit", quantity=Decimal(1), limit_price=Decimal(100)
        )
        floor.place(alice, "buy", quantity="1", limit_price="100")  # opens her accounts
        counts = []
        for number in (1, 50):
            with CaptureQueriesContext(connection) as captured:
                trading.operations.place_orders(
                    drafts=[draft] * number, customer=alice, now=world.NOW
                )
            counts.append(len(captured))
        assert counts[0] == counts[1]
        assert counts[0] == 14


class TestTheDay:
    def test_a_market_buy_meets_an_offer_and_settles(self, floor: "Floor") -> None:
        alice = world.alice()
        world.fund(alice, "1000")
        offer = floor.offer("10", "278.60")
        order = floor.place(alice, "buy", notional="25")
        floor.run()
        order.refresh_from_db()
        trade = Trade.objects.get()
        assert order.status == Order.Status.FILLED
        assert trade.settled_at == world.NOW
        assert trade.quantity == order.filled == 8_973_438  # $25 at $278.60, rounded down
        assert trade.cost == 24_999_998
        assert trade.buy_fee == 24_999
        assert trade.sell_fee == -4_999  # the maker's rebate
        assert balance(alice, "USD") == (1_000_000_000 - 24_999_998 - 24_999, 0)
        assert balance(alice, "AAPLx") == (8_973_438, 0)
        offer.refresh_from_db()
        assert offer.status == Order.Status.PARTIALLY_FILLED
        assert books.hold_remaining(offer.hold_id) == offer.budget == 10**9 - 8_973_438

    def test_cancelling_gives_everything_back(self, floor: "Floor") -> None:
        alice = world.alice()
        world.fund(alice, "1000")
        order = floor.place(alice, "buy", quantity="2", limit_price="100")
        floor.run()
        order.refresh_from_db()
        assert order.status == Order.Status.OPEN
        trading.operations.cancel_order(order=order, now=world.NOW)
        floor.run()
        order.refresh_from_db()
        assert order.status == Order.Status.CANCELLED
        assert order.closed_at
        assert balance(alice, "USD") == (1_000_000_000, 0)
        with pytest.raises(OrderAlreadyDone):
            trading.operations.cancel_order(order=order, now=world.NOW)

    def test_a_larger_amendment_holds_more_and_a_smaller_frees(self, floor: "Floor") -> None:
        alice = world.alice()
        world.fund(alice, "1000")
        order = floor.place(alice, "buy", quantity="2", limit_price="100")
        floor.run()
        for quantity, held in (("4", 400_400_000), ("1", 100_100_000)):
            order.refresh_from_db()
            trading.operations.amend_order(order=order, quantity=Decimal(quantity), now=world.NOW)
            floor.run()
            assert balance(alice, "USD")[1] == held
        order.refresh_from_db()
        assert order.quantity == 10**8
        with pytest.raises(InsufficientFunds):
            trading.operations.amend_order(order=order, quantity=Decimal(11), now=world.NOW)

    def test_an_engine_made_anew_goes_on_where_the_last_batch_ended(self, floor: "Floor") -> None:
        alice = world.alice()
        world.fund(alice, "1000")
        floor.offer("10", "278.60")
        order = floor.place(alice, "buy", quantity="1", limit_price="278")
        floor.run()
        before = floor.engine.core.state_hash()
        floor.engine = trading.operations.Engine("main")
        assert floor.engine.core.state_hash() == before
        trading.operations.cancel_order(order=order, now=world.NOW)
        floor.run()
        order.refresh_from_db()
        assert order.status == Order.Status.CANCELLED

    def test_a_replaced_engine_changes_nothing(self, floor: "Floor") -> None:
        alice = world.alice()
        world.fund(alice, "1000")
        old = floor.engine
        trading.operations.Engine("main")
        order = floor.place(alice, "buy", quantity="1", limit_price="278")
        with pytest.raises(trading.operations.Fenced):
            old.run_batch()
        order.refresh_from_db()
        assert order.status == Order.Status.PENDING


class TestCancelOrdersAfter:
    def test_cancels_what_is_open_when_it_is_not_renewed(
        self, floor: "Floor", monkeypatch: pytest.MonkeyPatch
    ) -> None:
        alice = world.alice()
        world.fund(alice, "1000")
        order = floor.place(alice, "buy", quantity="1", limit_price="100")
        trading.operations.cancel_orders_after(customer=alice, timeout_s=60, now=world.NOW)
        floor.run()
        floor.engine = trading.operations.Engine("main")  # the deadline outlives a restart
        floor.run()
        order.refresh_from_db()
        assert order.status == Order.Status.OPEN
        later = floor.engine._now_us() + 61_000_000
        monkeypatch.setattr(floor.engine, "_now_us", lambda: later)
        floor.run()
        order.refresh_from_db()
        assert (order.status, order.reason) == (Order.Status.CANCELLED, "cancel_all_after")
        assert balance(alice, "USD")[1] == 0


class TestTradeWithHouse:
    def test_settles_in_the_same_transaction_once(self, floor: "Floor") -> None:
        alice = world.alice()
        world.give(alice, floor.instrument, "2")
        world.stock_house(floor.instrument)
        for _ in range(2):
            trade = trading.operations.trade_with_house(
                customer=alice,
                instrument=floor.instrument,
                side="sell",
                quantity=10**8,
                price=Decimal("278.40"),
                now=world.NOW,
                key="card:1",
            )
        assert Trade.objects.get() == trade
        assert trade.settled_at
        assert balance(alice, "USD") == (278_400_000, 0)
        assert balance(alice, "AAPLx") == (10**8, 0)
