"""What waits too long in the inbox is refused with a reason; a cancel never is."""

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from django.db import connections

import trading.operations
from common.invariants import find_breaks
from ledger import queries as books
from tests import world
from trading.models import Command, MarketRule, Order, Release, Shard
from trading.queries import CHECKS, Replay
from users.models import User

if TYPE_CHECKING:
    from tests.trading.floor import Floor


@pytest.fixture
def floor(transactional_db: None, friday: None) -> "Floor":
    from tests.trading.floor import Floor  # noqa: PLC0415

    return Floor()


@pytest.fixture
def alice(floor: "Floor") -> User:
    alice = world.alice()
    world.fund(alice, "10000")
    return alice


def wait(seconds: int) -> None:
    """Let what is in the inbox have come so long ago."""
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "UPDATE trading_command SET created_at = created_at - make_interval(secs => %(s)s),"
            " stale_at = stale_at - make_interval(secs => %(s)s) WHERE sequence IS NULL",
            {"s": seconds},
        )


@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
class TestAgeing:
    def test_a_market_order_has_a_deadline_by_policy(self, floor: "Floor", alice: User) -> None:
        MarketRule.objects.update(market_max_age_s=60)
        order = floor.place(alice, "buy", notional="25")
        assert order.deadline is not None
        assert (order.deadline - world.NOW).total_seconds() == 60

    def test_an_old_market_order_is_refused_and_its_hold_is_free(
        self, floor: "Floor", alice: User
    ) -> None:
        floor.offer()
        order = floor.place(alice, "buy", notional="25")
        wait(61)
        floor.run()
        order.refresh_from_db()
        assert (order.status, order.reason) == ("rejected", "aged_out")
        assert order.execution == 1
        assert world.available(alice) == 10_000
        self.holds()

    def test_a_limit_order_may_wait_longer(self, floor: "Floor", alice: User) -> None:
        MarketRule.objects.update(market_max_age_s=60, inbox_max_age_s=600)
        terms = {"quantity": "1", "limit_price": "270"}
        order, late = (floor.place(alice, "buy", **terms) for _ in range(2))
        wait(300)
        floor.engine.run_batch(limit=1)
        wait(301)
        floor.run()
        order.refresh_from_db()
        late.refresh_from_db()
        assert (order.status, late.status, late.reason) == ("open", "rejected", "aged_out")
        self.holds()

    def test_an_old_amendment_gives_back_what_it_added(self, floor: "Floor", alice: User) -> None:
        order = floor.place(alice, "buy", quantity="1", limit_price="270")
        floor.run()
        order.refresh_from_db()
        trading.operations.amend_order(order=order, quantity=Decimal(2), now=world.NOW)
        wait(3600)
        floor.run()
        order.refresh_from_db()
        assert order.quantity == 10**8
        assert Release.objects.get().amount == 270_270_000
        assert world.available(alice) == 10_000 - Decimal("270.27")
        self.holds()

    def test_an_old_quote_gives_back_what_it_added(self, floor: "Floor") -> None:
        world.stock_house(floor.instrument)
        trading.operations.Desk().step(now=world.NOW)
        wait(3600)
        floor.run()
        quotes = Command.objects.filter(kind="quote")
        assert set(quotes.values_list("reason", flat=True)) == {"aged_out"}
        assert not Order.objects.filter(hold__remaining__gt=0).exists()
        self.holds()

    def test_a_cancel_never_is_too_old(self, floor: "Floor", alice: User) -> None:
        order = floor.place(alice, "buy", quantity="1", limit_price="270")
        floor.run()
        order.refresh_from_db()
        trading.operations.cancel_order(order=order, now=world.NOW)
        wait(86_400)
        floor.run()
        order.refresh_from_db()
        assert order.status == "cancelled"

    def test_a_crowd_that_waited_is_refused_in_one_batch(self, floor: "Floor", alice: User) -> None:
        for _ in range(5):
            floor.place(alice, "buy", quantity="1", limit_price="270")
        fresh = floor.place(alice, "buy", quantity="1", limit_price="270")
        Command.objects.exclude(order=fresh).filter(sequence=None).update(stale_at=world.NOW)
        assert floor.engine.run_batch() == 6
        numbers = Order.objects.order_by("execution").values_list("execution", flat=True)
        assert list(numbers) == [1, 2, 3, 4, 5, 6]
        floor.run()
        assert not [one for one in find_breaks(CHECKS) if "past its age" not in one.detail]

    def holds(self) -> None:
        """See that nothing is broken, and that the log alone makes the same books."""
        assert list(find_breaks([*CHECKS, *books.CHECKS])) == []
        replay = Replay(Shard.objects.get())
        replay.run()
        assert list(replay.differences()) == []
