from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from django.db import connection

import trading.operations
from tests import world
from trading.models import Order
from trading.operations import telling
from users.models import Mail, Notice, User

if TYPE_CHECKING:
    from pytest_django import DjangoAssertNumQueries

    from tests.trading.floor import Floor

LATER = timedelta(minutes=5)


@pytest.fixture
def alice(floor: "Floor") -> User:
    world.fund(world.alice(), "1000")
    return world.alice()


def end(order: Order, after: timedelta = LATER) -> None:
    """Let an order that is over have ended so long after it was placed."""
    Order.objects.filter(pk=order.pk).update(closed_at=order.placed_at + after)


def tell() -> list[tuple[str, str, str]]:
    trading.operations.tell_of_orders(now=world.NOW + LATER)
    mine = Notice.objects.filter(user__email="alice@demo.test", kind__startswith="order.")
    said = mine.order_by("id")
    return [(one.kind, one.title, one.body) for one in said]


class TestTellOfOrders:
    def test_passes_over_simulated_customers(self, floor: "Floor", alice: User) -> None:
        User.objects.filter(pk=alice.pk).update(simulated=True)
        floor.place(alice, "buy", quantity="0.5", limit_price="278.60")
        floor.offer("1", "278.60")
        floor.run()
        end(Order.objects.get(customer=alice))
        assert tell() == []
        User.objects.filter(pk=alice.pk).update(simulated=False)
        assert len(tell()) == 1

    def test_tells_of_a_fill_once_in_the_app_and_by_mail(self, floor: "Floor", alice: User) -> None:
        order = floor.place(alice, "buy", quantity="0.5", limit_price="278.60")
        floor.offer("1", "278.60")
        floor.run()
        end(order)
        said = [
            (
                "order.filled",
                "Your order to buy Apple is filled",
                "You bought 0.5 AAPLx at $278.60 a share.",
            )
        ]
        assert tell() == tell() == said
        assert Notice.objects.get(kind="order.filled").url == f"/orders/{order.uid}/"
        assert Mail.objects.filter(about="order.filled").count() == 1

    def test_tells_once_that_a_part_is_filled_and_then_of_the_whole(
        self, floor: "Floor", alice: User
    ) -> None:
        order = floor.place(alice, "buy", quantity="0.5", limit_price="278.60")
        floor.offer("0.2", "278.60")
        floor.run()
        (partly,) = tell()
        assert partly == (
            "order.partly_filled",
            "Your order to buy Apple is partly filled",
            "You bought 0.2 AAPLx at $278.60 a share. The rest waits.",
        )
        floor.offer("0.2", "278.60")
        floor.run()
        assert tell() == [partly]
        floor.offer("0.1", "278.60")
        floor.run()
        end(order)
        assert [kind for kind, *_ in tell()] == ["order.partly_filled", "order.filled"]
        assert Mail.objects.filter(about="order.partly_filled").count() == 1

    def test_leaves_alone_who_watches_a_part_being_filled(
        self, floor: "Floor", alice: User
    ) -> None:
        order = floor.place(alice, "buy", quantity="0.5", limit_price="278.60")
        floor.offer("0.2", "278.60")
        floor.run()
        for seconds, count in ((10, 0), (10.000001, 1)):
            trading.operations.tell_of_orders(now=order.placed_at + timedelta(seconds=seconds))
            assert Notice.objects.filter(user=alice, kind="order.partly_filled").count() == count

    def test_tells_once_that_a_stop_fired_and_waits(self, floor: "Floor", alice: User) -> None:
        order = floor.ask(
            alice,
            "buy",
            "stop-loss-limit",
            quantity="0.5",
            trigger_price="279",
            limit_price="278.60",
            trigger="last",
        )
        floor.run()
        assert tell() == []
        self.trade_at(floor, "279")
        fired = (
            "order.triggered",
            "Your order to buy Apple has fired",
            "The price reached what it waited for. It is in the market now.",
        )
        assert tell() == tell() == [fired]
        floor.offer("0.5", "278.60")
        floor.run()
        end(order)
        assert tell()[-1] == (
            "order.filled",
            "Your order to buy Apple is filled",
            "The price reached what it waited for. You bought 0.5 AAPLx at $278.60 a share.",
        )

    def trade_at(self, floor: "Floor", price: str) -> None:
        """Let Carol and Dave trade at a price."""
        dave = world.active("dave@demo.test")
        world.fund(dave, "500")
        floor.offer("0.1", price)
        floor.place(dave, "buy", quantity="0.1", limit_price=price)
        floor.run()

    def test_finds_what_to_tell_by_indexes_alone(self, floor: "Floor", alice: User) -> None:
        """Also whether a notice of that key is there: else each order reads all notices."""
        sweeps = {
            "order_noteworthy": telling._noteworthy(world.NOW),
            "order_closed_of_customers": telling._untold(world.NOW),
        }
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
        for index, orders in sweeps.items():
            plan = orders.explain()
            assert index in plan
            assert "notice_told_once" in plan
            assert "Seq Scan" not in plan

    def test_asks_twice_however_many_orders_it_has_told_of(
        self,
        floor: "Floor",
        alice: User,
        django_assert_num_queries: "DjangoAssertNumQueries",
    ) -> None:
        for price in ("278.60", "278.61", "278.62"):
            floor.place(alice, "buy", quantity="0.5", limit_price=price)
            floor.offer("0.2", price)
        assert [kind for kind, *_ in tell()] == 3 * ["order.partly_filled"]
        with django_assert_num_queries(2):
            assert trading.operations.tell_of_orders(now=world.NOW + LATER) == 0

    def test_leaves_alone_who_watched_it(self, floor: "Floor", alice: User) -> None:
        floor.offer("1", "278.60")
        order = floor.place(alice, "buy", quantity="0.5", limit_price="278.60")
        floor.run()
        end(order, timedelta(seconds=10))
        assert tell() == []
        end(order, timedelta(seconds=10, microseconds=1))
        assert len(tell()) == 1

    def test_says_nothing_of_what_the_customer_did(self, floor: "Floor", alice: User) -> None:
        order = floor.place(alice, "buy", quantity="0.5", limit_price="270")
        floor.run()
        order.refresh_from_db()
        trading.operations.cancel_order(order=order, now=world.NOW)
        floor.run()
        end(order)
        assert tell() == []

    def test_says_that_a_split_took_it_off(self, floor: "Floor", alice: User) -> None:
        order = floor.place(alice, "buy", quantity="0.5", limit_price="270")
        floor.run()
        floor.split(4)
        order.refresh_from_db()
        end(order, timedelta(seconds=1))
        (said,) = tell()
        assert said == (
            "order.cancelled",
            "Your order to buy Apple was cancelled",
            "The shares were about to change. Nothing was traded and nothing was charged.",
        )

    def test_mails_only_who_wants_it(self, floor: "Floor", alice: User) -> None:
        User.objects.filter(pk=alice.pk).update(mails_orders=False)
        order = floor.place(alice, "buy", quantity=str(Decimal("0.5")), limit_price="278.60")
        floor.offer("1", "278.60")
        floor.run()
        end(order)
        assert len(tell()) == 1
        assert not Mail.objects.filter(about="order.filled").exists()
