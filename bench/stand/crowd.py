"""Customers by the thousand, with money, orders that wait and trades of the past.

Everything is written through the product's own operations, or in bulk where one by one would take
hours, and then as they would have written it: an audit of the books finds nothing.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from itertools import islice
from typing import Any, TypeVar

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore

import portfolio.operations
import trading.operations
from common import clock, heartbeats
from instruments import queries as instruments
from instruments.models import Instrument
from krakapp.sessions import seal
from kyc.models import Application
from ledger import operations as ledger
from ledger import queries as books
from ledger.operations import AccountKey, Entry, Leg
from trading.models import MarketRule, Order, Trade
from trading.operations import OrderDraft
from users.models import User

Thing = TypeVar("Thing")

SYMBOL = "AAPLx"  # trades at any hour
USD = 1_000_000 * 10**6
SHARES = 10_000 * 10**8
PRICE = Decimal("278.50")
WORTH = 2_785_000 * 10**6  # of the shares at the price
CHUNK = 1_000
ORDERS_EACH = 20


class Crowd:
    """The bench's customers so far."""

    def __init__(self) -> None:
        """List the books, and lift the bound on open orders: it would end a measurement soon."""
        trading.operations.list_books(shard_name="main")
        run_engine()
        MarketRule.objects.update(max_open_orders=10**6)
        self.instrument: Instrument = instruments.by_symbol(SYMBOL)
        self.people: list[User] = []
        self.cash: list[int] = []
        self.tokens: list[int] = []
        self._trades = 0
        self._newest = 0  # where those who joined last begin

    def grow(self, *, customers: int, resting: int, trades: int) -> None:
        """Add people until there are so many, then orders that wait, and trades long settled."""
        self._join(customers - len(self.people))
        waiting = Order.objects.filter(status__in=Order.LIVE, customer__isnull=False).count()
        self._rest(resting - waiting)
        if trades > self._trades:
            self.trade(trades - self._trades)
        settle()

    def trade(self, count: int) -> Trade:
        """Make trades that wait for settlement, each between two who joined last; give the first.

        Trades, orders and holds have ids in a row: nobody else writes meanwhile.
        """
        before = Trade.objects.latest("id").pk if self._trades else 0
        for numbers in chunks(range(count), CHUNK):
            self._trade(numbers)
        self._trades += count
        return Trade.objects.filter(pk__gt=before).select_related("buy_order").earliest("id")

    @property
    def newest(self) -> dict[str, int]:
        """Say where the ids of those who joined last begin, and how many they are."""
        start = self._newest
        return {
            "people": len(self.people) - start,
            "customer": self.people[start].pk,
            "cash": self.cash[start],
            "tokens": self.tokens[start],
            "instrument": self.instrument.pk,
        }

    def draft(self, number: int) -> OrderDraft:
        """Give an order that will wait: a bid far below the market."""
        return OrderDraft(
            self.instrument,
            "buy",
            "limit",
            quantity=Decimal("0.01"),
            limit_price=Decimal(10_000 + number % 500) / 100,
        )

    def tokens_for(self, count: int) -> list[str]:
        """Sign so many customers in, and give their session tokens."""
        return [_session(user) for user in self.people[:count]]

    def _join(self, count: int) -> None:
        now, first = clock.now(), len(self.people)
        users = User.objects.bulk_create(
            User(email=f"c{first + number}@bench.test", password="!", date_joined=now)  # noqa: S106
            for number in range(count)
        )
        Application.objects.bulk_create(_application(user, now) for user in users)
        usd, token = books.usd().pk, self.instrument.asset_id
        cash, tokens = (
            ledger.open_accounts(keys=[AccountKey(user.pk, asset, "customer") for user in users])
            for asset in (usd, token)
        )
        outside, issuer, *dealer = ledger.open_accounts(
            keys=[
                AccountKey(None, usd, "external"),
                AccountKey(None, token, "issuer"),
                AccountKey(None, usd, "dealer"),
                AccountKey(None, token, "dealer"),
            ]
        )
        for some in chunks(zip(users, cash, strict=True), CHUNK):
            entries = [
                Entry(
                    f"bench:{user.pk}",
                    "bench",
                    [Leg(outside, account, USD + WORTH), Leg(issuer, dealer[1], SHARES)],
                )
                for user, account in some
            ]
            ledger.post(entries=entries, occurred_at=now)
        self._newest = len(self.people)
        self.people += users
        self.cash += cash
        self.tokens += tokens
        for some in chunks(range(self._newest, len(self.people)), CHUNK):
            self._buy_from(dealer, some, now)
        settle()

    def _buy_from(self, dealer: Sequence[int], people: Sequence[int], now: datetime) -> None:
        facts: dict[str, Any] = {
            "instrument": self.instrument,
            "venue": Order.Venue.HOUSE,
            "type": Order.Type.MARKET,
            "quantity": SHARES,
            "worst_price": PRICE,
            "time_in_force": Order.TimeInForce.FOK,
            "maker_rate": 0,
            "taker_rate": 0,
            "placed_at": now,
            "status": Order.Status.FILLED,
            "filled": SHARES,
            "cost": WORTH,
            "closed_at": now,
        }
        orders = Order.objects.bulk_create(
            Order(customer=owner, side=side, cash_account_id=c, token_account_id=t, **facts)
            for one in people
            for owner, side, c, t in (
                (self.people[one], Order.Side.BUY, self.cash[one], self.tokens[one]),
                (None, Order.Side.SELL, *dealer),
            )
        )
        Trade.objects.bulk_create(
            self._bought(buy, sell, SHARES, WORTH, now) for buy, sell in chunks(orders, 2)
        )

    def _rest(self, count: int) -> None:
        drafts = [self.draft(number) for number in range(ORDERS_EACH)]
        for number in range(count // ORDERS_EACH):
            customer = self.people[number % len(self.people)]
            trading.operations.place_orders(drafts=drafts, customer=customer, now=clock.now())
        run_engine()

    def _trade(self, numbers: Sequence[int]) -> None:
        now = clock.now()
        pairs = list(self._pairs(numbers))
        cost = 278_500_000
        holds = ledger.open_holds(
            wanted=[
                one
                for buyer, seller in pairs
                for one in ((self.cash[buyer], "order"), (self.tokens[seller], "order"))
            ]
        )
        fee = cost // 1000
        ledger.increase(
            increases=[
                (hold, cost + fee if place % 2 == 0 else 10**8) for place, hold in enumerate(holds)
            ]
        )
        orders = Order.objects.bulk_create(
            self._order(person, side, hold, cost, now)
            for (person, side), hold in zip(
                ((one, side) for pair in pairs for one, side in zip(pair, Order.Side, strict=True)),
                holds,
                strict=True,
            )
        )
        Trade.objects.bulk_create(
            self._bought(buy, sell, 10**8, cost, now) for buy, sell in chunks(orders, 2)
        )

    def _bought(self, buy: Order, sell: Order, quantity: int, cost: int, now: datetime) -> Trade:
        return Trade(
            instrument=self.instrument,
            venue=buy.venue,
            buy_order=buy,
            sell_order=sell,
            maker_side="sell",
            price=PRICE,
            quantity=quantity,
            multiplier=1,
            cost=cost,
            buy_fee=buy.fee,
            sell_fee=sell.fee,
            executed_at=now,
        )

    def _pairs(self, numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
        start, size = self._newest, len(self.people) - self._newest
        for number in numbers:
            buyer = number * 7919 % size
            yield start + buyer, start + (buyer + 1 + number % (size - 1)) % size

    def _order(self, person: int, side: str, hold: int, cost: int, now: datetime) -> Order:
        return Order(
            customer=self.people[person],
            instrument=self.instrument,
            side=side,
            type="limit",
            quantity=10**8,
            limit_price=PRICE,
            worst_price=PRICE,
            maker_rate=Decimal("-0.0002"),
            taker_rate=Decimal("0.001"),
            cash_account_id=self.cash[person],
            token_account_id=self.tokens[person],
            hold_id=hold,
            placed_at=now,
            status=Order.Status.FILLED,
            filled=10**8,
            cost=cost,
            fee=cost // 1000 if side == "buy" else -(cost // 5000),
            closed_at=now,
        )


def run_engine() -> None:
    """Let an engine carry out whatever is in the inbox."""
    engine = trading.operations.Engine("main")
    while engine.run_batch():
        pass
    for part in (f"{heartbeats.ENGINE}:main", heartbeats.FEED, heartbeats.SETTLER):
        heartbeats.beat(part)  # nobody else does, and whoever is silent gets no orders


def settle() -> None:
    """Settle what is due, and book its lots."""
    while trading.operations.settle_due(now=clock.now()):
        pass
    portfolio.operations.book_lots()


def chunks(things: Iterable[Thing], size: int) -> Iterator[list[Thing]]:
    """Part things into lists of so many."""
    rest = iter(things)
    while chunk := list(islice(rest, size)):
        yield chunk


def _application(user: User, now: datetime) -> Application:
    answers: dict[str, Any] = dict.fromkeys(("residence", "citizenship", "tax_residence"), "FR")
    return Application(
        user=user,
        status=Application.Status.ACTIVE,
        birth_date=date(1990, 1, 1),
        us_person=False,
        created_at=now,
        submitted_at=now,
        decided_at=now,
        **answers,
    )


def _session(user: User) -> str:
    """Sign somebody in, as the app's sign-in does once the password was right."""
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "allauth.account.auth_backends.AuthenticationBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    assert session.session_key
    return seal(session.session_key)
