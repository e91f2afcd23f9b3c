"""What an order must be before it is accepted: its terms, its market, its worst case.

Nothing here writes. A draft goes in as the customer gave it, dollars and shares; out come terms as
the engine will see them, ticks and units, with what to hold.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from common.errors import DomainError
from common.money import MAX_UNITS, USD, Amount
from instruments.models import Instrument
from kyc import queries as kyc
from ledger import queries as books
from ledger.operations import InsufficientFunds
from market import queries as market
from trading import queries, rules
from trading.models import Book, Order
from users.models import User

CENT = Decimal("0.01")


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


class TooManyOpenOrders(DomainError):
    """You have as many open orders as this market keeps; cancel some first."""


class DuplicateClientOrderId(DomainError):
    """You have used this client_order_id before; take a new one."""

    status = 409
    field = "client_order_id"


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


def validate_order(*, draft: OrderDraft, customer: User, now: datetime) -> queries.Preview:
    """Refuse what placing it now would refuse, else say what it would do; nothing is written.

    :raises DomainError: as `place_order` would
    """
    conditions = conditions_for([draft], customer, now)
    terms = terms_of(draft, conditions)
    preview = queries.preview(draft=draft, customer=customer, now=now)
    accounts, balances = _standing_balances(customer, draft)
    [result] = admit([terms], customer, accounts, balances, conditions)
    if isinstance(result, DomainError):
        raise result
    return preview


def admit(
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
        need = Amount(terms.budget, USD).decimal.quantize(CENT, ROUND_CEILING)
        have = Amount(available, USD).decimal.quantize(CENT, ROUND_FLOOR)
        return f"This can cost up to ${need:,.2f} with its fee, and ${have:,.2f} is available."
    scale = queries.scale_of(draft.instrument)
    symbol = draft.instrument.symbol
    return f"You have {scale.shares(available).normalize():f} {symbol} available to sell."


def refusal_or(step: Any) -> Any:
    """Give what a step returns, or the refusal it raises."""
    try:
        return step()
    except DomainError as refusal:
        return refusal


def conditions_for(drafts: Sequence[OrderDraft], customer: User, now: datetime) -> Conditions:
    """Read once what holds for all drafts: fees, books, what the customer may do."""
    tier = queries.fee_tier(customer, now)
    books_ = Book.objects.filter(instrument__in={draft.instrument.pk for draft in drafts})
    states = {book.instrument_id: book for book in books_}
    barred = {}
    for side in {draft.side for draft in drafts}:
        action = "trade" if side == Order.Side.BUY else "close"
        refusal = refusal_or(lambda action=action: kyc.require(customer, action))
        if isinstance(refusal, DomainError):
            barred[side] = refusal
    return Conditions(now, tier.maker_rate, tier.taker_rate, states, barred)


def terms_of(draft: OrderDraft, conditions: Conditions) -> Terms:
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


def _standing_balances(
    customer: User, draft: OrderDraft
) -> tuple[dict[int, int], dict[int, books.Balance]]:
    """Read the customer's dollars and shares, unlocked: (account ids by asset, balances by id).

    An account never opened stands under the negative id of its asset, with nothing in it.
    """
    own = {account.asset_id: account for account in books.customer_accounts(customer)}
    accounts, balances = {}, {}
    for asset_id in (books.usd().pk, draft.instrument.asset_id):
        found = own.get(asset_id)
        accounts[asset_id] = found.pk if found else -asset_id
        balances[accounts[asset_id]] = books.Balance(
            id=accounts[asset_id],
            owner_id=customer.pk,
            asset_id=asset_id,
            posted=found.posted if found else 0,
            held=found.held if found else 0,
            overdraft=False,
        )
    return accounts, balances
