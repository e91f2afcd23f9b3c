"""A customer's orders: place, amend, cancel.

Placing checks and prices each draft, locks the customer's accounts, sets the worst case aside and
writes order, hold and command in one transaction. From then on the engine decides.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction

from common import realtime
from common.errors import DomainError
from common.money import MAX_UNITS, USD, Amount
from instruments.models import Instrument
from kyc import queries as kyc
from ledger import operations as ledger
from ledger import queries as books
from ledger.operations import AccountKey, HoldRequest, InsufficientFunds
from market import queries as market
from trading import queries, rules
from trading.models import Book, Command, Order
from users.models import User


class UnsupportedOrderType(DomainError):
    """This market takes market and limit orders."""

    field = "type"


class TermsContradict(DomainError):
    """The order's terms contradict each other."""

    status = 400


class MarketClosed(DomainError):
    """This instrument is not trading now."""


class MarketHalted(DomainError):
    """This instrument is not taking such orders just now."""


class PriceOutOfBand(DomainError):
    """The price is too far from the market; check it again."""

    field = "limit_price"


class TooManyOpenOrders(DomainError):
    """You have as many open orders as this market keeps; cancel some first."""


class DuplicateClientOrderId(DomainError):
    """You have used this client_order_id before; take a new one."""

    status = 409
    field = "client_order_id"


class OrderAlreadyDone(DomainError):
    """The order is filled, cancelled or expired already."""

    status = 409


@dataclass(frozen=True, slots=True)
class OrderDraft:
    """What a customer asks for: shares or dollars, prices in dollars for one share."""

    instrument: Instrument
    side: str
    type: str
    quantity: Decimal | None = None
    notional: Decimal | None = None
    limit_price: Decimal | None = None
    time_in_force: str = Order.TimeInForce.GTC
    expires_at: datetime | None = None
    post_only: bool = False
    reduce_only: bool = False
    self_trade_prevention: str = "cancel_newest"
    client_order_id: str | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """A draft as the engine will see it: ticks, base units, USD units, and what to hold."""

    draft: OrderDraft
    ticks: int
    price: Decimal
    base: int | None
    notional: int | None
    budget: int


@dataclass(frozen=True, slots=True)
class Conditions:
    """What holds for every order placed in one call."""

    now: datetime
    maker_rate: Decimal
    taker_rate: Decimal
    states: dict[int, Book]
    barred: dict[str, DomainError]  # by side: why this customer may not


def place_order(*, draft: OrderDraft, customer: User, now: datetime) -> Order:
    """Accept one order and hand it to the engine; it comes back `PENDING`.

    :raises VerificationRequired: if the customer may not trade
    :raises InsufficientFunds: if the worst case is not available
    :raises DomainError: naming the field, if the terms are wrong
    """
    [result] = place_orders(drafts=[draft], customer=customer, now=now)
    if isinstance(result, DomainError):
        raise result
    return result


@transaction.atomic
def place_orders(
    *, drafts: Sequence[OrderDraft], customer: User, now: datetime
) -> list[Order | DomainError]:
    """Accept orders, each for itself: what is wrong with one does not touch the others.

    :returns: an order or its refusal for each draft, in order
    """
    conditions = _conditions(drafts, customer, now)
    results: list[Terms | Order | DomainError] = [
        _refusal_or(lambda draft=draft: _terms(draft, conditions)) for draft in drafts
    ]
    accounts = _open_accounts(customer, [r.draft for r in results if isinstance(r, Terms)])
    balances = ledger.lock_accounts(account_ids=accounts.values())
    results = _admit(results, customer, accounts, balances, conditions)
    accepted = [result for result in results if isinstance(result, Terms)]
    orders = iter(_write(accepted, customer, accounts, conditions))
    return [next(orders) if isinstance(result, Terms) else result for result in results]


@transaction.atomic
def cancel_order(*, order: Order, now: datetime) -> Order:
    """Ask the engine to take what is left of the order off the book.

    Returns at once; the order is `CANCELLED` when the engine has sequenced the command.

    :raises OrderAlreadyDone: if it is filled, cancelled or expired
    """
    if not order.is_live:
        raise OrderAlreadyDone
    _send([order], "cancel")
    return order


