"""Limits for tests: the rest of the tests run without any."""

from datetime import date
from typing import Any

from users.models import CallLimit
from users.operations import limits


def set_to(settings: Any, **bounds: tuple[str, int, Any]) -> None:
    """Switch the limits on, with these alone: kind=(scope, capacity, per second)."""
    settings.RATE_LIMITS = True
    CallLimit.objects.all().delete()
    CallLimit.objects.bulk_create(
        CallLimit(
            kind=kind, scope=scope, since=date(2026, 1, 1), capacity=capacity, per_second=leaks
        )
        for kind, (scope, capacity, leaks) in bounds.items()
    )
    limits._read.cache_clear()  # as after half a minute
