"""The page of the cards."""

from collections.abc import Callable
from decimal import ROUND_CEILING
from typing import Any
from uuid import UUID

from allauth.account.decorators import reauthentication_required
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_safe

import kyc.queries
from common import clock
from common.errors import DomainError
from common.forms import posts_from
from common.money import in_dollars
from spending import operations, queries
from spending.forms import MoveForm, SourceForm, TapForm
from spending.models import Card
from spending.operations import FundingChoice
from users.models import User

SHOWN = 40
PAYS = "From the top down, each to its floor. Selling shares costs your trading fee, {}%."
PARTS = {"taps", "face", "payers"}


def owner(request: HttpRequest) -> User:
    """Give the signed-in customer."""
    assert isinstance(request.user, User)
    return request.user


@login_required
@require_safe
def cards(request: HttpRequest) -> HttpResponse:
    """Show a card, what pays for it and what it paid; or how to get one."""
    user = owner(request)
    own = list(queries.cards_of(user).exclude(status=Card.Status.CANCELLED))
    card = next((one for one in own if str(one.uid) == request.GET.get("card")), None)
    card = card or (own[0] if own else None)
    standing = kyc.queries.standing(user)
    page: dict[str, Any] = {"cards": own, "card": card, "standing": standing}
    if card is None:
        return render(request, "spending/card_list.html", page)
    page |= {
        "holder": holder_of(user),
        "owed": owed_words(user),
        "payers": queries.payers_of(card, user),
        "pays_hint": PAYS.format(queries.sale_fee_percent(user, clock.now())),
        "taps": queries.taps_of(card, limit=SHOWN),
        "form": SourceForm(assets=queries.may_pay_too(card, user)),
        "purchases": operations.PURCHASES.values() if settings.DEMO else [],
    }
    part = request.GET.get("part")
    template = f"spending/card_list.html#{part}" if part in PARTS else "spending/card_list.html"
    return render(request, template, page)


def owed_words(user: User) -> str:
    """Say what the customer owes for a card, or nothing."""
    units = queries.debt_of(user)
    return f"You owe {in_dollars(units, ROUND_CEILING)}" if units else ""


def holder_of(user: User) -> str:
    """Name the card's holder as on the application, or by address."""
    application = kyc.queries.application_of(user)
    names = f"{application.first_names} {application.last_names}" if application else ""
    return names.strip() or user.email


@login_required
@posts_from("spending:cards")
@reauthentication_required  # type: ignore[untyped-decorator]
def card_issue(request: HttpRequest) -> HttpResponse:
    """Issue a virtual card."""
    user = owner(request)
    return attempt(
        request,
        lambda: operations.issue_card(user=user, now=clock.now()),
        "Your card is ready. It pays from your cash.",
    )


@login_required
@posts_from("spending:cards")
def card_freeze(request: HttpRequest, uid: UUID) -> HttpResponse:
    """Freeze a card or thaw it: the switch says which."""
    card = own_card(request, uid)
    freeze = request.POST.get("freeze") == "1"
    operation = operations.freeze_card if freeze else operations.unfreeze_card
    return attempt(
        request, lambda: operation(card=card, actor=owner(request), now=clock.now()), card=card
    )


@login_required
@posts_from("spending:cards")
def card_cancel(request: HttpRequest, uid: UUID) -> HttpResponse:
    """Cancel a card for good."""
    card = own_card(request, uid)
    return attempt(
        request,
        lambda: operations.cancel_card(card=card, actor=owner(request), now=clock.now()),
        f"The card ending in {card.last_four} is cancelled.",
    )


@login_required
@posts_from("spending:cards")
def source_add(request: HttpRequest, uid: UUID) -> HttpResponse:
    """Let another asset pay, after the others."""
    card, user = own_card(request, uid), owner(request)
    form = SourceForm(request.POST, assets=queries.may_pay_too(card, user))
    if not form.is_valid():
        messages.error(request, " ".join(str(e) for errors in form.errors.values() for e in errors))
        return back_to(card)
    added = FundingChoice(form.cleaned_data["asset"], f"{form.cleaned_data['keep']:f}")
    return attempt(
        request,
        lambda: operations.add_source(card=card, choice=added, actor=user, now=clock.now()),
        card=card,
    )


@login_required
@posts_from("spending:cards")
def source_move(request: HttpRequest, uid: UUID) -> HttpResponse:
    """Let an asset pay earlier, later or not at all."""
    card, form = own_card(request, uid), MoveForm(request.POST)
    if not form.is_valid():
        raise Http404
    return attempt(
        request,
        lambda: operations.move_source(
            card=card,
            asset=form.cleaned_data["asset"],
            step=int(form.cleaned_data["step"]),
            actor=owner(request),
            now=clock.now(),
        ),
        card=card,
    )


@login_required
@posts_from("spending:cards")
def card_tap(request: HttpRequest, uid: UUID) -> HttpResponse:
    """Pay at a made-up merchant; demo mode only."""
    card, form = own_card(request, uid), TapForm(request.POST)
    if not settings.DEMO or not form.is_valid():
        raise Http404
    purchase = form.cleaned_data["purchase"]
    return attempt(
        request,
        lambda: operations.tap(card=card, purchase=purchase, now=clock.now()),
        card=card,
    )


def own_card(request: HttpRequest, uid: UUID) -> Card:
    """Find the customer's card; other people's are not there."""
    return get_object_or_404(queries.cards_of(owner(request)), uid=uid)


def attempt(
    request: HttpRequest, act: Callable[[], Any], done: str = "", *, card: Card | None = None
) -> HttpResponse:
    """Do one thing, say what became of it, and go back to the page."""
    try:
        act()
    except DomainError as error:
        messages.error(request, error.detail)
    else:
        if done:
            messages.success(request, done)
    return back_to(card)


def back_to(card: Card | None) -> HttpResponse:
    """Go back to a card's page."""
    return redirect(reverse("spending:cards") + (f"?card={card.uid}" if card else ""))
