"""How often somebody may ask: the policy of the day, and the counting of each call."""

import ipaddress
import time
from datetime import datetime
from functools import cache

from django.conf import settings

from common import limits
from common.limits import Bucket, Level
from users import queries
from users.models import CallLimit, User

POLICY_S = 30.0  # how long a process goes on with the policy it has read


def charge(
    *,
    kind: str,
    address: str = "",
    user: User | None = None,
    cost: int = 1,
    forced: bool = False,
    now: datetime,
) -> list[Level]:
    """Count a call of an address, of a customer, or of both; for limits that leak.

    :param cost: how much of the limit it takes
    :param forced: count it and let it through, whatever the limit says
    :returns: how the limits stand after it; none where they are switched off or Redis is away
    :raises common.limits.TooManyCalls: if one of them has no room
    """
    if not settings.RATE_LIMITS:
        return []
    whose = {}
    if address:
        whose[CallLimit.Scope.ADDRESS] = neighborhood(address)
    if user is not None:
        whose[CallLimit.Scope.CUSTOMER] = str(user.pk)
    policy = _policy(now)
    buckets = [
        Bucket(f"{kind}-{scope}", key, limit.capacity, float(limit.per_second), cost)
        for scope, key in whose.items()
        if (limit := policy.get((kind, scope)))
    ]
    return limits.fill(buckets, forced=forced)


def limit(*, kind: str, scope: str, now: datetime) -> CallLimit | None:
    """Give a limit that is in force; None where there is none, or they are switched off."""
    return _policy(now).get((kind, scope)) if settings.RATE_LIMITS else None


def neighborhood(address: str) -> str:
    """Give what is counted as one address: of IPv6 the network that one customer gets."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]  # a socket of this machine, which has none
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    if ip.ipv4_mapped:
        return str(ip.ipv4_mapped)
    return str(ipaddress.ip_network((ip, 64), strict=False))


class _Policy:
    """What a process has read of the policy."""

    def __init__(self) -> None:
        self.limits: dict[tuple[str, str], CallLimit] = {}
        self.read_again_at = 0.0


@cache
def _read() -> _Policy:
    return _Policy()


def _policy(now: datetime) -> dict[tuple[str, str], CallLimit]:
    """Give the policy of today, read anew from time to time: every call asks for it."""
    known = _read()
    if time.monotonic() >= known.read_again_at:
        known.limits = queries.call_limits(now.date())
        known.read_again_at = time.monotonic() + POLICY_S
    return known.limits
