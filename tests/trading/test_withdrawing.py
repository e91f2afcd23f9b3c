"""What no engine has sequenced is cancelled and amended at once; a race has exactly one winner."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from django.db import OperationalError, connection, connections, transaction

import ledger.operations
import trading.operations
from common.invariants import find_breaks
from ledger import queries as books
from tests import world
from trading.models import Command, Order, Participant, Trade
from trading.operations import Close, log, sending
from trading.operations.sending import OrderAlreadyDone
from trading.queries import CHECKS
from users.models import User

if TYPE_CHECKING:
    from tests.trading.floor import Floor

PATIENCE_S = 60


@pytest.fixture
def alice(floor: "Floor") -> User:
    alice = world.alice()
    world.fund(alice, "10000")
    return alice


def rest(floor: "Floor", alice: User, **terms: str) -> Order:
    """Place what would wait in the book at $270; no engine looks."""
    return floor.place(alice, "buy", **{"quantity": "2", "limit_price": "270", **terms})


def cancel(order: Order) -> Order:
    return trading.operations.cancel_order(order=order, now=world.NOW)


def waiting(**about: Any) -> list[str]:
    found = Command.objects.filter(sequence=None, result="", **about).order_by("id")
    return list(found.values_list("kind", flat=True))


def broken() -> list[Any]:
    return list(find_breaks([*CHECKS, *books.CHECKS]))


class TestCancelling:
    def test_an_order_that_no_engine_has_is_over_at_once(self, floor: "Floor", alice: User) -> None:
        order = cancel(rest(floor, alice))
        assert (order.status, order.reason, order.budget) == ("cancelled", "customer", 0)
        assert world.available(alice) == 10_000
        assert waiting() == []
        sequence = floor.engine.sequence
        floor.run()
        assert floor.engine.sequence == sequence
        assert Order.objects.get(pk=order.pk).engine_state == {}

    def test_its_end_is_the_customers_next_execution(self, floor: "Floor", alice: User) -> None:
        first, second = rest(floor, alice), rest(floor, alice)
        trading.operations.cancel_orders(customer=alice, now=world.NOW)
        numbers = Order.objects.filter(pk__in=[first.pk, second.pk]).values_list("execution")
        assert sorted(number for (number,) in numbers) == [1, 2]
        assert Participant.objects.get(customer=alice).executions == 2

    def test_all_and_each_take_both_kinds(self, floor: "Floor", alice: User) -> None:
        known = rest(floor, alice)
        floor.run()
        fresh, other = rest(floor, alice), rest(floor, alice)
        cancelled = trading.operations.cancel_each(
            customer=alice, uids=[known.uid, fresh.uid], now=world.NOW
        )
        states = [order.status for order in cancelled if isinstance(order, Order)]
        assert states == ["open", "cancelled"]
        assert trading.operations.cancel_orders(customer=alice, now=world.NOW) == 2
        other.refresh_from_db()
        assert other.status == "cancelled"
        assert waiting() == ["cancel"]
        floor.run()
        assert world.available(alice) == 10_000

    def test_a_close_that_no_engine_has_gives_its_shares_back(
        self, floor: "Floor", alice: User
    ) -> None:
        floor.offer("1", "278.50")
        close = Close(stop_loss=Decimal(250), take_profit=Decimal(300))
        floor.ask(alice, "buy", "limit", quantity="1", limit_price="278.60", close=close)
        floor.engine.run_batch()
        trading.operations.settle_due(now=world.NOW)
        spawned = Order.objects.get(closes__isnull=False)
        assert world.available(alice, "AAPLx") == 0
        cancel(spawned)
        assert world.available(alice, "AAPLx") == 1

    def test_a_cancel_that_waits_is_not_sent_again(self, floor: "Floor", alice: User) -> None:
        order = rest(floor, alice)
        floor.run()
        order.refresh_from_db()
        for _ in range(3):
            cancel(order)
        trading.operations.cancel_orders(customer=alice, now=world.NOW)
        assert waiting() == ["cancel"]
        floor.run()
        order.refresh_from_db()
        assert order.status == "cancelled"

    def test_what_was_withdrawn_meanwhile_is_not_asked_of_the_engine(
        self, floor: "Floor", alice: User
    ) -> None:
        order = rest(floor, alice)
        stale = Order.objects.get(pk=order.pk)
        cancel(order)
        cancel(stale)
        assert waiting() == []

    def test_takes_an_amendment_that_waits_behind_it_along(
        self, floor: "Floor", alice: User
    ) -> None:
        order = rest(floor, alice)
        more = {"order": order.pk, "quantity": 3 * 10**8, "price": 27000, "budget_increase": 5}
        with transaction.atomic():
            ledger.operations.increase(increases=[(order.hold_id or 0, 5)])
            sending.send([order], "amend", more)
        cancel(order)
        assert world.available(alice) == 10_000
        assert waiting() == []


class TestAmending:
    def test_nothing_is_set_aside_for_what_was_withdrawn_meanwhile(
        self, floor: "Floor", alice: User
    ) -> None:
        order = rest(floor, alice)
        stale = Order.objects.get(pk=order.pk)
        cancel(order)
        with pytest.raises(OrderAlreadyDone):
            trading.operations.amend_order(order=stale, quantity=Decimal(9), now=world.NOW)
        assert world.available(alice) == 10_000
        assert waiting() == []

    @pytest.mark.parametrize(
        ("change", "held"),
        [
            ({"quantity": Decimal(3)}, "810.81"),
            ({"quantity": Decimal(1)}, "270.27"),
            ({"limit_price": Decimal(260)}, "520.52"),
            ({"limit_price": Decimal(275), "quantity": Decimal(2)}, "550.55"),
        ],
    )
    def test_an_order_that_no_engine_has_is_changed_at_once(
        self, floor: "Floor", alice: User, change: dict[str, Decimal], held: str
    ) -> None:
        order = rest(floor, alice)
        order = trading.operations.amend_order(order=order, now=world.NOW, **change)
        assert world.available(alice) == 10_000 - Decimal(held)
        assert waiting() == ["place"]
        assert order.limit_price == change.get("limit_price", 270)
        floor.run()
        order.refresh_from_db()
        assert order.status == "open"
        assert Decimal(order.quantity or 0).scaleb(-8) == change.get("quantity", 2)
        assert Decimal(order.budget).scaleb(-6) == Decimal(held)

    def test_the_engine_matches_what_it_was_changed_to(self, floor: "Floor", alice: User) -> None:
        floor.offer("10", "271")
        order = rest(floor, alice)
        trading.operations.amend_order(order=order, limit_price=Decimal(271), now=world.NOW)
        floor.run()
        order.refresh_from_db()
        assert order.status == "filled"
        assert world.balance(alice, "AAPLx") == 2

    def test_an_iceberg_made_smaller_than_its_tip_shows_all_of_itself(
        self, floor: "Floor", alice: User
    ) -> None:
        terms = {"quantity": "2", "limit_price": "270", "display_quantity": "1"}
        order = floor.ask(alice, "buy", "iceberg", **terms)
        trading.operations.amend_order(order=order, quantity=Decimal("0.5"), now=world.NOW)
        floor.run()
        order.refresh_from_db()
        assert (order.status, order.quantity) == ("open", 5 * 10**7)


@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
class TestTheRace:
    """A customer and an engine, each in a transaction of its own on the real server."""

    @pytest.fixture
    def floor(self, transactional_db: None, friday: None) -> "Floor":
        from tests.trading.floor import Floor  # noqa: PLC0415

        return Floor()

    @pytest.fixture
    def held_up(self, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
        """Hold somebody up inside their transaction, and let this thread act meanwhile."""

        @contextmanager
        def hold_up(module: Any, name: str, act: Callable[[], Any]) -> Iterator["Held"]:
            held = Held(act)
            real = getattr(module, name)

            def wait(*args: Any, **terms: Any) -> Any:
                done = real(*args, **terms)
                held.stop(connection.connection.info.backend_pid)
                return done

            with monkeypatch.context() as patch:
                patch.setattr(module, name, wait)
                held.act_until_held()
            try:
                yield held
            finally:
                held.go_on()

        return hold_up

    def test_the_engine_was_first(
        self, floor: "Floor", alice: User, held_up: Callable[..., Any]
    ) -> None:
        order = rest(floor, alice)
        floor.engine.release()
        with held_up(log, "_write_commands", self.lead) as engine:
            assert cancel(order).status == "pending"  # it did not wait for the engine
            assert waiting(kind="cancel") == ["cancel"]
        assert engine.failure is None
        self.ends(floor, order, alice, sequenced=True)

    def test_the_customer_was_first(
        self, floor: "Floor", alice: User, held_up: Callable[..., Any]
    ) -> None:
        order = rest(floor, alice)
        with held_up(log, "end_unread", lambda: cancel(order)) as customer:
            assert floor.engine.run_batch() == 0  # it did not wait for the customer
        assert customer.failure is None
        self.ends(floor, order, alice, sequenced=False)

    def test_the_engine_is_killed_before_it_commits(
        self, floor: "Floor", alice: User, held_up: Callable[..., Any]
    ) -> None:
        order = rest(floor, alice)
        floor.engine.release()
        with held_up(log, "_write_commands", self.lead) as engine:
            engine.kill()
            engine.go_on()
            assert isinstance(engine.failure, OperationalError)
            assert cancel(order).status == "cancelled"
        self.ends(floor, order, alice, sequenced=False)

    def test_the_customer_is_killed_before_the_commit(
        self, floor: "Floor", alice: User, held_up: Callable[..., Any]
    ) -> None:
        order = rest(floor, alice)
        with held_up(log, "end_unread", lambda: cancel(order)) as customer:
            assert floor.engine.run_batch() == 0
            customer.kill()
            customer.go_on()
            assert isinstance(customer.failure, OperationalError)
            assert floor.engine.run_batch() == 1
        order.refresh_from_db()
        assert order.status == "open"
        cancel(order)
        self.ends(floor, order, alice, sequenced=True)

    def test_many_at_once_have_one_end_each(self, floor: "Floor", alice: User) -> None:
        placed = [rest(floor, alice, quantity="0.1") for _ in range(30)]
        begin = threading.Barrier(4)

        def take_back(some: list[Order]) -> None:
            begin.wait(PATIENCE_S)
            for order in some:
                cancel(order)

        crowd = [Held(lambda part=part: take_back(placed[part::3])) for part in range(3)]
        for customer in crowd:
            customer.start()
        begin.wait(PATIENCE_S)
        while any(customer.is_alive() for customer in crowd):
            floor.engine.run_batch(limit=2)
        assert [customer.failure for customer in crowd] == [None] * 3
        floor.run()
        assert set(Order.objects.values_list("status", flat=True)) == {"cancelled"}
        assert world.available(alice) == 10_000
        assert broken() == []

    def lead(self) -> None:
        """Lead as a process of its own would, for one batch."""
        engine = trading.operations.Engine("main")
        try:
            engine.run_batch()
        finally:
            connection.close()

    def ends(self, floor: "Floor", order: Order, alice: User, *, sequenced: bool) -> None:
        """See the order cancelled by one of the two, its hold free, and the books in order."""
        floor.engine.release()
        floor.engine = trading.operations.Engine("main")
        floor.run()
        order.refresh_from_db()
        assert (order.status, order.reason) == ("cancelled", "customer")
        place = Command.objects.get(order=order, kind="place")
        assert (place.sequence is not None) == sequenced
        assert place.result == ("accepted" if sequenced else "withdrawn")
        assert world.available(alice) == 10_000
        assert not Trade.objects.exists()
        assert broken() == []


class Held(threading.Thread):
    """Somebody who acts in a thread, with a connection of their own."""

    def __init__(self, act: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self.act = act
        self.failure: Exception | None = None
        self.pid = 0
        self._stopped, self._going_on = threading.Event(), threading.Event()

    def run(self) -> None:
        try:
            self.act()
        except Exception as failure:  # noqa: BLE001 - the test looks at it
            self.failure = failure
        finally:
            connections.close_all()
            self._stopped.set()

    def act_until_held(self) -> None:
        """Act until held up."""
        self.start()
        assert self._stopped.wait(PATIENCE_S)

    def stop(self, pid: int) -> None:
        """Stop here, in a transaction of the server process of that id."""
        self.pid = pid
        self._stopped.set()
        assert self._going_on.wait(PATIENCE_S)

    def kill(self) -> None:
        """End the server's side of it."""
        with connections["owner"].cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 10000)", [self.pid])

    def go_on(self) -> None:
        """Go on to the end."""
        self._going_on.set()
        self.join(PATIENCE_S)
        assert not self.is_alive()
