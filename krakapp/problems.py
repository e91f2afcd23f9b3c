"""How a refusal of Django or of the server is said to a program: as a problem."""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse

from common.errors import PROBLEM, problem

# What tells how the platform is: it has threads of its own and asks for nobody's session.
APART = ("/healthz", "/api/v1/status")

# Whose callers are programs, which read problem+json.
PROGRAMS = ("/api/", "/_allauth/", "/webhooks/")

# The code and the words of a status for which nobody has found better ones.
WORDS = {
    400: ("BadRequest", "This request is malformed."),
    401: ("NotAuthenticated", "Sign in first."),
    403: ("PermissionDenied", "You may not do this, or the CSRF token is missing or wrong."),
    404: ("NotFound", "There is nothing at this address."),
    405: ("MethodNotAllowed", "This address does not take this method."),
    406: ("NotAcceptable", "The answer is JSON; accept application/json."),
    408: ("RequestTimeout", "The body of the request did not arrive in time."),
    413: ("BodyTooLarge", "The body of the request is too large."),
    415: ("UnsupportedMediaType", "Send JSON with Content-Type: application/json."),
    429: ("TooManyCalls", "Too many requests; ask again later."),
    500: ("ServerError", "Something broke here. It is logged under this request_id."),
    503: ("Unavailable", "This could not be done just now; ask again in a moment."),
}


def for_programs(path: str) -> bool:
    """Tell whether who asks here reads problems and not pages."""
    return path.startswith(PROGRAMS)


def say(
    status: int, *, request_id: str, code: str = "", detail: str = "", **facts: Any
) -> HttpResponse:
    """Write a problem; without a code and words, those of the status."""
    general = WORDS.get(status, WORDS[500 if status >= 500 else 400])
    body = problem(
        status=status,
        code=code or general[0],
        detail=detail or general[1],
        request_id=request_id,
        **facts,
    )
    return JsonResponse(body, status=status, content_type=PROBLEM)


def translate(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Give a program a problem in place of an error page; leave every other answer as it is.

    Below `/_allauth/` allauth's own JSON stays: its answers of 400, 401, 409 and 410 are the
    documented contract of the sign-in. Its 429 says nothing but that number.
    """
    if response.status_code < 400 or not for_programs(request.path_info):
        return response
    own = (PROBLEM,) if response.status_code == 429 else (PROBLEM, "application/json")
    if response.get("Content-Type", "").startswith(own):
        return response
    told = say(response.status_code, request_id=request.request_id)  # type: ignore[attr-defined]
    for name, value in response.items():
        if name not in {"Content-Type", "Content-Length", "Content-Encoding"}:
            told[name] = value
    told.cookies = response.cookies
    response.close()
    return told
