"""A venue of one instrument with a 0.01 USD tick, for tests that tell one story each."""

from collections.abc import Sequence
from typing import Any

import msgspec

from trading.engine import Engine, OrderState, Outcome, ShardState

SHARE = 10**8
BID, ASK = 901, 902  # the house's standing orders


class Venue:
    """An engine with short verbs; orders get the budget that acceptance would hold."""

    def __init__(self) -> None:
        self.engine = Engine(ShardState())
        self.sequence = self.at = self.orders = 0
        self.apply("instrument", instrument=1, tick_num=1, tick_den=100, multiplier_e18=10**18)

    def apply(self, kind: str, **payload: Any) -> Outcome:
        self.sequence += 1
        self.at += 1
        return self.engine.apply(self.sequence, self.at, kind, payload)

    def place(
        self, side: str, shares: float, price: int, owner: int | None = None, **terms: Any
    ) -> Outcome:
        self.orders += 1
        quantity = round(shares * SHARE)
        taker_ppm = terms.get("taker_ppm", 0)
        cost = quantity * price * 10**4 // SHARE
        budget = quantity if side == "sell" else cost + -(-cost * taker_ppm // 10**6)
        payload = {
            "order": self.orders,
            "owner": self.orders if owner is None else owner,
            "instrument": 1,
            "side": side,
            "type": "limit",
            "price": price,
            "quantity": quantity,
            "budget": budget,
        }
        return self.apply("place", **payload | terms)

    def buy(self, shares: float, price: int, **terms: Any) -> Outcome:
        return self.place("buy", shares, price, **terms)

    def sell(self, shares: float, price: int, **terms: Any) -> Outcome:
        return self.place("sell", shares, price, **terms)

    def quote(self, bids: Sequence[Any] = (), asks: Sequence[Any] = (), **terms: Any) -> Outcome:
        """Quote as the house does, with means for everything, for as long as the test takes."""
        payload = {
            "instrument": 1,
            "bid_order": BID,
            "ask_order": ASK,
            "until": 10**9,
            "bids": bids,
            "asks": asks,
            "bid_budget_increase": 10**12,
            "ask_budget_increase": 10**12,
        }
        return self.apply("quote", **payload | terms)

    def book(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        view = self.engine.book(1, 10)
        return view.bids, view.asks

    def restart(self) -> None:
        stored = msgspec.json.encode(self.engine.snapshot())
        self.engine = Engine(msgspec.json.decode(stored, type=ShardState))


def order_of(outcome: Outcome, id_: int) -> OrderState:
    return next(order for order in outcome.orders if order.id == id_)


def frees(outcome: Outcome) -> list[tuple[int, int]]:
    return [(freed.order, freed.amount) for freed in outcome.releases]


def fills(outcome: Outcome) -> list[tuple[int, int, int]]:
    """Return (maker, price, quantity) of each trade."""
    return [(fill.maker, fill.price, fill.quantity) for fill in outcome.trades]
