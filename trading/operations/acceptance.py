"""What an order must be before it is accepted: its terms, its market, its worst case.

Nothing here writes. A draft goes in as the customer gave it, dollars and shares; out come terms as
the engine will see them, ticks and units, with what to hold.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_CEILING, Decimal
from typing import Any

from common import heartbeats, times
from common.errors import DomainError
from common.money import MAX_UNITS, USD, Amount, in_dollars
from instruments.models import Instrument
from kyc import queries as kyc
from ledger import queries as books
from ledger.operations import InsufficientFunds
from market import queries as market
from trading import queries, rules
from trading.engine.commands import MOST_TIPS
from trading.models import AT_MARKET, STOPPING, TRIGGERED, Book, Order
from trading.operations.drafts import OrderDraft, contradictions
from users.models import User


class MarketClosed(DomainError):
    """This instrument is not trading now."""

    field = "instrument"


class MarketHalted(DomainError):
    """This instrument takes no such order just now; try again when its state has changed."""

    field = "instrument"


class MarketSilent(DomainError):
    """The market does not answer just now; nothing was placed. Try again in a moment."""

    status = 503
    field = "instrument"


class TooManyOpenOrders(DomainError):
    """You have as many open orders as this market keeps; cancel some first."""


class DuplicateClientOrderId(DomainError):
    """You have used this client_order_id before: `order_id` names that order; take a new one."""

    status = 409
    field = "client_order_id"


class DeadlinePassed(DomainError):
    """That deadline has passed; nothing was placed."""

    field = "deadline"


class ExpiryPassed(DomainError):
    """That time has passed; choose a later expires_at."""

    status = 400
    field = "expires_at"


class TriggersAtOnce(DomainError):
    """The price is past that trigger already, so the order would fire at once."""

    field = "trigger_price"


class DisplayOutOfBounds(DomainError):
    """An iceberg order shows at least a fifteenth of itself, and at most all of it."""

    field = "display_quantity"


@dataclass(frozen=True, slots=True)
class Terms:
    """A draft as the engine will see it: ticks, base units, USD units, and what to hold.

    `special` is what it waits for or shows, named as in the engine's place command. `below` is why
    a sale is too small, unless it sells all there is.
    """

    draft: OrderDraft
    scale: rules.Scale
    ticks: int
    price: Decimal
    base: int | None
    notional: int | None
    budget: int
    special: dict[str, Any]
    below: DomainError | None = None

    @property
    def selling(self) -> bool:
        """Whether it sells."""
        return self.draft.side == Order.Side.SELL

    def fitted(self, balance: books.Balance, available: int, prices: queries.Prices) -> "Terms":
        """Sell what there is, to the unit, where the customer means all of it."""
        terms = self.within(available)
        return terms if available < balance.posted else terms.selling_out(balance.posted, prices)

    def within(self, available: int) -> "Terms":
        """Sell what there is, where that is shown as so many shares as are to be sold."""
        if not self.selling or self.base is None or self.base <= available:
            return self
        if self.scale.shares(self.base) != self.scale.shares(available):
            return self
        return replace(self, base=available, budget=available)

    def selling_out(self, base: int, prices: queries.Prices) -> "Terms":
        """Sell all there is by quantity, where the dollars asked for cover it."""
        if not self.selling or self.notional is None or not self.scale.shares(base):
            return self
        price = queries.expected_price(self.draft, prices)
        worth = self.scale.cost(max(1, int(price / self.scale.tick)), base)
        if not rules.covers(self.notional, worth, collar=prices.collar):
            return self
        draft = replace(self.draft, quantity=self.scale.shares(base), notional=None)
        terms = replace(self, draft=draft, base=base, notional=None, budget=base)
        return replace(terms, below=_too_small(terms, prices))


@dataclass(frozen=True, slots=True)
class Conditions:
    """What holds for every order placed in one call."""

    now: datetime
    maker_rate: Decimal
    taker_rate: Decimal
    states: dict[int, Book]
    prices: queries.Prices
    barred: dict[str, DomainError]  # by side: why this customer may not
    silence: queries.Silence


def validate_order(*, draft: OrderDraft, customer: User, now: datetime) -> queries.Preview:
    """Refuse what placing it now would refuse, else say what it would do; nothing is written.

    :raises DomainError: as `place_order` would
    """
    conditions = conditions_for([draft], customer, now)
    terms = terms_of(draft, conditions)
    accounts, balances = _standing_balances(customer, draft)
    [result] = admit([terms], customer, accounts, balances, conditions)
    if isinstance(result, DomainError):
        raise result
    return queries.preview(draft=result.draft, customer=customer, now=now)


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
    named = (r.draft.client_order_id for r in results if isinstance(r, Terms))
    live, taken = queries.places_taken(customer, [name for name in named if name])
    room = conditions.prices.rule.max_open_orders - live
    admitted: list[Any] = []
    for result in results:
        if not isinstance(result, Terms):
            admitted.append(result)
            continue
        account = accounts[result.draft.instrument.asset_id] if result.selling else usd
        result = result.fitted(  # noqa: PLW2901 - the same order, to the unit
            balances[account], available[account], conditions.prices
        )
        name = result.draft.client_order_id
        if name in taken:
            known = {"order_id": taken[name]} if taken[name] else {}
            admitted.append(DuplicateClientOrderId(**known))
        elif room <= 0:
            admitted.append(TooManyOpenOrders())
        elif available[account] < result.budget:
            field = "quantity" if result.notional is None else "notional"
            admitted.append(InsufficientFunds(_shortage(result, available[account]), field=field))
        elif result.below is not None and result.base != balances[account].posted:
            admitted.append(result.below)
        else:
            available[account] -= result.budget
            room -= 1
            if name:
                taken[name] = ""  # by an order of this very call, not written yet
            admitted.append(result)
    return admitted


def _shortage(terms: Terms, available: int) -> str:
    draft = terms.draft
    if draft.side == Order.Side.BUY:
        need, have = in_dollars(terms.budget, ROUND_CEILING), in_dollars(available)
        return f"This can cost up to {need} with its fee, and {have} is available."
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
    """Read once what holds for all drafts: fees, books, prices, what the customer may do."""
    tier = queries.fee_tier(customer, now)
    states = queries.books_of({draft.instrument.pk for draft in drafts})
    lasts = {pk: book.last_price for pk, book in states.items() if book.last_price is not None}
    priced = {draft.instrument.pk: draft.instrument for draft in drafts}
    prices = queries.prices_of(list(priced.values()), now=now, lasts=lasts)
    barred = {}
    for side in {draft.side for draft in drafts}:
        action = "trade" if side == Order.Side.BUY else "close"
        refusal = refusal_or(lambda action=action: kyc.require(customer, action))
        if isinstance(refusal, DomainError):
            barred[side] = refusal
    silence = queries.silence(book.shard_id for book in states.values())
    return Conditions(now, tier.maker_rate, tier.taker_rate, states, prices, barred, silence)


def terms_of(draft: OrderDraft, conditions: Conditions) -> Terms:
    """Check one draft and say what it could cost.

    :raises DomainError: naming the field that is wrong
    """
    if draft.side in conditions.barred:
        raise conditions.barred[draft.side]
    _check_words(draft, conditions.now)
    _check_market(draft, conditions)
    at_market = draft.type == Order.Type.MARKET
    check_heard(conditions.states[draft.instrument.pk], conditions.silence, at_market=at_market)
    scale = queries.scale_of(draft.instrument)
    special = special_terms(draft, scale)
    check_triggers(draft, conditions.prices)
    _check_close(draft, conditions.prices)
    price = queries.worst_price(draft, conditions.prices)
    ticks = scale.ticks(price, field="limit_price")
    notional = None
    selling = draft.side == Order.Side.SELL
    base = None if draft.quantity is None else scale.base(draft.quantity, selling=selling)
    if base is None:
        notional = Amount.parse(draft.notional or "", USD, field="notional").units
    else:
        check_display(base, special.get("display"))
    budget = _budget(draft, scale, ticks, base, notional, conditions)
    if budget > MAX_UNITS:
        raise rules.TooLarge(field="quantity" if notional is None else "notional")
    terms = Terms(draft, scale, ticks, price, base, notional, budget, special)
    below = _too_small(terms, conditions.prices)
    if below and not selling:
        raise below
    return replace(terms, below=below)


def _too_small(terms: Terms, prices: queries.Prices) -> DomainError | None:
    """Give why an order is below the market's minimum, or None."""
    try:
        check_minimum(
            terms.draft.instrument,
            prices,
            ticks=terms.ticks,
            base=terms.base,
            notional=terms.notional,
            field="quantity" if terms.notional is None else "notional",
        )
    except rules.BelowMinimum as refusal:
        return refusal
    return None


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


