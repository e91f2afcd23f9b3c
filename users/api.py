"""What the REST doors of all apps ask of who calls: not too often."""

from typing import Any

from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from common import clock
from users import operations
from users.models import CallLimit, User


class CustomerThrottle(BaseThrottle):
    """Counts the calls of a customer, by whatever token or session."""

    def allow_request(self, request: Request, view: Any) -> bool:
        """Count it.

        :raises common.limits.TooManyCalls: if it is one too many
        """
        if isinstance(request.user, User):
            reads = request.method in SAFE_METHODS
            kind = CallLimit.Kind.READS if reads else CallLimit.Kind.WRITES
            levels = operations.charge(kind=kind, user=request.user, now=clock.now())
            request._request.limit_levels += levels  # type: ignore[attr-defined]  # noqa: SLF001
        return True