@transaction.atomic
def cancel_orders(*, customer: User, instrument: Instrument | None = None, now: datetime) -> int:
    """Ask the engine to take all of a customer's open orders off the book, or off one book.

    :returns: how many are open
    """
    orders = queries.open_orders_of(customer)
    if instrument:
        orders = orders.filter(instrument=instrument)
    return _send(list(orders), "cancel")


@transaction.atomic
def amend_order(
    *,
    order: Order,
    quantity: Decimal | None = None,
    limit_price: Decimal | None = None,
    now: datetime,
) -> Order:
    """Ask the engine to change an order in place; a smaller quantity keeps its queue position.

    What the larger order could cost more is set aside at once.

    :param quantity: the whole new quantity in shares, what is filled already included
    :raises OrderAlreadyDone: if it is filled, cancelled or expired
    :raises InsufficientFunds: if a larger one is not covered
    """
    if not order.is_live:
        raise OrderAlreadyDone
    if order.type != Order.Type.LIMIT or order.quantity is None:
        raise TermsContradict("Only limit orders by quantity can be changed; cancel and replace.")
    scale = queries.scale_of(order.instrument)
    base = order.quantity if quantity is None else scale.base(quantity)
    price = limit_price or order.limit_price or order.instrument.tick_size
    ticks = scale.ticks(price, field="limit_price")
    remaining = base - order.filled
    if remaining <= 0:
        raise TermsContradict("That much is filled already.", field="quantity")
    rules.check_minimum(
        scale.cost(ticks, remaining), order.instrument.min_notional, field="quantity"
    )
    buying = order.side == Order.Side.BUY
    need = scale.hold_for(ticks, remaining, rules.ppm(order.taker_rate)) if buying else remaining
    increase = max(0, need - order.budget)
    if increase and order.hold_id:
        ledger.increase(increases=[(order.hold_id, increase)])
    payload = {"order": order.pk, "quantity": base, "price": ticks, "budget_increase": increase}
    _send([order], "amend", payload)
    return order


def _send(orders: Sequence[Order], kind: str, payload: dict[str, Any] | None = None) -> int:
    """Put one command for each order into the engine's inbox."""
    shards = dict(
        Book.objects.filter(instrument__in={order.instrument_id for order in orders}).values_list(
            "instrument_id", "shard_id"
        )
    )
    Command.objects.bulk_create(
        Command(
            shard_id=shards[order.instrument_id],
            kind=kind,
            order=order,
            payload=payload or {"order": order.pk},
        )
        for order in orders
    )
    realtime.nudge("engine")
    return len(orders)


def _refusal_or(step: Any) -> Any:
    try:
        return step()
    except DomainError as refusal:
        return refusal


def _conditions(drafts: Sequence[OrderDraft], customer: User, now: datetime) -> Conditions:
    tier = queries.fee_tier(now)
    books_ = Book.objects.filter(instrument__in={draft.instrument.pk for draft in drafts})
    states = {book.instrument_id: book for book in books_}
    barred = {}
    for side in {draft.side for draft in drafts}:
        action = "trade" if side == Order.Side.BUY else "close"
        refusal = _refusal_or(lambda action=action: kyc.require(customer, action))
        if isinstance(refusal, DomainError):
            barred[side] = refusal
    return Conditions(now, tier.maker_rate, tier.taker_rate, states, barred)


def _terms(draft: OrderDraft, conditions: Conditions) -> Terms:
    """Check one draft and say what it could cost.

    :raises DomainError: naming the field that is wrong
    """
    if draft.side in conditions.barred:
        raise conditions.barred[draft.side]
    _check_words(draft, conditions.now)
    _check_market(draft, conditions)
    scale = queries.scale_of(draft.instrument)
    price = _worst_price(draft, conditions.now)
    ticks = scale.ticks(price, field="limit_price")
    notional = None
    base = None if draft.quantity is None else scale.base(draft.quantity)
    if base is None:
        notional = Amount.parse(draft.notional or "", USD, field="notional").units
        cost = notional
    else:
        cost = scale.cost(ticks, base)
    field = "quantity" if notional is None else "notional"
    rules.check_minimum(cost, draft.instrument.min_notional, field=field)
    budget = _budget(draft, scale, ticks, base, notional, conditions)
    if budget > MAX_UNITS:
        raise rules.TooLarge(field=field)
    return Terms(draft, ticks, price, base, notional, budget)


