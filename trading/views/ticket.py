"""The ticket: what would happen, why it can't, and placing it."""

from dataclasses import dataclass, replace
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import NoReverseMatch, reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from common import clock
from common.errors import DomainError
from common.money import USD, Amount
from instruments import queries as instruments
from instruments.models import Instrument
from kyc import queries as kyc
from ledger import queries as ledger
from trading import operations, queries
from trading.forms import TicketForm, fresh_ticket
from trading.models import Order
from trading.operations import OrderDraft
from trading.operations.acceptance import DuplicateClientOrderId
from trading.views import words
from users.models import User


@dataclass(frozen=True, slots=True)
class Answer:
    """What the ticket says to what was typed.

    `label` is the button's; `ready` whether pressing it can succeed; `href` and `remedy` lead to
    what would make it possible.
    """

    label: str
    sentence: str
    ready: bool = False
    refused: bool = False
    href: str = ""
    remedy: str = ""


def find(symbol: str) -> Instrument:
    """Find a listed instrument for a page.

    :raises Http404: if nothing of that name is listed
    """
    try:
        return instruments.by_symbol(symbol)
    except Instrument.DoesNotExist as error:
        raise Http404 from error


def customer_of(request: HttpRequest) -> User:
    """Give who is signed in, on a page that lets nobody else in."""
    assert isinstance(request.user, User)
    return request.user


def url_of(name: str) -> str:
    """Reverse a page of another app, or give "" where this installation has none."""
    try:
        return reverse(name)
    except NoReverseMatch:
        return ""


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


def has_of(user: Any, instrument: Instrument) -> dict[str, Amount]:
    """Give what the customer can spend: `cash` in dollars, `shares` in base units."""
    found = {"cash": Amount(0, USD), "shares": Amount(0, instrument.asset)}
    if user.is_authenticated:
        for account in ledger.balances_of(user):
            name = {"USD": "cash", instrument.asset.code: "shares"}.get(account.asset.code)
            if name:
                found[name] = Amount(account.available, account.asset)
    return found


def answer(form: TicketForm, instrument: Instrument, user: Any) -> Answer:
    """Say what the order would do, or what stands in its way."""
    side = str(form.data.get("side", Order.Side.BUY))
    if hindered := obstacle(user, side):
        return hindered
    label = words.idle_action(instrument, side)
    if not form.is_valid():
        return Answer(label, first_error(form), refused=bool(form.data.get("amount")))
    draft = form.draft(instrument)
    try:
        nameless = replace(draft, client_order_id=None)  # its own order is no obstacle to a ticket
        preview = operations.validate_order(draft=nameless, customer=user, now=clock.now())
    except DomainError as error:
        lacking = error.code == "InsufficientFunds" and draft.side == Order.Side.BUY
        return Answer(
            words.action(draft),
            error.detail,
            refused=True,
            href=url_of("payments:deposit") if lacking else "",
            remedy="Add funds" if lacking else "",
        )
    return Answer(words.action(draft), words.promise(draft, preview), ready=True)


def first_error(form: TicketForm) -> str:
    """Give the first thing to put right."""
    errors = [sentence for field in form.errors.values() for sentence in field]
    return str(errors[0]) if errors else ""


def page_of(request: HttpRequest, instrument: Instrument, form: TicketForm) -> dict[str, Any]:
    """Gather what the ticket's template shows."""
    side = form["side"].value()
    opening = obstacle(request.user, side)
    return {
        "instrument": instrument,
        "form": form,
        "has": has_of(request.user, instrument),
        "answer": opening
        or Answer(words.idle_action(instrument, side), "", ready=not form.is_bound),
    }


@require_safe
@never_cache
def ticket(request: HttpRequest, symbol: str) -> HttpResponse:
    """Draw an empty ticket: as a page, or as the part of one that asked for it."""
    instrument = find(symbol)
    side = Order.Side.SELL if request.GET.get("side") == "sell" else Order.Side.BUY
    context = page_of(request, instrument, fresh_ticket(side=side))
    part = "#ticket" if getattr(request, "htmx", False) else ""
    return render(request, f"trading/ticket.html{part}", context)


@require_POST
@login_required
def preview(request: HttpRequest, symbol: str) -> HttpResponse:
    """Answer what was typed so far; without scripts this is the review step before placing."""
    instrument = find(symbol)
    form = TicketForm(request.POST)
    said = answer(form, instrument, request.user)
    context = {"instrument": instrument, "form": form, "answer": said}
    if getattr(request, "htmx", False):
        return render(request, "trading/ticket.html#answer", context)
    if said.ready:
        return render(request, "trading/order_review.html", context)
    return render(
        request,
        "trading/ticket.html",
        {**page_of(request, instrument, form), "answer": said},
        status=422,
    )


@require_POST
@login_required
def place(request: HttpRequest, symbol: str) -> HttpResponse:
    """Place the order; the same ticket again shows the order it placed before."""
    instrument = find(symbol)
    form = TicketForm(request.POST)
    if not form.is_valid():
        return refuse(request, instrument, form, first_error(form))
    try:
        order = place_once(form.draft(instrument), customer_of(request))
    except DomainError as error:
        return refuse(request, instrument, form, error.detail)
    if getattr(request, "htmx", False):
        return render(
            request,
            "trading/order_detail.html#receipt",
            {"line": words.line(order), "fresh": True},
        )
    return redirect("trading:order", uid=order.uid)


def place_once(draft: OrderDraft, customer: User) -> Order:
    """Place an order, or give the one that the same ticket placed before.

    :raises DomainError: as `place_order` does
    """
    mine = queries.orders_of(customer).filter(client_order_id=draft.client_order_id)
    if before := mine.first():
        return before
    try:
        return operations.place_order(draft=draft, customer=customer, now=clock.now())
    except DuplicateClientOrderId:
        return mine.get()


def refuse(
    request: HttpRequest, instrument: Instrument, form: TicketForm, sentence: str
) -> HttpResponse:
    """Show the ticket again with why nothing was placed."""
    said = Answer(
        words.idle_action(instrument, str(form["side"].value())),
        f"Nothing was placed. {sentence}",
        refused=True,
    )
    context = {**page_of(request, instrument, form), "answer": said}
    if getattr(request, "htmx", False):
        return render(request, "trading/ticket.html#ticket", context)
    return render(request, "trading/ticket.html", context, status=422)
