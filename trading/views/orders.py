"""A customer's orders: open ones, history, and each one's receipt."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from common import clock
from common.errors import DomainError
from common.forms import posts_from
from instruments import queries as instruments
from trading import operations, queries
from trading.forms import AmendForm, HistoryForm
from trading.models import Order
from trading.views import words
from trading.views.ticket import customer_of, find

PAGE = 50
FILLS = 200  # trades that the chart marks
BIGINT_DIGITS = 19
RECENT = ":10"  # of them, those that the page lists


def own(request: HttpRequest, uid: UUID) -> Order:
    """Find the customer's order; other people's are not there."""
    return get_object_or_404(queries.orders_of(customer_of(request)), uid=uid)


@require_safe
@never_cache
@login_required
def orders(request: HttpRequest) -> HttpResponse:
    """List open orders, or the history with its filters."""
    history = request.GET.get("show") == "history"
    found = queries.orders_of(customer_of(request)).filter(closed_at__isnull=not history)
    form = HistoryForm(request.GET, instruments=instruments.listed().order_by("name"))
    if history:
        found = form.narrow(found)
    before = request.GET.get("before", "")
    if before.isdecimal() and len(before) < BIGINT_DIGITS:
        found = found.filter(id__lt=int(before))
    page = list(found.order_by("-id")[: PAGE + 1])
    part = "#orders" if getattr(request, "htmx", False) else ""
    return render(
        request,
        f"trading/order_list.html{part}",
        {
            "history": history,
            "lines": [words.line(order) for order in page[:PAGE]],
            "older": page[PAGE - 1].pk if len(page) > PAGE else None,
            "form": form,
        },
    )


@require_safe
@never_cache
@login_required
def instrument_orders(request: HttpRequest, symbol: str) -> HttpResponse:
    """Give the customer's open and latest orders and trades of one instrument, for its page."""
    instrument = find(symbol)
    customer = customer_of(request)
    mine = queries.orders_of(customer).filter(instrument=instrument)
    live = list(mine.filter(closed_at=None).order_by("-id")[:PAGE])
    done = list(mine.exclude(closed_at=None).order_by("-id")[:5])
    trades = queries.trades_of(customer).filter(instrument=instrument)[:FILLS]
    context = {
        "instrument": instrument,
        "lines": [words.line(order) for order in live + done],
        "fills": [queries.describe_trade(t, customer) | {"at": t.executed_at} for t in trades],
        "recent": RECENT,
    }
    return render(request, "trading/order_list.html#own", context)


@require_safe
@never_cache
@login_required
def order(request: HttpRequest, uid: UUID) -> HttpResponse:
    """Show an order's receipt: what happened, its id, what next."""
    found = own(request, uid)
    in_ticket = request.GET.get("in") == "ticket"  # where the order was placed
    context: dict[str, Any] = {"line": words.line(found), "in_ticket": in_ticket}
    part = "#receipt" if getattr(request, "htmx", False) else ""
    if in_ticket:
        return render(request, f"trading/order_detail.html{part}", context)
    customer = customer_of(request)
    trades = queries.trades_of(customer).filter(**{f"{found.side}_order": found})
    context["fills"] = [
        queries.describe_trade(trade, customer)
        | {"at": trade.executed_at, "done_at": trade.settled_at}
        for trade in trades.order_by("id")[:200]
    ]
    context["form"] = amend_form(found)
    if not part:
        return render(request, "trading/order_detail.html", context)
    # The receipt asked for itself: what stands below goes along, but for a form in somebody's hand.
    answer = render(request, "trading/order_detail.html#receipt", context)
    if not found.is_live:
        rest = render(request, "trading/order_detail.html#rest", context | {"oob": True})
        answer.write(rest.content)
    return answer


@posts_from("trading:order", "uid")
@login_required
def cancel(request: HttpRequest, uid: UUID) -> HttpResponse:
    """Ask for what is left of an order to be taken off the book."""
    found = own(request, uid)
    try:
        found = operations.cancel_order(order=found, now=clock.now())
    except DomainError as error:
        return answered(request, found, error.detail, failed=True)
    return answered(request, found, f"{words.line(found).title}: cancelling.")


@posts_from("trading:order", "uid")
@login_required
def amend(request: HttpRequest, uid: UUID) -> HttpResponse:
    """Ask for another quantity, limit or trigger price."""
    found = own(request, uid)
    form = amend_form(found, request.POST)
    if form.is_valid():
        try:
            operations.amend_order(order=found, now=clock.now(), **form.cleaned_data)
        except DomainError as error:
            form.add_error(error.field if error.field in form.fields else None, error.detail)
        else:
            messages.success(request, "The change is on its way to the market.")
            return redirect("trading:order", uid=found.uid)
    context = {"line": words.line(found), "form": form}
    return render(request, "trading/order_detail.html", context, status=422)


def amend_form(order: Order, data: Any = None) -> AmendForm:
    """Give the form that changes an order, with what it says now."""
    scale = queries.scale_then(order)
    shares = scale.shares(order.quantity) if order.quantity else None
    return AmendForm(data, order=order, shares=shares)


@posts_from("trading:orders")
@login_required
def cancel_all(request: HttpRequest) -> HttpResponse:
    """Ask for all open orders to be taken off the books."""
    count = operations.cancel_orders(customer=customer_of(request), now=clock.now())
    messages.success(request, f"Cancelling {count} open order{'' if count == 1 else 's'}.")
    return redirect("trading:orders")


def answered(
    request: HttpRequest, found: Order, sentence: str, *, failed: bool = False
) -> HttpResponse:
    """Show the order's row again, or go back to the list with a message."""
    if getattr(request, "htmx", False):
        found.refresh_from_db()
        context = {"line": words.line(found), "asked_to_cancel": not failed, "refusal": sentence}
        return render(request, "trading/order_list.html#row", context)
    (messages.error if failed else messages.success)(request, sentence)
    return redirect("trading:orders")
