"""Random orders of every type, on the real database with the engine and settlement in process."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

import trading.operations
from common.errors import DomainError
from common.invariants import Break, find_breaks
from ledger.models import Hold
from ledger.queries import CHECKS as LEDGER_CHECKS
from tests import world
from tests.trading.floor import Floor
from trading import queries
from trading.models import LIMITED, STOPPING, TRAILING, TRIGGERED, Command, Order
from trading.operations import Close, OrderDraft
from trading.queries import CHECKS
from users.models import User

Draw = Callable[[st.SearchStrategy[Any]], Any]
MAKER = "erin@demo.test"
PEOPLE = ("alice@demo.test", "carol@demo.test", "dave@demo.test")
AT = Decimal("278.50")  # the reference
FAR = timedelta(days=400)  # from any clock a test may run by


def cents(low: int, high: int) -> st.SearchStrategy[Decimal]:
    """Draw a price so many cents around the reference."""
    return st.integers(low, high).map(lambda number: AT + Decimal(number) / 100)


def shares(low: int = 1, high: int = 300) -> st.SearchStrategy[Decimal]:
    return st.integers(low, high).map(lambda number: Decimal(number) / 100)


def trigger(side: str, kind: str) -> st.SearchStrategy[Decimal]:
    """Draw a trigger on the side of the price where it waits."""
    rises = (side == "buy") == kind.startswith("stop-loss")
    return cents(1, 300) if rises else cents(-300, -1)


@st.composite
def drafts(draw: Draw) -> dict[str, Any]:
    """Draw the terms of an order that mostly makes sense."""
    side = draw(st.sampled_from(["buy", "sell"]))
    kind = draw(st.sampled_from([kind for kind in Order.Type.values if kind != Order.Type.QUOTE]))
    terms = {"side": side, "kind": kind, **draw(size(kind))}
    if kind in LIMITED:
        terms["limit_price"] = draw(cents(-200, 200))
    if kind in STOPPING:
        terms["trigger_price"] = draw(trigger(side, kind))
    if kind in TRAILING:
        terms |= draw(trails(kind))
    if kind in TRIGGERED:
        terms["trigger"] = draw(st.sampled_from(["last", "index"]))
    if side == "buy" and draw(st.booleans()):
        terms["close"] = draw(closes())
    return terms | draw(flags(kind))


def size(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    """Draw shares, of which an iceberg shows a part, or dollars."""
    if kind == "iceberg":
        return st.tuples(shares(15), st.sampled_from([1, 2, 5, 10])).map(
            lambda drawn: {"quantity": drawn[0], "display_quantity": drawn[0] / drawn[1]}
        )
    by_shares = shares().map(lambda quantity: {"quantity": quantity})
    return st.one_of(by_shares, st.integers(1, 900).map(lambda dollars: {"notional": dollars}))


def trails(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    """Draw how far an order trails, and where its limit is from there."""
    small = st.integers(1, 100).map(lambda number: Decimal(number) / 100)
    trail = st.tuples(st.sampled_from(["trail", "trail_percent"]), small).map(
        lambda one: dict([one])
    )
    if kind == "trailing-stop":
        return trail
    offset = small.map(lambda number: number - Decimal("0.50"))
    return st.tuples(trail, offset).map(lambda both: {**both[0], "limit_offset": both[1]})


def closes() -> st.SearchStrategy[Close]:
    prices = {"stop_loss": cents(-190, -60), "take_profit": cents(60, 190)}
    both = st.fixed_dictionaries(prices)
    one = st.sampled_from(sorted(prices)).flatmap(
        lambda name: st.fixed_dictionaries({name: prices[name]})
    )
    return st.one_of(both, one).map(lambda named: Close(**named))


def flags(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    """Draw how long it stands, whom it may meet, what it must not do."""
    plain = st.fixed_dictionaries(
        {
            "self_trade_prevention": st.sampled_from(
                ["cancel_newest", "cancel_oldest", "cancel_both"]
            )
        }
    )
    if kind == "iceberg" or kind in {"market", "stop-loss", "take-profit", "trailing-stop"}:
        return plain
    times: list[dict[str, Any]] = [
        {},
        {"post_only": True},
        {"time_in_force": "ioc"},
        {"time_in_force": "fok"},
        {"time_in_force": "gtd", "expires_at": world.NOW + FAR},
    ]
    return st.tuples(plain, st.sampled_from(times)).map(lambda both: both[0] | both[1])


STEPS = st.one_of(
    st.tuples(
        st.just("place"), st.sampled_from(PEOPLE), st.lists(drafts(), min_size=1, max_size=4)
    ),
    st.tuples(st.just("amend"), st.integers(0, 40), shares(), cents(-250, 250)),
    st.tuples(st.just("cancel"), st.integers(0, 40)),
    st.tuples(st.just("mark"), cents(-300, 300)),
    st.tuples(st.just("match"), st.integers(1, 5)),
    st.tuples(st.just("settle")),
)


class Play:
    """Some people who do random things on a floor, until everything is cancelled again."""

    def __init__(self, floor: Floor) -> None:
        self.floor = floor
        self.people = {email: world.active(email) for email in (*PEOPLE, MAKER)}
        self.placed: list[Order] = []

    def place(self, email: str, asked: list[dict[str, Any]]) -> None:
        drafts = [self.draft(**terms) for terms in asked]
        results = trading.operations.place_orders(
            drafts=drafts, customer=self.people[email], now=world.NOW
        )
        for draft, result in zip(drafts, results, strict=True):
            event(f"{draft.type}: {'placed' if isinstance(result, Order) else result.code}")
        self.placed += [result for result in results if isinstance(result, Order)]

    def draft(self, side: str, kind: str, **terms: Any) -> OrderDraft:
        return self.floor.draft(side, kind, **terms)

    def amend(self, number: int, quantity: Decimal, limit: Decimal) -> None:
        if (order := self.some(number)) is None:
            return
        limited = order.limit_price is not None and not order.trail and not order.trail_percent
        change: dict[str, Any] = {"limit_price": limit} if limited else {}
        if order.quantity is not None:
            change["quantity"] = quantity
        try:
            trading.operations.amend_order(order=order, now=world.NOW, **change)
        except DomainError as refusal:
            event(f"amend: {refusal.code}")

    def cancel(self, number: int) -> None:
        order = self.some(number)
        if order is not None and order.is_live:
            trading.operations.cancel_order(order=order, now=world.NOW)

    def some(self, number: int) -> Order | None:
        """Pick an order as it stands now."""
        if not self.placed:
            return None
        order = self.placed[number % len(self.placed)]
        return queries.orders_of(order.customer or User()).get(pk=order.pk)

    def mark(self, price: Decimal) -> None:
        """Tell the engine of another reference price."""
        ticks = int(price / self.floor.instrument.tick_size)
        Command.objects.create(
            shard_id=self.floor.engine.shard_id,
            kind="mark",
            payload={"prices": {str(self.floor.instrument.pk): ticks}},
        )

    def match(self, limit: int) -> None:
        self.floor.engine.run_batch(limit=limit)

    def settle(self) -> None:
        trading.operations.settle_due(now=world.NOW)

    def end(self) -> None:
        """Cancel everything, and the closes that come of what was still unsettled."""
        self.floor.run()
        for user in self.people.values():
            trading.operations.cancel_orders(customer=user, now=world.NOW)
        self.floor.run()


def breaks() -> list[Break]:
    return list(find_breaks([*LEDGER_CHECKS, *CHECKS]))


class TestEveryOrder:
    @pytest.fixture
    def floor(self, floor: Floor) -> Floor:
        for email in (*PEOPLE, MAKER):
            world.fund(world.active(email), "20000")
            world.give(world.active(email), floor.instrument, "40")
        maker = world.active(MAKER)
        for away in (Decimal("0.05"), Decimal("0.80"), Decimal("2.00")):
            floor.place(maker, "buy", quantity="4", limit_price=AT - away)
            floor.place(maker, "sell", quantity="4", limit_price=AT + away)
        floor.run()
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL transaction_timeout = 0")  # all examples are in this one
        return floor

    @settings(
        max_examples=6,
        phases=[Phase.generate],  # each example takes a moment on the database; shrinking, hours
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(steps=st.lists(STEPS, min_size=10, max_size=30))
    def test_keeps_every_promise_and_gives_everything_back(
        self, floor: Floor, steps: list[tuple[Any, ...]]
    ) -> None:
        with transaction.atomic():
            floor.engine = trading.operations.Engine("main")
            play = Play(floor)
            for name, *arguments in steps:
                getattr(play, name)(*arguments)
            floor.run()
            assert breaks() == []
            play.end()
            assert breaks() == []
            assert not Order.objects.filter(status__in=Order.LIVE).exists()
            assert not Hold.objects.exclude(remaining=0).exists()
            transaction.set_rollback(True)
