"""The pages that belong to no app."""

from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from krakapp import health


@require_safe
@never_cache
def healthz(request: HttpRequest) -> JsonResponse:
    """Say whether every part is well: 200, or 503 with the failing part named."""
    parts = health.examine()
    well = all(state == "ok" for state in parts.values())
    status = "ok" if well else "failing"
    return JsonResponse({"status": status, **parts}, status=200 if well else 503)
