"""What every REST door shares: sign-in, problems, paging, idempotency."""

import hashlib
import json
import logging
import re
import uuid
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from allauth.headless.contrib.rest_framework.authentication import XSessionTokenAuthentication
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import InterfaceError, InternalError, OperationalError, connection, transaction
from django.db.models import Field, JSONField, Value
from django.http import Http404, HttpResponse
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import exceptions, serializers
from rest_framework.pagination import CursorPagination
from rest_framework.parsers import JSONParser
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.encoders import JSONEncoder

from common import clock, payloads
from common.errors import PROBLEM, DomainError, problem
from common.models import FirstAnswer

if TYPE_CHECKING:
    from rest_framework.views import APIView as View
else:
    View = object  # REST's settings name this module, so views import it and not the reverse

logger = logging.getLogger(__name__)

LIMIT = re.compile("[0-9]{1,3}")
PLAIN_DECIMAL = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)")

# What the database refuses for no fault of the request: it is away or full, somebody else's lock
# came first, time ran out. The same request may well succeed in a moment.
PASSING = (OperationalError, InterfaceError, InternalError)


class ExactEncoder(JSONEncoder):
    """REST's JSON, except that a Decimal is written as a string and never as a float."""

    def default(self, obj: Any) -> Any:
        """Write all digits, no exponent."""
        return f"{obj:f}" if isinstance(obj, Decimal) else super().default(obj)


class ExactRenderer(JSONRenderer):
    """Answers whose decimals keep every digit, whichever view wrote them."""

    encoder_class = ExactEncoder


class StrictParser(JSONParser):
    """Reads bodies as every door reads JSON."""

    def parse(self, stream: Any, *_: Any, **__: Any) -> Any:
        """Read the document.

        :raises common.payloads.Unreadable: if it isn't one, or one that others read differently
        """
        return payloads.read(stream.read())


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses fields that nobody knows: a typo must not become another request."""

    def to_internal_value(self, data: Any) -> Any:
        """Name every unknown field."""
        if isinstance(data, dict) and (unknown := set(data) - set(self.fields)):
            known = ", ".join(self.fields)
            sentence = f"There is no such field here; take it out, or use one of {known}."
            raise serializers.ValidationError({str(name): [sentence] for name in sorted(unknown)})
        return super().to_internal_value(data)


class DecimalText(serializers.CharField):
    """A plain decimal as the program wrote it; what it means is read where the asset is known.

    Whole JSON numbers pass, since they are exact; a fraction of JSON may have lost digits already.
    """

    default_error_messages = {
        "NotAString": 'Write it as a string, like "12.50": a JSON number may lose digits.',
        "NotADecimal": 'Give a plain decimal, like "12.50".',
    }

    def to_internal_value(self, data: Any) -> str:
        """Take a string, or a whole number."""
        if isinstance(data, float):
            self.fail("NotAString")
        text = super().to_internal_value(data)
        if not PLAIN_DECIMAL.fullmatch(text):
            self.fail("NotADecimal")
        return text


class SessionTokenAuthentication(XSessionTokenAuthentication):  # type: ignore[misc]
    """Allauth's session token, answering 401 rather than 403 where it is missing."""

    def authenticate_header(self, request: Request) -> str:
        """Name the scheme, which is what makes DRF answer 401."""
        return "X-Session-Token"


class SessionTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Tells the OpenAPI document how the app signs in."""

    target_class = SessionTokenAuthentication
    name = "sessionToken"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """Describe the header."""
        return {"type": "apiKey", "in": "header", "name": "X-Session-Token"}


class KeyReused(DomainError):
    """This Idempotency-Key was used for another request; take a new key."""

    field = "Idempotency-Key"


class KeyTooLong(DomainError):
    """An Idempotency-Key has at most 255 characters."""

    status = 400
    field = "Idempotency-Key"


class StillRunning(DomainError):
    """The first request with this Idempotency-Key is still running; ask again in a moment."""

    status = 409


class Unavailable(DomainError):
    """This could not be done just now; ask again in a moment, with the same Idempotency-Key."""

    status = 503


class CursorInvalid(DomainError):
    """This cursor is not of this list; follow `next` and `previous` as they were given."""

    status = 400
    field = "cursor"


class LimitInvalid(DomainError):
    """Give a limit from 1 to 500."""

    status = 400
    field = "limit"


class NewestFirst(CursorPagination):
    """Cursor pages, newest first, `limit` up to 500.

    :raises CursorInvalid: for a cursor that names no place in the list
    :raises LimitInvalid: for a limit that is no number, or beyond the bound
    """

    ordering = "-id"
    page_size = 50
    max_page_size = 500
    page_size_query_param = "limit"

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> Any:
        """Know what a cursor's place must be: a value of the column that orders the list."""
        ordering = self.get_ordering(request, queryset, view)[0].removeprefix("-")
        self._place: Field[Any, Any] = queryset.model._meta.get_field(ordering)  # noqa: SLF001
        return super().paginate_queryset(queryset, request, view)

    def decode_cursor(self, request: Request) -> Any:
        """Read where the page begins."""
        try:
            cursor = super().decode_cursor(request)
            if cursor is not None and cursor.position is not None:
                self._place.clean(payloads.text(str(cursor.position)), None)
        except (exceptions.NotFound, ValidationError, payloads.Unreadable) as error:
            raise CursorInvalid from error
        return cursor

    def get_page_size(self, request: Request) -> int | None:
        """Read how many are wanted."""
        asked = request.query_params.get(self.page_size_query_param)
        if asked is None:
            return self.page_size
        if not LIMIT.fullmatch(asked) or not 1 <= int(asked) <= self.max_page_size:
            raise LimitInvalid
        return int(asked)


def problem_of(error: DomainError, *, request_id: str = "") -> dict[str, Any]:
    """Describe a domain error."""
    field = {"field": error.field, "code": error.code, "detail": error.detail}
    errors = [field] if error.field else None
    return problem(
        status=error.status,
        code=error.code,
        detail=error.detail,
        request_id=request_id,
        errors=errors,
        **error.facts,
    )


def problem_handler(error: Exception, context: dict[str, Any]) -> HttpResponse | None:
    """Turn every anticipated failure into problem+json; anything else is a bug and rises."""
    if isinstance(error, PASSING):
        return unavailable(error, context["request"])
    request_id = request_id_of(context["request"])
    if isinstance(error, DomainError):
        return _respond(problem_of(error, request_id=request_id), headers=error.headers)
    if isinstance(error, Http404):
        error = exceptions.NotFound()
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    if not isinstance(error, exceptions.APIException):
        return None
    return _respond_to_drf(error, request_id)


def unavailable(failure: Exception, request: Any) -> HttpResponse:
    """Say that the same request may well succeed in a moment, and log why it did not now.

    It is written whole here: outside a view of DRF's nobody would render it.
    """
    request_id = request_id_of(request)
    logger.warning("request %s failed for now: %s", request_id, failure)
    body = json.dumps(problem_of(Unavailable(), request_id=request_id))
    return HttpResponse(
        body, status=Unavailable.status, content_type=PROBLEM, headers={"Retry-After": "1"}
    )


def request_id_of(request: Request) -> str:
    """Give the id that the middleware gave this request, or a fresh one."""
    return getattr(request, "request_id", None) or str(uuid.uuid4())


def _respond_to_drf(error: exceptions.APIException, request_id: str) -> Response:
    errors = None
    code, detail = type(error).__name__, str(error.detail)
    if isinstance(error, exceptions.ValidationError):
        errors = list(_fields(error.detail))
        code, detail = _name_of(errors)
    body = problem(
        status=error.status_code, code=code, detail=detail, request_id=request_id, errors=errors
    )
    headers = {}
    if wait := getattr(error, "wait", None):
        headers["Retry-After"] = str(int(wait) + 1)
    if header := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = header
    return _respond(body, headers=headers)


def _name_of(errors: list[dict[str, Any]]) -> tuple[str, str]:
    """Name what is wrong with a body: the one error of ours by its own name, or many things."""
    if len(errors) == 1 and errors[0]["code"][:1].isupper():
        return errors[0]["code"], errors[0]["detail"]
    return "Malformed", "Some fields need another look."