def _budget(
    draft: OrderDraft,
    scale: rules.Scale,
    ticks: int,
    base: int | None,
    notional: int | None,
    conditions: Conditions,
) -> int:
    """Give what to hold: USD units for a buy, base units for a sell."""
    if draft.side == Order.Side.SELL:
        return base if base is not None else scale.base_covering(notional or 0, ticks)
    taker = rules.ppm(conditions.taker_rate)
    if base is not None:
        return scale.hold_for(ticks, base, taker)
    return rules.hold_for_notional(notional or 0, taker)


def _check_words(draft: OrderDraft, now: datetime) -> None:
    """Refuse terms that contradict each other.

    :raises TermsContradict: naming the field
    """
    if draft.type not in {Order.Type.MARKET, Order.Type.LIMIT}:
        raise UnsupportedOrderType
    limit = draft.type == Order.Type.LIMIT
    resting = limit and draft.time_in_force in {Order.TimeInForce.GTC, Order.TimeInForce.GTD}
    gtd = draft.time_in_force == Order.TimeInForce.GTD
    complaints = {
        "quantity": (
            (draft.quantity is None) == (draft.notional is None),
            "Give either a quantity or a notional, not both.",
        ),
        "limit_price": (
            limit == (draft.limit_price is None),
            "A limit order needs a limit price, and a market order takes none.",
        ),
        "expires_at": (
            gtd != (draft.expires_at is not None),
            "A good-till-date order needs expires_at, and no other takes it.",
        ),
        "post_only": (
            draft.post_only and not resting,
            "Only an order that may rest on the book can be post-only.",
        ),
        "reduce_only": (
            draft.reduce_only and draft.side == Order.Side.BUY,
            "A buy never reduces a position here.",
        ),
    }
    for field, (wrong, sentence) in complaints.items():
        if wrong:
            raise TermsContradict(sentence, field=field)
    if (draft.client_order_id or "").startswith("house:"):
        raise TermsContradict(
            "Names that begin with house: are the house's.", field="client_order_id"
        )
    if draft.expires_at and draft.expires_at <= now:
        raise TermsContradict("That time has passed.", field="expires_at")
    for field, value in (("quantity", draft.quantity), ("notional", draft.notional)):
        if value is not None and value <= 0:
            raise TermsContradict("Choose more than nothing.", field=field)


def _check_market(draft: OrderDraft, conditions: Conditions) -> None:
    """Refuse what the instrument's session or state forbids.

    :raises MarketClosed: outside its hours, naming the next opening
    :raises MarketHalted: if its state takes no such order
    """
    session = market.session(draft.instrument, conditions.now)
    if not session.is_open:
        opens = session.next_change or conditions.now
        raise MarketClosed(
            f"{draft.instrument.symbol} opens {opens:%A %H:%M} UTC.", opens_at=opens.isoformat()
        )
    book = conditions.states.get(draft.instrument.pk)
    state = book.state if book else Book.State.MAINTENANCE
    allowed = {
        Book.State.ONLINE: True,
        Book.State.POST_ONLY: draft.post_only,
        Book.State.LIMIT_ONLY: draft.type == Order.Type.LIMIT,
        Book.State.REDUCE_ONLY: draft.side == Order.Side.SELL,
    }
    if not allowed.get(Book.State(state), False):
        raise MarketHalted(state=state)


def _worst_price(draft: OrderDraft, now: datetime) -> Decimal:
    """Give the limit, or the collar a market order gets now.

    :raises PriceStale: for a market order without a fresh reference price
    """
    if draft.limit_price is None:
        return queries.collar(draft.instrument, draft.side, now=now)
    return draft.limit_price


def _open_accounts(customer: User, drafts: Iterable[OrderDraft]) -> dict[int, int]:
    """Find or open the customer's accounts, by asset id; dollars always."""
    assets = [books.usd().pk, *{draft.instrument.asset_id for draft in drafts}]
    ids = ledger.open_accounts(
        keys=[AccountKey(customer.pk, asset_id, "customer") for asset_id in assets]
    )
    return dict(zip(assets, ids, strict=True))


