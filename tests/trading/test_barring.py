"""What a customer may trade no longer leaves the books at once."""

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from django.db import OperationalError

import kyc.operations
import trading.operations
import users.operations
from kyc import queries as kyc_queries
from kyc.models import Application
from tests import world
from trading.models import Order
from trading.operations import Close
from users.models import User

if TYPE_CHECKING:
    from tests.trading.floor import Floor

CANCELLED, OPEN = Order.Status.CANCELLED, Order.Status.OPEN


@pytest.fixture
def alice(floor: "Floor") -> User:
    alice = world.alice()
    world.fund(alice, "10000")
    world.give(alice, floor.instrument, "5")
    return alice


@pytest.fixture
def orders(floor: "Floor", alice: User) -> tuple[Order, Order]:
    """Give a purchase and a sale of Alice's that wait on the book."""
    both = (
        floor.place(alice, "buy", quantity="1", limit_price="270.00"),
        floor.place(alice, "sell", quantity="1", limit_price="290.00"),
    )
    floor.run()
    return both


def states(floor: "Floor", orders: tuple[Order, Order]) -> list[str]:
    floor.run()
    for order in orders:
        order.refresh_from_db()
    return [order.status for order in orders]


def decide(user: User, verb: str) -> None:
    application = kyc_queries.application_of(user)
    getattr(kyc.operations, verb)(
        application=application,
        actor=world.olivia(),
        version=application.version,
        message="We have to ask you something first.",
        now=world.NOW,
    )


class TestWhoIsBarred:
    def test_keeps_no_order_when_frozen(self, floor: "Floor", alice: User, orders: Any) -> None:
        decide(alice, "freeze")
        assert states(floor, orders) == [CANCELLED, CANCELLED]
        assert world.available(alice) == world.balance(alice)

    def test_keeps_no_order_when_shut_out(self, floor: "Floor", alice: User, orders: Any) -> None:
        users.operations.deactivate(
            user=alice, actor=world.olivia(), reason="Asked us to.", now=world.NOW
        )
        assert states(floor, orders) == [CANCELLED, CANCELLED]

    def test_keeps_only_sales_when_restricted(
        self, floor: "Floor", alice: User, orders: Any
    ) -> None:
        decide(alice, "restrict")
        assert states(floor, orders) == [CANCELLED, OPEN]

    def test_loses_nobody_elses_orders(self, floor: "Floor", alice: User, orders: Any) -> None:
        carol = world.carol()
        decide(carol, "freeze")
        assert states(floor, orders) == [OPEN, OPEN]

    def test_gets_no_order_back_when_the_account_opens_again(
        self, floor: "Floor", alice: User, orders: Any
    ) -> None:
        decide(alice, "freeze")
        decide(alice, "lift")
        assert states(floor, orders) == [CANCELLED, CANCELLED]
        assert floor.place(alice, "buy", quantity="1", limit_price="270.00").is_live


class TestTheSweep:
    def test_finds_an_order_that_was_being_accepted(
        self, floor: "Floor", alice: User, orders: Any
    ) -> None:
        application = kyc_queries.application_of(alice)
        type(application).objects.filter(pk=application.pk).update(status="frozen")
        assert trading.operations.cancel_orders_of_barred(now=world.NOW) == 2
        assert states(floor, orders) == [CANCELLED, CANCELLED]

    def test_takes_purchases_off_where_policy_no_longer_offers_them(
        self, floor: "Floor", alice: User, orders: Any
    ) -> None:
        world.restrict("FR", "residence", "Not offered in France.", since=world.NOW.date())
        trading.operations.cancel_orders_of_barred(now=world.NOW)
        assert states(floor, orders) == [CANCELLED, OPEN]

    def test_locks_the_books_of_one_customer_at_a_time(
        self, floor: "Floor", alice: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        carol = world.carol()
        world.fund(carol, "1000")
        own, hers = (
            floor.place(who, "buy", quantity="1", limit_price="270.00") for who in (alice, carol)
        )
        Application.objects.update(status="frozen")
        cancel = trading.operations.sending.cancel

        def cancel_for_alice(orders: Any, *, now: Any) -> None:
            cancel(orders, now=now)
            if hers in orders:
                raise OperationalError("deadlock detected")

        monkeypatch.setattr(trading.operations.sending, "cancel", cancel_for_alice)
        with pytest.raises(OperationalError):
            trading.operations.cancel_orders_of_barred(now=world.NOW)
        assert Order.objects.get(pk=own.pk).status == CANCELLED
        assert Order.objects.get(pk=hers.pk).is_live

    def test_leaves_everybody_else_alone(self, floor: "Floor", alice: User, orders: Any) -> None:
        assert trading.operations.cancel_orders_of_barred(now=world.NOW) == 0
        assert states(floor, orders) == [OPEN, OPEN]


class TestAConditionalClose:
    def test_is_taken_off_at_once_where_its_owner_was_frozen_meanwhile(
        self, floor: "Floor", alice: User
    ) -> None:
        floor.offer("1", "278.50")
        order = floor.ask(
            alice,
            "buy",
            "limit",
            quantity="1",
            limit_price="278.60",
            close=Close(stop_loss=Decimal("250.00")),
        )
        floor.engine.run_batch()
        application = kyc_queries.application_of(alice)
        type(application).objects.filter(pk=application.pk).update(status="frozen")
        floor.run()
        close = Order.objects.get(closes__buy_order=order)
        assert close.status == CANCELLED
        assert world.available(alice, "AAPLx") == 6
