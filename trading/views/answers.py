"""What the ticket answers to what was typed, before anything is placed."""

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from django.urls import NoReverseMatch, reverse

from common import clock, times
from common.errors import DomainError
from common.money import USD, Amount
from instruments.models import Instrument
from kyc import queries as kyc
from ledger import queries as ledger
from market import queries as market
from market.rules import states
from trading import operations, queries, signals
from trading.forms import TicketForm
from trading.models import Book, Order
from trading.operations import OrderDraft
from trading.views import promises, words
from trading.views.promises import Fact, Means
from users.models import User

ZERO = Decimal(0)
AT_ONCE = (Order.Type.MARKET, Order.Type.LIMIT)  # they may sell at what the preview says
FIELDS = {"quantity": "amount", "notional": "amount"}  # the operations' names, and the ticket's


@dataclass(frozen=True, slots=True)
class Answer:
    """What the ticket says to what was typed.

    `label` is the button's; `ready` whether pressing it can succeed; `field` what has to be put
    right; `cautions` what is worth a second look first; `href` and `remedy` lead to what would make
    it possible.
    """

    label: str
    sentence: str
    ready: bool = False
    refused: bool = False
    field: str = ""
    href: str = ""
    remedy: str = ""
    facts: tuple[Fact, ...] = ()
    cautions: tuple[str, ...] = ()


def obstacle(user: Any, side: str) -> Answer | None:
    """Say what keeps a visitor from trading at all, before they typed anything."""
    if not user.is_authenticated:
        return Answer(
            label="",
            sentence="Look at everything; to trade, open an account first.",
            refused=True,
            href=url_of("account_signup"),
            remedy="Open an account",
        )
    standing = kyc.standing(user)
    if standing.can["trade"] or (side == Order.Side.SELL and standing.can.get("close")):
        return None
    return Answer(
        label="",
        sentence=" ".join(standing.because),
        refused=True,
        href=url_of("kyc:application"),
        remedy="Open verification",
    )


def url_of(name: str) -> str:
    """Reverse a page of another app, or give "" where this installation has none."""
    try:
        return reverse(name)
    except NoReverseMatch:
        return ""


def means_of(user: Any, instrument: Instrument) -> Means:
    """Give what the customer can spend and sell, and what a trade costs them."""
    if not user.is_authenticated:
        return Means()
    available = {account.asset.code: account for account in ledger.balances_of(user)}
    cash, token = available.get("USD"), available.get(instrument.asset.code)
    return Means(
        cash=Amount(cash.available, USD).decimal if cash else ZERO,
        shares=queries.scale_of(instrument).shares(token.available) if token else ZERO,
        taker_rate=queries.fee_tier(user, clock.now()).taker_rate,
    )


def resting(instrument: Instrument) -> str:
    """Say why nothing can be traded just now, whatever is typed; "" where it can."""
    session = market.session(instrument, clock.now())
    if not session.is_open:
        opens = session.next_change
        when = f" It opens on {times.weekday(opens)}." if opens else ""
        return f"{instrument.symbol} is closed now.{when}"
    state = queries.market_state(instrument)
    standing = states.standing_of(state.word)
    if standing is None or state.word in {Book.State.LIMIT_ONLY, Book.State.REDUCE_ONLY}:
        return ""
    return f"{standing.title}: {standing.sentence}"


def answer(form: TicketForm, instrument: Instrument, user: Any) -> Answer:
    """Say what the order would do, or what stands in its way."""
    side = str(form.data.get("side", Order.Side.BUY))
    if hindered := obstacle(user, side):
        return hindered
    if form.is_valid():
        return weigh(form.draft(instrument), user)
    label, asked = words.idle_action(instrument, side), bool(form.data.get("amount"))
    if not asked and (why := resting(instrument)):
        return Answer(label, why, refused=True)
    field, sentence = first_error(form)
    return Answer(label, sentence, refused=asked, field=field if asked else "")


def weigh(draft: OrderDraft, user: User) -> Answer:
    """Say what an order would do: the worst of it, what is left, what is worth a second look."""
    now = clock.now()
    try:
        nameless = replace(draft, client_order_id=None)  # its own order is no obstacle to a ticket
        preview = operations.validate_order(draft=nameless, customer=user, now=now)
    except DomainError as error:
        return refusal(draft, error)
    means = means_of(user, draft.instrument)
    reference = market.reference_price(draft.instrument)
    price = reference.price if reference else None
    return Answer(
        promises.action(draft),
        promises.promise(draft, preview) + promises.gain_words(gain_of(draft, preview, user)),
        ready=True,
        facts=tuple(promises.facts(draft, preview, means)),
        cautions=tuple(promises.cautions(draft, preview, means, price)),
    )


def gain_of(draft: OrderDraft, preview: queries.Preview, user: User) -> int | None:
    """Ask what a sale at once would gain, in USD units; None of other orders, or where unknown."""
    if draft.side == Order.Side.BUY or draft.type not in AT_ONCE:
        return None
    scale = queries.scale_of(draft.instrument)
    got = promises.receipt(draft, preview).total
    answers: Any = signals.sale_considered.send(
        sender=Order,
        customer=user,
        instrument=draft.instrument,
        quantity=scale.base(preview.estimated_quantity, selling=True),
        proceeds=Amount.parse(got, USD).units,
    )
    return next((gain for _, gain in answers if gain is not None), None)


def refusal(draft: OrderDraft, error: DomainError) -> Answer:
    """Say why an order can't be placed, and lead to what would help."""
    lacking = error.code == "InsufficientFunds" and draft.side == Order.Side.BUY
    field = (error.field or "").removeprefix("close.")
    sentence = error.detail
    if error.code == "MarketHalted":
        sentence = resting(draft.instrument) or sentence
    return Answer(
        promises.action(draft),
        sentence,
        refused=True,
        field="amount" if lacking else FIELDS.get(field, field),
        href=url_of("payments:deposit") if lacking else "",
        remedy="Add funds" if lacking else "",
    )


def first_error(form: TicketForm) -> tuple[str, str]:
    """Give the first thing to put right: its field, and a sentence."""
    errors = [(field, str(said)) for field, sentences in form.errors.items() for said in sentences]
    return errors[0] if errors else ("", "")
