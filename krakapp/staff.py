"""The staff's door: a second factor, a short session, and a fresh proof before anything changes.

It stands in front of the whole admin, so that no page of it can be forgotten. The demo's staff have
an app's code as their second factor, whose keys a home keeps with its secrets.
"""

import base64
import hmac
from collections.abc import Callable
from datetime import datetime

from allauth.account.adapter import get_adapter
from allauth.account.internal.flows.reauthentication import suspend_request
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.decorators import sync_only_middleware

import users.queries
from krakapp.sessions import KIND
from krakapp.settings import kept_secret

View = Callable[[HttpRequest], HttpResponse]

ADMIN = "/admin/"
READING = ("GET", "HEAD", "OPTIONS")
FACTORS = (Authenticator.Type.WEBAUTHN, Authenticator.Type.TOTP)
ENROLL = "The staff's pages need a second step at sign-in: add a passkey, or turn on an app's code."
PERIOD_S = 30  # of an app's code


@sync_only_middleware
def staff_door(get_response: View) -> View:
    """Let the staff into the admin with what its pages need, and send them for what is missing."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith(ADMIN) or not (
            request.user.is_authenticated and request.user.is_staff
        ):
            return get_response(request)  # the admin itself sends strangers away
        return missing(request) or get_response(request)

    return middleware


def missing(request: HttpRequest) -> HttpResponse | None:
    """Send somebody of the staff for what they have to prove first; None if it is all there."""
    if request.session.get(KIND) != "staff":  # it began before they were staff, and lives too long
        path = request.get_full_path()
        logout(request)
        return redirect_to_login(path)
    types = set(Authenticator.objects.filter(user=request.user).values_list("type", flat=True))
    if types.isdisjoint(FACTORS):
        messages.warning(request, ENROLL)
        return redirect("mfa_index")
    proofs = users.queries.proofs_in(session=request.session, user=request.user)
    if not any(proof["method"] == "mfa" for proof in proofs):
        return prove(request, _second_step(request))
    changes = request.method not in READING and request.path_info != reverse("admin:logout")
    if changes and not users.queries.is_fresh(
        session=request.session, user=request.user, within_s=settings.STAFF_PROOF_S
    ):
        return prove(request, reverse("account_reauthenticate"))
    return None


def prove(request: HttpRequest, page: str) -> HttpResponse:
    """Send to a page that asks for a proof, and goes on with the request after it."""
    answer: HttpResponse = suspend_request(request, page)
    return answer


def _second_step(request: HttpRequest) -> str:
    """Give the page that asks for a second factor they have."""
    ways = get_adapter().get_reauthentication_methods(request.user)
    return str(next(way["url"] for way in ways if way["id"].startswith("mfa_")))


def setup_key(email: str) -> str:
    """Give the key of a demo person's code, as an authenticator app takes it; one for each home."""
    secret = kept_secret("staff_factors")
    digest = hmac.digest(secret.encode(), email.encode(), "sha256")
    return base64.b32encode(digest[:20]).decode()


def code_at(email: str, at: datetime) -> str:
    """Give the six digits that the app of a demo person shows at a time."""
    counter = int(at.timestamp()) // PERIOD_S
    return str(format_hotp_value(hotp_value(setup_key(email), counter)))
