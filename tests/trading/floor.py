"""A market to knock at: a reference price, a book with its engine, somebody on the other side."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import trading.operations
from instruments.models import Instrument
from market.models import ReferencePrice
from tests import world
from trading.models import HousePolicy, Order
from trading.operations import OrderDraft
from users.models import Proposal, User

NOTICE = timedelta(days=2)  # of the corporate actions of these tests

NUMBERS = {
    "quantity",
    "notional",
    "limit_price",
    "trigger_price",
    "take_profit_price",
    "trail",
    "trail_percent",
    "limit_offset",
    "display_quantity",
}


class Floor:
    """One instrument's market, moved on by hand."""

    def __init__(self, symbol: str = "AAPLx", price: str = "278.50") -> None:
        """Open it."""
        self.instrument: Instrument = world.instrument(symbol)
        ReferencePrice.objects.update_or_create(
            instrument=self.instrument,
            defaults={
                "price": Decimal(price),
                "day_open": Decimal(price),
                "simulated": True,
                "at": world.NOW,
            },
        )
        # Nobody confirms the house's quotes while a test thinks: they stand as long as they may.
        HousePolicy.objects.update(quote_life_s=3600)
        trading.operations.list_books(shard_name="main")
        self.engine = trading.operations.Engine("main")
        self.run()

    def run(self) -> None:
        """Let the engine and settlement do what is due, and what comes of that."""
        while self.engine.run_batch() or trading.operations.settle_due(now=world.NOW):
            pass

    def place(self, user: User, side: str, **terms: Any) -> Order:
        """Place an order, a limit order where a price is given."""
        return self.ask(user, side, "limit" if "limit_price" in terms else "market", **terms)

    def ask(self, user: User, side: str, kind: str, **terms: Any) -> Order:
        """Place an order of any type; numbers may be given as text."""
        draft = self.draft(side, kind, **terms)
        return trading.operations.place_order(draft=draft, customer=user, now=world.NOW)

    def draft(self, side: str, kind: str, **terms: Any) -> OrderDraft:
        """Write what a customer may ask for."""
        read = {name: Decimal(value) if name in NUMBERS else value for name, value in terms.items()}
        return OrderDraft(instrument=self.instrument, side=side, type=kind, **read)

    def split(self, to: int, *, event: str = "A split", now: datetime = world.NOW) -> None:
        """Have two people split the shares into so many, and the day of it come."""
        self.propose_action(to=to, event=event, now=now)
        self.live_through(now + NOTICE)

    def propose_action(
        self, *, to: int = 4, event: str = "A split", now: datetime = world.NOW, **terms: Any
    ) -> Proposal:
        """Have Oscar propose a corporate action, and Olivia approve it."""
        payload = {
            "symbol": self.instrument.symbol,
            "kind": "split",
            "event": event,
            "ratio_to": to,
            "ratio_from": 1,
            "net_amount": None,
            "reinvestment_price": None,
            "effective_at": now + NOTICE,
            **terms,
        }
        people = {"proposer": world.oscar(), "approver": world.olivia()}
        return world.decide(trading.operations.CORPORATE_ACTION, payload, now=now, **people)

    def live_through(self, now: datetime) -> None:
        """Let the sweep and the engine take turns until nothing is left to do."""
        self.run()
        while trading.operations.carry_out_actions(now=now):
            self.run()
        self.instrument.refresh_from_db()

    def offer(self, quantity: str = "10", price: str = "278.60") -> Order:
        """Have Carol sell shares that wait on the book."""
        carol = world.carol()
        world.give(carol, self.instrument, quantity)
        order = self.place(carol, "sell", quantity=quantity, limit_price=price)
        self.run()
        return order