def _admit(
    results: Sequence[Any],
    customer: User,
    accounts: dict[int, int],
    balances: dict[int, books.Balance],
    conditions: Conditions,
) -> list[Any]:
    """Refuse what is not covered, named twice, or one too many; the accounts are locked."""
    usd = next(iter(accounts.values()))
    available = {account: balance.available for account, balance in balances.items()}
    room = queries.market_rule(conditions.now).max_open_orders
    room -= queries.open_orders_of(customer).count()
    named = {r.draft.client_order_id for r in results if isinstance(r, Terms)} - {None}
    taken = set(
        Order.objects.filter(customer=customer, client_order_id__in=named).values_list(
            "client_order_id", flat=True
        )
    )
    admitted: list[Any] = []
    for result in results:
        if not isinstance(result, Terms):
            admitted.append(result)
            continue
        buying = result.draft.side == Order.Side.BUY
        account = usd if buying else accounts[result.draft.instrument.asset_id]
        if result.draft.client_order_id in taken:
            admitted.append(DuplicateClientOrderId())
        elif room <= 0:
            admitted.append(TooManyOpenOrders())
        elif available[account] < result.budget:
            admitted.append(InsufficientFunds(_shortage(result, available[account])))
        else:
            available[account] -= result.budget
            room -= 1
            taken |= {result.draft.client_order_id} - {None}
            admitted.append(result)
    return admitted


def _shortage(terms: Terms, available: int) -> str:
    draft = terms.draft
    if draft.side == Order.Side.BUY:
        need, have = (Amount(units, USD).decimal for units in (terms.budget, available))
        return f"This can cost up to ${need:,.2f} with its fee, and ${have:,.2f} is available."
    scale = queries.scale_of(draft.instrument)
    symbol = draft.instrument.symbol
    return f"You have {scale.shares(available).normalize():f} {symbol} available to sell."


def _write(
    accepted: Sequence[Terms], customer: User, accounts: dict[int, int], conditions: Conditions
) -> list[Order]:
    """Write holds, orders and commands: three statements however many."""
    if not accepted:
        return []
    usd = next(iter(accounts.values()))
    holds = ledger.hold(
        requests=[
            HoldRequest(
                usd if t.draft.side == Order.Side.BUY else accounts[t.draft.instrument.asset_id],
                t.budget,
                "order",
            )
            for t in accepted
        ]
    )
    orders = Order.objects.bulk_create(
        _order(terms, customer, usd, accounts[terms.draft.instrument.asset_id], hold, conditions)
        for terms, hold in zip(accepted, holds, strict=True)
    )
    Command.objects.bulk_create(
        Command(
            shard_id=conditions.states[order.instrument_id].shard_id,
            kind="place",
            order=order,
            payload=_payload(order, terms),
        )
        for order, terms in zip(orders, accepted, strict=True)
    )
    realtime.nudge("engine")
    return orders


def _order(
    terms: Terms, customer: User, cash: int, token: int, hold: int, conditions: Conditions
) -> Order:
    draft = terms.draft
    return Order(
        customer=customer,
        instrument=draft.instrument,
        side=draft.side,
        type=draft.type,
        client_order_id=draft.client_order_id,
        quantity=terms.base,
        notional=terms.notional,
        limit_price=draft.limit_price,
        worst_price=terms.price,
        time_in_force=draft.time_in_force,
        expires_at=draft.expires_at,
        post_only=draft.post_only,
        reduce_only=draft.reduce_only,
        self_trade_prevention=draft.self_trade_prevention,
        maker_rate=conditions.maker_rate,
        taker_rate=conditions.taker_rate,
        cash_account_id=cash,
        token_account_id=token,
        hold_id=hold,
        budget=terms.budget,
        placed_at=conditions.now,
    )


def _payload(order: Order, terms: Terms) -> dict[str, Any]:
    """Say an order to the engine: integers only, and complete, so that the log replays alone."""
    expires_at = order.expires_at
    return {
        "order": order.pk,
        "owner": order.customer_id,
        "instrument": order.instrument_id,
        "side": order.side,
        "type": order.type,
        "price": terms.ticks,
        "quantity": terms.base,
        "notional": terms.notional,
        "budget": terms.budget,
        "maker_ppm": rules.ppm(order.maker_rate),
        "taker_ppm": rules.ppm(order.taker_rate),
        "tif": order.time_in_force,
        "expires_at": int(expires_at.timestamp() * 1_000_000) if expires_at else None,
        "post_only": order.post_only,
        "reduce_only": order.reduce_only,
        "stp": order.self_trade_prevention,
    }
