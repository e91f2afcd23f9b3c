from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection

import trading.operations
from tests import world
from trading.models import DailyVolume, Order, Trade
from trading.operations import Close
from users.models import User

if TYPE_CHECKING:
    from tests.trading.floor import Floor

BRACKET = Close(stop_loss=Decimal("250.00"), take_profit=Decimal("300.00"))


@pytest.fixture
def alice(floor: "Floor") -> User:
    alice = world.alice()
    world.fund(alice, "10000")
    return alice


def buy(floor: "Floor", alice: User, quantity: str, close: Close, **terms: Any) -> Order:
    """Have Alice buy at $278.60 or less what she wants to sell again."""
    return floor.ask(
        alice, "buy", "limit", quantity=quantity, limit_price="278.60", close=close, **terms
    )


def closes_of(order: Order) -> list[Order]:
    """List the closes of an order's fills, oldest first."""
    return list(Order.objects.filter(closes__buy_order=order).order_by("closes"))


class TestConditionalCloses:
    def test_each_fill_spawns_one_close_of_its_size(self, floor: "Floor", alice: User) -> None:
        floor.offer("1", "278.50")
        order = buy(floor, alice, "3", BRACKET)
        floor.run()
        floor.offer("0.5", "278.60")
        floor.run()
        first, second = closes_of(order)
        assert [first.quantity, second.quantity] == [10**8, 5 * 10**7]
        assert {first.status, second.status} == {Order.Status.OPEN}
        assert {first.type, first.side, first.trigger} == {"stop-loss", "sell", "last"}
        assert (first.trigger_price, first.take_profit_price) == (250, 300)
        assert first.worst_price == Decimal("237.50")  # 5 % below its stop
        assert world.available(alice, "AAPLx") == 0  # one hold for both triggers
        assert (first.maker_rate, first.taker_rate) == (order.maker_rate, order.taker_rate)

    def test_is_the_buyers_in_everything(self, floor: "Floor", alice: User) -> None:
        """Alice's volume gives her other rates than Carol has, who sells to her."""
        DailyVolume.objects.create(customer=alice, day=world.NOW.date(), volume=10**6 * 10**6)
        floor.offer("1", "278.50")
        order = buy(floor, alice, "1", BRACKET)
        floor.run()
        [close] = closes_of(order)
        sold = Trade.objects.get(buy_order=order).sell_order
        for name in ("customer", "cash_account", "token_account", "maker_rate", "taker_rate"):
            mine = getattr(order, name)
            assert getattr(close, name) == mine, name
            assert getattr(sold, name) != mine, name

    @pytest.mark.parametrize(
        ("terms", "kind"),
        [
            ({"stop_loss": "250"}, "stop-loss"),
            ({"stop_loss": "250", "limit_price": "249"}, "stop-loss-limit"),
            ({"take_profit": "300"}, "take-profit"),
            ({"take_profit": "300", "limit_price": "299"}, "take-profit-limit"),
        ],
    )
    def test_is_of_the_type_that_its_terms_make(
        self, floor: "Floor", alice: User, terms: dict[str, str], kind: str
    ) -> None:
        floor.offer("1", "278.50")
        close = Close(**{name: Decimal(price) for name, price in terms.items()})
        order = buy(floor, alice, "1", close)
        floor.run()
        assert [one.type for one in closes_of(order)] == [kind]

    def test_one_trigger_cancels_the_other(self, floor: "Floor", alice: User) -> None:
        floor.offer("1", "278.50")
        order = buy(floor, alice, "1", BRACKET)
        floor.run()
        carol = world.carol()
        world.fund(carol, "10000")
        floor.place(carol, "buy", quantity="2", limit_price="300")
        floor.run()
        [close] = closes_of(order)
        assert close.status == Order.Status.OPEN  # nothing traded at its price yet
        dave = world.active("dave@demo.test")
        world.give(dave, floor.instrument, "0.5")
        floor.place(dave, "sell", quantity="0.5", limit_price="300")
        floor.run()
        close.refresh_from_db()
        assert close.status == Order.Status.FILLED
        assert Trade.objects.get(sell_order=close).price == 300
        assert world.available(alice, "AAPLx") == 0

    def test_a_take_profit_alone_may_have_a_limit(self, floor: "Floor", alice: User) -> None:
        floor.offer("1", "278.50")
        close = Close(take_profit=Decimal(300), limit_price=Decimal("299.50"), trigger="index")
        order = buy(floor, alice, "1", close)
        floor.run()
        [spawned] = closes_of(order)
        assert (spawned.type, spawned.limit_price) == ("take-profit-limit", Decimal("299.50"))
        assert (spawned.trigger, spawned.trigger_price) == ("index", 300)

    def test_settling_again_places_nothing_again(self, floor: "Floor", alice: User) -> None:
        floor.offer("1", "278.50")
        order = buy(floor, alice, "1", BRACKET)
        floor.run()
        trading.operations.settle_due(now=world.NOW)
        assert len(closes_of(order)) == 1

    def test_a_close_that_cannot_be_placed_leaves_the_fill_unsettled(
        self, floor: "Floor", alice: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        floor.offer("1", "278.50")
        order = buy(floor, alice, "1", BRACKET)
        while floor.engine.run_batch():
            pass

        def fail(*args: Any, **kwargs: Any) -> None:
            connection.cursor().execute("INSERT INTO trading_order DEFAULT VALUES")

        monkeypatch.setattr(trading.operations.placing, "write", fail)
        trading.operations.settle_due(now=world.NOW)
        trade = Trade.objects.get(buy_order=order)
        assert trade.settled_at is None
        assert trade.held_back
        monkeypatch.undo()
        Trade.objects.update(held_back="")
        trading.operations.settle_due(now=world.NOW)
        assert len(closes_of(order)) == 1

    def test_prices_from_before_a_split_are_refused(self, floor: "Floor", alice: User) -> None:
        floor.offer("1", "278.50")
        order = buy(floor, alice, "1", BRACKET)
        while floor.engine.run_batch():
            pass
        floor.engine.core.shard.books[floor.instrument.pk].state.multiplier_e18 *= 4
        floor.run()
        [close] = closes_of(order)
        assert (close.status, close.reason) == (Order.Status.REJECTED, "multiplier_changed")
        assert world.available(alice, "AAPLx") == 1
