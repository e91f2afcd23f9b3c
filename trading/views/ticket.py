"""The ticket: what would happen, why it can't, and placing it."""

from dataclasses import dataclass
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from common import clock
from common.errors import DomainError
from common.forms import posts_from
from instruments import queries as instruments
from instruments.models import Instrument
from trading import operations, queries
from trading.forms import TYPES, TicketForm, fresh_ticket
from trading.models import Order
from trading.operations.acceptance import DuplicateClientOrderId
from trading.views import answers, promises, words
from trading.views.answers import Answer
from users.models import User


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of order as the ticket offers it, with its sentence for each side."""

    value: str
    name: str
    buy: str
    sell: str


KINDS = [Kind(value, name, **promises.EXPLAINS[value]) for value, name in TYPES.items()]


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


def page_of(request: HttpRequest, instrument: Instrument, form: TicketForm) -> dict[str, Any]:
    """Gather what the ticket's template shows."""
    side = form["side"].value()
    said = answers.obstacle(request.user, side)
    if said is None:
        why = answers.resting(instrument)
        label = words.idle_action(instrument, side)
        said = Answer(label, why, ready=not form.is_bound, refused=bool(why))
    return {
        "instrument": instrument,
        "form": form,
        "kinds": KINDS,
        "means": answers.means_of(request.user, instrument),
        "answer": said,
    }


@require_safe
@never_cache
def ticket(request: HttpRequest, symbol: str) -> HttpResponse:
    """Draw an empty ticket: as a page, or as the part of one that asked for it."""
    instrument = find(symbol)
    if request.GET.get("part") == "means":
        means = answers.means_of(request.user, instrument)
        context = {"instrument": instrument, "means": means}
        return render(request, "trading/ticket.html#means", context)
    side = Order.Side.SELL if request.GET.get("side") == "sell" else Order.Side.BUY
    context = page_of(request, instrument, fresh_ticket(side=side))
    part = "#ticket" if getattr(request, "htmx", False) else ""
    return render(request, f"trading/ticket.html{part}", context)


@posts_from("trading:instrument", "symbol")
@login_required
def preview(request: HttpRequest, symbol: str) -> HttpResponse:
    """Answer what was typed so far; without scripts this is the review step before placing."""
    instrument = find(symbol)
    form = TicketForm(request.POST)
    said = answers.answer(form, instrument, request.user)
    context = {"instrument": instrument, "form": form, "answer": said}
    if getattr(request, "htmx", False):
        return render(request, "trading/ticket.html#answer", context)
    if said.ready:
        return render(request, "trading/order_review.html", context)
    return refuse(request, instrument, form, said)


@posts_from("trading:instrument", "symbol")
@login_required
def place(request: HttpRequest, symbol: str) -> HttpResponse:
    """Place the order; the same ticket again shows the order it placed before.

    What is worth a second look is shown for review first.
    """
    instrument = find(symbol)
    form = TicketForm(request.POST)
    if before := placed_by(form, customer_of(request)):
        return receipt(request, before)
    if "reviewed" not in request.POST or not form.is_valid():
        said = answers.answer(form, instrument, request.user)
        if not said.ready:
            return refuse(request, instrument, form, said)
        if said.cautions:
            return review(request, instrument, form, said)
    draft = form.draft(instrument)
    try:
        order = operations.place_order(draft=draft, customer=customer_of(request), now=clock.now())
    except DuplicateClientOrderId:  # the same ticket, pressed twice in one moment
        before = placed_by(form, customer_of(request))
        assert before
        return receipt(request, before)
    except DomainError as error:
        return refuse(request, instrument, form, answers.refusal(draft, error))
    return receipt(request, order)


def placed_by(form: TicketForm, customer: User) -> Order | None:
    """Find the order that this very ticket has placed."""
    ticket = form["client_order_id"].value()
    return queries.orders_of(customer).filter(client_order_id=ticket).first() if ticket else None


def receipt(request: HttpRequest, order: Order) -> HttpResponse:
    """Show what was placed, in the ticket's stead or on its own page."""
    if getattr(request, "htmx", False):
        context = {"line": words.line(order), "fresh": True, "in_ticket": True}
        return render(request, "trading/order_detail.html#receipt", context)
    return redirect("trading:order", uid=order.uid)


def review(
    request: HttpRequest, instrument: Instrument, form: TicketForm, said: Answer
) -> HttpResponse:
    """Show the order once more before it is placed; the ticket itself waits behind."""
    context = {"instrument": instrument, "form": form, "answer": said}
    if not getattr(request, "htmx", False):
        return render(request, "trading/order_review.html", context)
    shown = render(request, "trading/order_review.html#review", context)
    shown["HX-Retarget"] = "#ticket-review"
    shown["HX-Reswap"] = "innerHTML"
    return shown


def refuse(
    request: HttpRequest, instrument: Instrument, form: TicketForm, said: Answer
) -> HttpResponse:
    """Show the ticket again with why nothing was placed."""
    context = page_of(request, instrument, form)
    if said.label:
        context["answer"] = said
        context["nothing_placed"] = True
    if getattr(request, "htmx", False):
        return render(request, "trading/ticket.html#ticket", context)
    return render(request, "trading/ticket.html", context, status=422)
