"""The customer's own page: security, appearance, and what the app had to tell."""

from typing import TYPE_CHECKING, cast

from allauth.mfa.utils import is_mfa_enabled
from allauth.usersessions.internal.flows.sessions import end_sessions
from allauth.usersessions.models import UserSession
from django.conf import settings as conf
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from common import clock, times
from common.errors import DomainError
from common.forms import posts_from
from users import operations, queries
from users.forms import FormatsForm, MailsForm

if TYPE_CHECKING:
    from users.models import User

NOTICES = 20
EVENTS = 50


@require_safe
@login_required
def settings(request: HttpRequest) -> HttpResponse:
    """Show who is signed in, how safely, and the unread notices."""
    user = cast("User", request.user)
    return render(
        request,
        "users/settings.html",
        {
            "mfa": is_mfa_enabled(user),
            "devices": f"{UserSession.objects.filter(user=user).count()} signed in",
            "notices": queries.unread_notices(user)[:NOTICES],
            "formats": f"{user.get_number_format_display()}, {times.moment(clock.now())}",
        },
    )


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def formats(request: HttpRequest) -> HttpResponse:
    """Let the customer choose how numbers are written, and the clock of what they read."""
    user = cast("User", request.user)
    now = {"number_format": user.number_format, "time_zone": user.time_zone or "UTC"}
    form = FormatsForm(request.POST or None, initial=now)
    if form.is_valid():
        operations.choose_preferences(user=user, **form.cleaned_data)
        messages.success(request, "Numbers and times follow your choice from now on.")
        return redirect("users:settings")
    status = 422 if form.is_bound else 200
    return render(request, "users/formats.html", {"form": form}, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def mails(request: HttpRequest) -> HttpResponse:
    """Let the customer choose which notices also come by e-mail."""
    user = cast("User", request.user)
    now = {"mails_money": user.mails_money, "mails_orders": user.mails_orders}
    form = MailsForm(request.POST or None, initial=now)
    if form.is_valid():
        operations.choose_mails(user=user, **form.cleaned_data)
        messages.success(request, "Your choice holds from now on.")
        return redirect("users:settings")
    return render(request, "users/mails.html", {"form": form})


@require_safe
@login_required
def security(request: HttpRequest) -> HttpResponse:
    """Show what was done to how the account is entered, newest first."""
    user = cast("User", request.user)
    until = queries.value_held_until(user, now=clock.now())
    page = {
        "events": queries.security_events_of(user)[:EVENTS],
        "held_words": queries.held_words(until) if until else "",
        "undo_days": conf.SECURITY_UNDO.days,
    }
    return render(request, "users/security_list.html", page)


@posts_from("users:settings")
@login_required
def notices_read(request: HttpRequest) -> HttpResponse:
    """Mark every notice as read."""
    operations.mark_read(user=cast("User", request.user), now=clock.now())
    return redirect("users:settings")


@posts_from("usersessions_list")
@login_required
def device_end(request: HttpRequest, pk: int) -> HttpResponse:
    """Sign one device out, at once and everywhere it is used."""
    session = get_object_or_404(UserSession, user=cast("User", request.user), pk=pk)
    end_sessions(request, [session])
    messages.success(request, "That device is signed out.")
    return redirect("usersessions_list")


@never_cache
def security_undo(request: HttpRequest, token: str) -> HttpResponse:
    """Show what a mail was about, and undo it when its reader says so: a mail scanner only reads.

    Nobody has to be signed in: who did it may be, and the owner may not.
    """
    try:
        if request.method == "POST":
            event = operations.undo_security_act(token=token, now=clock.now())
        else:
            event = operations.event_of(token)
    except DomainError as error:
        return render(request, "users/security_undo.html", {"error": error}, status=error.status)
    return render(request, "users/security_undo.html", {"event": event})