def _fields(detail: Any, prefix: str = "") -> Any:
    if isinstance(detail, dict):
        for name, inner in detail.items():
            if isinstance(name, int):  # the place of an item in a list
                yield from _fields(inner, f"{prefix}[{name}]")
            else:
                yield from _fields(inner, f"{prefix}.{name}" if prefix else str(name))
    elif isinstance(detail, list) and any(isinstance(inner, dict) for inner in detail):
        for index, inner in enumerate(detail):
            yield from _fields(inner, f"{prefix}[{index}]")
    else:
        for sentence in detail if isinstance(detail, list) else [detail]:
            code = getattr(sentence, "code", "invalid")
            yield {"field": prefix or None, "code": code, "detail": str(sentence)}


def _respond(body: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    if body["status"] == Unavailable.status:
        headers = {"Retry-After": "1", **(headers or {})}
    return Response(body, status=body["status"], headers=headers, content_type=PROBLEM)


class IdempotentPost(View):
    """For views with a POST that moves value: the same `Idempotency-Key` gets the first answer.

    Mix it in before `APIView`. The key's row is written in the transaction of the effect, under an
    advisory lock that makes a concurrent twin answer 409 instead of waiting.
    """

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Wrap POSTs that carry a key in one transaction."""
        if request.method == "POST" and request.headers.get("Idempotency-Key"):
            # Read now: the check against forged forms would consume the stream of an upload.
            self._digest = hashlib.sha256(request.body).hexdigest()
            try:
                with transaction.atomic():
                    response = super().dispatch(request, *args, **kwargs)
                    if response.status_code >= 400:
                        transaction.set_rollback(True)
                    return response
            except PASSING as failure:  # of BEGIN or COMMIT: done or not, the key will tell
                return unavailable(failure, request)
        return super().dispatch(request, *args, **kwargs)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Look for the first answer once the customer is known."""
        super().initial(request, *args, **kwargs)
        key = request.headers.get("Idempotency-Key", "")
        if request.method != "POST" or not key or not request.user.is_authenticated:
            return
        if len(key) > 255:
            raise KeyTooLong
        self._key = key
        self._lock(request)
        first = FirstAnswer.objects.filter(
            user=request.user, endpoint=self._endpoint(request), key=key
        ).first()
        if first is None:
            return
        if first.request_digest != self._digest:
            raise KeyReused
        raise _AnsweredBefore(first)

    def _lock(self, request: Request) -> None:
        name = json.dumps([request.user.pk, self._endpoint(request), self._key])
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 7))", [name])
            (locked,) = cursor.fetchone() or (False,)
        if not locked:
            raise StillRunning

    @staticmethod
    def _endpoint(request: Request) -> str:
        return request.path[:200]

    def handle_exception(self, exc: Exception) -> Response:
        """Replay a first answer; leave every other exception to the handler."""
        if isinstance(exc, _AnsweredBefore):
            return Response(exc.first.body, status=exc.first.status)
        return super().handle_exception(exc)

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Keep a success with its effect; a failure left no effect and is tried afresh."""
        response = super().finalize_response(request, response, *args, **kwargs)
        if getattr(self, "_key", None) and response.status_code < 300:
            FirstAnswer.objects.get_or_create(
                user=request.user,
                endpoint=self._endpoint(request),
                key=self._key,
                defaults={
                    "request_digest": self._digest,
                    "status": response.status_code,
                    "body": _as_sent(response.data),
                    "created_at": clock.now(),
                },
            )
        return response


def _as_sent(data: Any) -> Any:
    """Give an answer's body as JSON reads it; none at all is JSON's null, not SQL's."""
    if data is None:
        return Value(None, JSONField())
    return json.loads(json.dumps(data, cls=ExactEncoder))


class _AnsweredBefore(Exception):
    """Carries a stored answer past the view's method."""

    def __init__(self, first: FirstAnswer) -> None:
        self.first = first
        super().__init__(first.key)
