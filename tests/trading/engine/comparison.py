"""The engine beside the naive exchange, compared after every command."""

from typing import Any

import msgspec

from tests.trading.engine.naive import NaiveExchange, Resting
from tests.trading.engine.workload import Workload
from trading.engine import Engine, OrderState, Outcome, ShardState

COMPARED = (
    "id",
    "status",
    "reason",
    "price",
    "quantity",
    "filled",
    "cost",
    "fee",
    "budget",
    "priority",
    "remaining_notional",
    "displayed",
    "triggered",
    "trail_extreme",
    "close",
)


class Comparison:
    """Applies commands to both and asserts that they tell the same story."""

    def __init__(self) -> None:
        self.engine = Engine(ShardState())
        self.naive = NaiveExchange()
        self.workload = Workload()
        self.sequence = self.at = 0
        self.received: dict[int, int] = {}
        self.taken: dict[int, int] = {}
        self.trades = 0
        self.met: set[str] = set()
        for kind, payload in self.workload.opening():
            self.apply(kind, payload)

    def step(self, seed: int) -> None:
        """Apply one random command."""
        self.at += seed % 4
        self.naive.at = self.at
        kind, payload = self.workload.command(seed, self.naive)
        self.apply(kind, payload)

    def apply(self, kind: str, payload: dict[str, Any]) -> None:
        self.sequence += 1
        before = {price_of(self.engine, i) for i in self.engine.shard.books}
        expected = self.naive.apply(self.at, kind, payload)
        outcome = self.engine.apply(self.sequence, self.at, kind, payload)
        said = f"{self.sequence}: {kind} {payload}"
        self.met |= {kind, *(order.reason or order.status for order in outcome.orders)}
        self.met |= {str(word) for name, word in payload.items() if name in {"type", "tif", "stp"}}
        assert outcome.reason == expected, said
        assert (outcome.result == "rejected") == (expected is not None), said
        self.compare_story(outcome, said)
        self.compare_books(said)
        self.check_budgets(kind, payload, outcome, said)
        after = {price_of(self.engine, i) for i in self.engine.shard.books}
        assert {i for i, _ in before ^ after} <= outcome.books, said

    def restart(self) -> None:
        """Go on with an engine that knows only what the database would."""
        stored = msgspec.json.encode(self.engine.snapshot())
        restored = Engine(msgspec.json.decode(stored, type=ShardState))
        assert restored.state_hash() == self.engine.state_hash()
        self.engine = restored

    def compare_story(self, outcome: Outcome, said: str) -> None:
        fills = [
            (
                fill.maker,
                fill.taker,
                fill.price,
                fill.quantity,
                fill.cost,
                *(
                    (fill.buy_fee, fill.sell_fee)
                    if fill.maker_side == "buy"
                    else (fill.sell_fee, fill.buy_fee)
                ),
            )
            for fill in outcome.trades
        ]
        assert fills == self.naive.trades, said
        self.trades += len(fills)
        freed: dict[int, int] = {}
        for release in outcome.releases:
            assert release.amount > 0, said
            freed[release.order] = freed.get(release.order, 0) + release.amount
        assert freed == self.naive.freed, said
        told = {order.id: order for order in outcome.orders}
        assert len(told) == len(outcome.orders), said
        for id_, order in self.naive.ended.items():
            assert told[id_].status == order.status, said
            assert told[id_].reason == order.reason, said
            assert told[id_].closed_at == self.at, said
        cancelled = [order.id for order in outcome.orders if order.reason == "customer"]
        ended = self.naive.ended.values()
        assert cancelled == [order.id for order in ended if order.reason == "customer"], said

    def compare_books(self, said: str) -> None:
        orders = {order.id: order for order in self.engine.snapshot().orders}
        assert sorted(orders) == sorted(order.id for order in self.naive.orders), said
        for expected in self.naive.orders:
            assert seen(orders[expected.id]) == wanted(expected), said
        due = self.naive.due()
        assert self.engine.next_due() == (due[0][0] if due else None), said
        assert self.engine.shard.deadlines == self.naive.deadlines, said
        assert self.engine.shard.quotes_until == self.naive.quotes_until, said
        for instrument, market in self.naive.markets.items():
            state = self.engine.shard.books[instrument].state
            shown = (state.last, state.mark, state.band_since, state.paused_until, state.closed)
            told = (market.last, market.mark, market.band_since, market.paused_until, market.closed)
            assert shown == told, said
            assert state.closed != market.in_session(self.at), said
            view = self.engine.book(instrument, 1000)
            assert view.asks == self.visible(instrument, "buy"), said
            assert view.bids == self.visible(instrument, "sell"), said
            assert not (view.bids and view.asks and view.bids[0][0] >= view.asks[0][0]), said

    def visible(self, instrument: int, taker_side: str) -> list[tuple[int, int]]:
        levels: dict[int, int] = {}
        for price, _, quantity, _ in self.naive.against(taker_side, instrument):
            levels[price] = levels.get(price, 0) + quantity
        return list(levels.items())

    def check_budgets(
        self, kind: str, payload: dict[str, Any], outcome: Outcome, said: str
    ) -> None:
        """Everything a hold ever got is taken by trades, freed, or still open."""
        for name, order in (
            ("budget", "order"),
            ("budget_increase", "order"),
            ("bid_budget_increase", "bid_order"),
            ("ask_budget_increase", "ask_order"),
        ):
            if payload.get(name):
                self.received[payload[order]] = self.received.get(payload[order], 0) + payload[name]
        moved = {order.id for order in outcome.orders}
        for fill in outcome.trades:
            paid = fill.cost + max(fill.buy_fee, 0)
            self.taken[fill.buy] = self.taken.get(fill.buy, 0) + paid
            self.taken[fill.sell] = self.taken.get(fill.sell, 0) + fill.quantity
        for release in outcome.releases:
            self.taken[release.order] = self.taken.get(release.order, 0) + release.amount
            moved.add(release.order)
        budgets = {order.id: order.budget for order in outcome.orders}
        for id_ in moved:
            open_order = self.engine.shard.orders.get(id_)
            budget = budgets.get(id_, open_order.budget if open_order else 0)
            assert budget >= 0, said
            assert self.received.get(id_, 0) == self.taken.get(id_, 0) + budget, said


def price_of(engine: Engine, instrument: int) -> tuple[int, str]:
    return instrument, str(engine.book(instrument, 1000))


def seen(order: OrderState) -> tuple[Any, ...]:
    state = tuple(getattr(order, name) for name in COMPARED)
    in_book = order.priority and (order.triggered or order.trigger is None)
    return *state, order.remaining if in_book else None, order.levels or []


def wanted(order: Resting) -> tuple[Any, ...]:
    state = [getattr(order, name) for name in COMPARED]
    if order.type == "quote":
        state[COMPARED.index("price")] = None
    in_book = order.priority and not order.armed
    return *state, order.remaining if in_book else None, order.levels