def special_terms(draft: OrderDraft, scale: rules.Scale) -> dict[str, Any]:
    """Say what an order waits for, or shows, as the engine's place command names it.

    :raises PriceOffTick: for a price between two ticks, naming the field
    """
    distances = ("trigger_price", "take_profit_price", "trail")
    given = {field: getattr(draft, field) for field in distances}
    special: dict[str, Any] = {
        field: scale.ticks(price, field=field) for field, price in given.items() if price
    }
    if draft.trail_percent is not None:
        special |= {"trail": int(draft.trail_percent * 10_000), "trail_unit": "ppm"}
    if draft.limit_offset is not None:
        special["limit_offset"] = scale.signed_ticks(draft.limit_offset, field="limit_offset")
    if draft.type in TRIGGERED:
        special["trigger"] = "mark" if draft.trigger == Order.Trigger.INDEX else "last"
    if draft.display_quantity is not None:
        special["display"] = scale.base(draft.display_quantity, field="display_quantity")
    if draft.close is not None:
        for field, price in draft.close.prices():
            scale.ticks(price, field=f"close.{field}")
        special["close"] = draft.close.as_said()
    return special


def check_minimum(
    instrument: Instrument,
    prices: queries.Prices,
    *,
    ticks: int,
    base: int | None,
    notional: int | None,
    field: str,
) -> None:
    """Refuse an order for which less can be paid than the market's minimum.

    :param ticks: its limit, or the worst price it may get
    :param base: its base units, None for an order by dollars
    :raises BelowMinimum: naming the minimum in dollars
    """
    scale = queries.scale_of(instrument)
    limit = scale.price(ticks)
    price = prices.most_paid(instrument, limit=limit, by_dollars=base is None)
    payable = notional or 0
    if base is not None or price < limit:
        base = scale.base_for(payable, ticks) if base is None else base
        payable = scale.cost(max(1, int(price / scale.tick)), base)
    rules.check_minimum(payable, instrument.min_notional, field=field)


