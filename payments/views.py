"""The pages of money coming in."""

from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_safe

import kyc.queries
from common import clock
from common.errors import DomainError
from payments import operations, queries
from payments.forms import DepositForm

SHOWN = 20


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def deposit(request: HttpRequest) -> HttpResponse:
    """Announce a deposit; what was announced before stands below."""
    assert request.user.is_authenticated
    form = DepositForm(request.POST or None)
    if form.is_valid():
        try:
            instruction = operations.announce_deposit(
                user=request.user, amount=form.cleaned_data["amount"], now=clock.now()
            )
        except DomainError as error:
            form.add_error(error.field, error.detail)
        else:
            return redirect("payments:deposit_detail", instruction.uid)
    page: dict[str, Any] = {
        "form": form,
        "standing": kyc.queries.standing(request.user),
        "deposits": queries.deposits_of(request.user)[:SHOWN],
    }
    return render(
        request, "payments/deposit_announce.html", page, status=422 if form.errors else 200
    )


@login_required
@require_safe
def deposit_detail(request: HttpRequest, uid: UUID) -> HttpResponse:
    """Show where to send it, and whether it has arrived."""
    assert request.user.is_authenticated
    instruction = get_object_or_404(queries.deposits_of(request.user), uid=uid)
    page = {
        "deposit": instruction,
        "announced": queries.announced(instruction),
        "received": queries.received(instruction),
        "bank": queries.bank_details(),
    }
    return render(request, "payments/deposit_show.html", page)
