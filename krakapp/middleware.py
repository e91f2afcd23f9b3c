"""What every request passes on its way: a name, a door that may be closed, a policy."""

import logging
import re
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from allauth.core.internal.httpkit import is_headless_request
from csp.constants import SELF, UNSAFE_EVAL, UNSAFE_INLINE
from django.conf import settings
from django.contrib.auth.signals import user_logged_out
from django.core.exceptions import BadRequest, MiddlewareNotUsed
from django.db import DatabaseError, transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render, resolve_url
from django.template.response import SimpleTemplateResponse
from django.urls import resolve
from django.utils.decorators import sync_only_middleware
from django_htmx.http import HttpResponseClientRefresh

from common import clock, limits, payloads
from common.limits import TooManyCalls
from common.payloads import Unreadable
from krakapp.problems import APART, for_programs, say, translate
from users.adapters import DEVICE_COOKIE, DEVICE_HEADER, device_token
from users.models import CallLimit, User
from users.operations import charge, remember_device

View = Callable[[HttpRequest], HttpResponse]

logger = logging.getLogger(__name__)

FORM = "application/x-www-form-urlencoded"
SESSION_TOKEN = "X-Session-Token"  # noqa: S105 - the header's name
ACCEPTABLE_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")

# unfold's Alpine evaluates its attributes; both write styles inline. Nobody else may.
RELAXED = {
    "/admin/": {"script-src": [SELF, UNSAFE_EVAL], "style-src": [SELF, UNSAFE_INLINE]},
    "/api/docs/": {"style-src": [SELF, UNSAFE_INLINE]},
}


# Where allauth does what is asked of an account, in several statements.
ACCOUNT = ("/accounts/", "/_allauth/", "/settings/", "/admin/logout/")
READING = ("GET", "HEAD", "OPTIONS")
ALLAUTH_WAIT_S = "60"  # it counts tries by the minute, and does not say when there is room again