def check_display(base: int, display: int | None) -> None:
    """Refuse an iceberg that shows too little of itself, or more than there is.

    :raises DisplayOutOfBounds: naming the bounds
    """
    if display is not None and not display <= base <= display * MOST_TIPS:
        raise DisplayOutOfBounds


def check_triggers(draft: OrderDraft, prices: queries.Prices) -> None:
    """Refuse what would fire at once: that is a market order under another name.

    :raises TriggersAtOnce: naming the trigger
    """
    price = prices.watched(draft.instrument, draft.trigger)
    if draft.type not in STOPPING or price is None or draft.trigger_price is None:
        return
    takes_profit = draft.type in {Order.Type.TAKE_PROFIT, Order.Type.TAKE_PROFIT_LIMIT}
    rising = takes_profit == (draft.side == Order.Side.SELL)
    _refuse_reached(draft.trigger_price, price, rising=rising, field="trigger_price")
    if draft.take_profit_price is not None:
        _refuse_reached(
            draft.take_profit_price, price, rising=not rising, field="take_profit_price"
        )


def _check_close(draft: OrderDraft, prices: queries.Prices) -> None:
    """Refuse a close that would sell at once what the order has just bought.

    :raises TriggersAtOnce: naming the close's trigger
    """
    entry = draft.limit_price or draft.trigger_price
    entry = entry or prices.watched(draft.instrument, Order.Trigger.INDEX)
    if draft.close is None or entry is None:
        return
    for field, rising in (("stop_loss", False), ("take_profit", True)):
        trigger = getattr(draft.close, field)
        if trigger is not None:
            _refuse_reached(trigger, entry, rising=rising, field=f"close.{field}")


def _refuse_reached(trigger: Decimal, price: Decimal, *, rising: bool, field: str) -> None:
    """Refuse a trigger that waits for the price to come to where it is.

    :param rising: whether it fires at or above its price, else at or below
    """
    if price >= trigger if rising else price <= trigger:
        side = "above" if rising else "below"
        raise TriggersAtOnce(
            f"This would fire at once: choose a price {side} ${price.normalize():f}.", field=field
        )


def _check_words(draft: OrderDraft, now: datetime) -> None:
    """Refuse terms that contradict each other, or come too late.

    :raises TermsContradict: naming the field
    :raises ExpiryPassed: if it would expire before it is placed
    :raises DeadlinePassed: if the engine could only refuse it
    """
    for contradiction in contradictions(draft):
        raise contradiction
    if draft.expires_at and draft.expires_at <= now:
        raise ExpiryPassed
    if draft.deadline and draft.deadline <= now:
        raise DeadlinePassed


def _check_market(draft: OrderDraft, conditions: Conditions) -> None:
    """Refuse what the instrument's session or state forbids.

    :raises MarketClosed: outside its hours, naming the next opening
    :raises MarketHalted: if its state takes no such order
    """
    session = market.session(draft.instrument, conditions.now)
    if not session.is_open:
        opens = session.next_change or conditions.now
        raise MarketClosed(
            f"{draft.instrument.symbol} opens on {times.weekday(opens)}.",
            opens_at=opens.isoformat(),
        )
    market_now = queries.state_of(conditions.states.get(draft.instrument.pk))
    allowed: dict[str, bool] = {
        Book.State.ONLINE: True,
        Book.State.POST_ONLY: draft.post_only,
        Book.State.LIMIT_ONLY: draft.type not in AT_MARKET,
        Book.State.REDUCE_ONLY: draft.side == Order.Side.SELL,
    }
    if resumes_at := market_now.resumes_at:
        until = times.of_day(resumes_at, seconds=True)
        raise MarketHalted(
            f"Trading in {draft.instrument.symbol} pauses until {until}.",
            state=market_now.word,
            resumes_at=resumes_at.isoformat(),
        )
    if not allowed.get(market_now.word, False):
        raise MarketHalted(state=market_now.word)


def check_heard(book: Book, silence: queries.Silence, *, at_market: bool) -> None:
    """Refuse what would wait for a part that is silent; a cancel never is refused.

    :raises MarketSilent: naming the part
    """
    part = silence.before(shard=book.shard_id, at_market=at_market)
    if part is not None:
        raise MarketSilent(f"{heartbeats.WORDS[part]} Nothing was placed.", part=part)


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
