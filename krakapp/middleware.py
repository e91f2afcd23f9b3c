"""What every request passes on its way in: a name of its own, and a policy for two guests."""

import re
import uuid
from collections.abc import Callable

from csp.constants import SELF, UNSAFE_EVAL, UNSAFE_INLINE
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import sync_only_middleware

View = Callable[[HttpRequest], HttpResponse]

ACCEPTABLE_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")

# unfold's Alpine evaluates its attributes; both write styles inline. Nobody else may.
RELAXED = {
    "/admin/": {"script-src": [SELF, UNSAFE_EVAL], "style-src": [SELF, UNSAFE_INLINE]},
    "/api/docs/": {"style-src": [SELF, UNSAFE_INLINE]},
}


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
def relaxed_policy(get_response: View) -> View:
    """Let the admin and the API's documentation run the scripts and styles they came with.

    It is sync and innermost, which keeps the whole chain in the one thread that runs the view.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        for prefix, directives in RELAXED.items():
            if request.path_info.startswith(prefix):
                response._csp_replace = directives  # type: ignore[attr-defined]  # noqa: SLF001
        return response

    return middleware