@sync_only_middleware
def request_id(get_response: View) -> View:
    """Name the request, as the proxy in front named it or anew, and say so in the answer."""

    def middleware(request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-ID", "")
        name = given if ACCEPTABLE_ID.fullmatch(given) else str(uuid.uuid4())
        request.request_id = name  # type: ignore[attr-defined]
        response = get_response(request)
        response["X-Request-ID"] = name
        return response

    return middleware


@sync_only_middleware
def problems(get_response: View) -> View:
    """Answer a program with a problem where Django would answer with a page."""

    def middleware(request: HttpRequest) -> HttpResponse:
        return translate(request, get_response(request))

    return middleware


@sync_only_middleware
def apart(get_response: View) -> View:
    """Answer what tells how the platform is before a session, and with it the database, is read."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.path_info not in APART:
            return get_response(request)
        request.resolver_match = match = resolve(request.path_info)
        response: HttpResponse = match.func(request, *match.args, **match.kwargs)
        return response.render() if isinstance(response, SimpleTemplateResponse) else response

    return middleware


@sync_only_middleware
def readable(get_response: View) -> View:
    """Refuse NUL, which no column keeps, and JSON that allauth would read less strictly.

    Bodies of REST and of webhooks are read strictly by their own doors.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        if "\0" in request.path_info:
            raise Http404
        try:
            for text in _texts(request):
                payloads.text(text)
            if request.path_info.startswith("/_allauth/") and request.body:
                payloads.read(request.body)
        except Unreadable as error:
            if not for_programs(request.path_info):
                raise BadRequest(error.detail) from error
            name = request.request_id  # type: ignore[attr-defined]
            return say(error.status, code=error.code, detail=error.detail, request_id=name)
        return get_response(request)

    return middleware


def _texts(request: HttpRequest) -> Iterator[str]:
    """Give every text of a query, of cookies and of the form of a page, uploads aside."""
    yield from request.COOKIES.values()
    forms = [request.GET]
    if request.content_type == FORM and not for_programs(request.path_info):
        forms.append(request.POST)
    for form in forms:
        for name, values in form.lists():
            yield from (name, *values)


@sync_only_middleware
def maintenance(get_response: View) -> View:
    """Answer 503 to everything but `/healthz` while the operators have the platform closed.

    It stands before sessions and the database, so that both may be away.
    """
    if not settings.MAINTENANCE:
        raise MiddlewareNotUsed

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.path_info == "/healthz":
            return get_response(request)
        response = closed(request)
        response["Retry-After"] = str(settings.MAINTENANCE_RETRY_AFTER)
        response["Cache-Control"] = "no-store"
        response._has_been_logged = True  # type: ignore[attr-defined]  # noqa: SLF001 - no surprise
        return response

    return middleware


def closed(request: HttpRequest) -> HttpResponse:
    """Say that the platform is closed: as a problem to a program, as a page to a person."""
    if not for_programs(request.path_info):
        return render(None, "maintenance.html", status=503)
    return say(
        503,
        code="Maintenance",
        detail="KrakApp is closed for maintenance; your money and orders are where you left them.",
        request_id=request.request_id,  # type: ignore[attr-defined]
    )


@sync_only_middleware
def keep_session(get_response: View) -> View:
    """Let the session live on that a page was asked with; what a program does by token is not here.

    A part that a page asks for by itself is no use: a tab that is left open would never idle. The
    answer is made by then, and stands whether or not the use could be written down.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        by_itself = request.method == "GET" and getattr(request, "htmx", False)
        if request.session.accessed and not by_itself:
            try:
                request.session.touch()  # type: ignore[attr-defined]
            except DatabaseError as failure:
                logger.warning("the use of a session is not written down: %s", failure)
        return response

    return middleware


@sync_only_middleware
def know_device(get_response: View) -> View:
    """Give a device that has just signed in what it is known by: a cookie, to an app a header."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if (user := getattr(request, "known_to", None)) is None:
            return response
        token = remember_device(user=user, device_token=device_token(request))
        if is_headless_request(request) == "app":
            response[DEVICE_HEADER] = token
            return response
        response.set_cookie(
            DEVICE_COOKIE,
            token,
            max_age=settings.DEVICE_KNOWN,
            secure=settings.SESSION_COOKIE_SECURE,
            httponly=True,
            samesite="Lax",
        )
        return response

    return middleware


@sync_only_middleware
def leave_nothing(get_response: View) -> View:
    """Let no browser keep what somebody saw who was signed in; who signs out leaves nothing."""
    user_logged_out.connect(note_sign_out, dispatch_uid="krakapp.note_sign_out")

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if getattr(request, "signed_out", False):
            response["Clear-Site-Data"] = '"cache", "storage"'
        elif _is_signed_in(request):
            response.headers["Cache-Control"] = "no-store"
        return response

    return middleware


def _is_signed_in(request: HttpRequest) -> bool:
    """Say whether a session was used, or an app's token; who has none is not looked up for it."""
    used = request.session.accessed or SESSION_TOKEN in request.headers
    return used and bool(request.user.is_authenticated)


def note_sign_out(request: HttpRequest | None, **_: Any) -> None:
    """Remember that the request signs somebody out."""
    if request is not None:
        request.signed_out = True  # type: ignore[attr-defined]


@sync_only_middleware
def whole_acts(get_response: View) -> View:
    """Do what is asked of an account together with its audit entry and its mail, or not at all."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.method in READING or not request.path_info.startswith(ACCOUNT):
            return get_response(request)
        with transaction.atomic():
            response = get_response(request)
            if response.status_code >= 500:
                transaction.set_rollback(True)
        return response

    return middleware


@sync_only_middleware
def limited(get_response: View) -> View:
    """Count the calls of each address, and of each customer on pages; REST counts its own.

    It stands before sessions and the database, so that a flood costs neither, and after what tells
    how the platform is, which is never refused.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        request.limit_levels = []  # type: ignore[attr-defined]
        address = request.META.get("REMOTE_ADDR", "")
        try:
            _charge(request, address=address)
            response = get_response(request)
        except TooManyCalls as error:
            response = too_many(request, error)
        if response.status_code == 429:
            response.headers.setdefault("Retry-After", ALLAUTH_WAIT_S)
        for name, value in limits.headers(request.limit_levels).items():  # type: ignore[attr-defined]
            response.headers.setdefault(name, value)  # a refusal has said which limit it was
        return response

    return middleware


@sync_only_middleware
def limited_customer(get_response: View) -> View:
    """Count the calls of whoever is signed in on pages; it stands after the session is known."""

    def middleware(request: HttpRequest) -> HttpResponse:
        signed_in = settings.SESSION_COOKIE_NAME in request.COOKIES
        if settings.RATE_LIMITS and signed_in and not for_programs(request.path_info):
            user = request.user
            if isinstance(user, User):
                try:
                    _charge(request, user=user)
                except TooManyCalls as error:
                    return too_many(request, error)
        return get_response(request)

    return middleware


def _charge(request: HttpRequest, **whose: Any) -> None:
    levels = charge(kind=_kind_of(request), now=clock.now(), **whose)
    request.limit_levels += levels  # type: ignore[attr-defined]


def _kind_of(request: HttpRequest) -> str:
    if request.path_info.startswith("/webhooks/"):
        return CallLimit.Kind.WEBHOOKS
    if request.path_info in settings.UPLOADS:
        return CallLimit.Kind.UPLOADS
    reads = request.method in {"GET", "HEAD", "OPTIONS"}
    return CallLimit.Kind.READS if reads else CallLimit.Kind.WRITES


def too_many(request: HttpRequest, error: TooManyCalls) -> HttpResponse:
    """Say how long to wait: as a problem to a program, as a page to a person."""
    if for_programs(request.path_info):
        name = request.request_id  # type: ignore[attr-defined]
        said = {"code": error.code, "detail": error.detail, **error.facts}
        response = say(error.status, request_id=name, **said)
    else:
        response = render(None, "429.html", {"detail": error.detail}, status=429)
    for name, value in error.headers.items():
        response[name] = value
    response["Cache-Control"] = "no-store"
    return response


@sync_only_middleware
def sign_in_again(get_response: View) -> View:
    """Reload the whole page where a part of it needs a sign-in: it does not fit into the part."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if request.htmx and to_the_door(response):  # type: ignore[attr-defined]
            return HttpResponseClientRefresh()
        return response

    return middleware


def to_the_door(response: HttpResponse) -> bool:
    """Tell whether an answer sends its reader to sign in."""
    place = response.headers.get("Location")
    return place is not None and place.startswith(resolve_url(settings.LOGIN_URL))


@sync_only_middleware
def relaxed_policy(get_response: View) -> View:
    """Let the admin and the API's documentation run the scripts and styles they came with."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        for prefix, directives in RELAXED.items():
            if request.path_info.startswith(prefix):
                response._csp_replace = directives  # type: ignore[attr-defined]  # noqa: SLF001
        return response

    return middleware
