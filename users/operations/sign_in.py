"""Attempts to sign in: slowed down by where they come from, never refused by account.

Whoever guesses runs out of attempts at their address. A device that signed in to an account before
has attempts of its own there, which nobody else can use up. Anywhere else, after many attempts on
an account, the right password leads to a code that is mailed, or to the second factor.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.core import signing
from django.utils.crypto import constant_time_compare, salted_hmac

from common import limits
from common.limits import Bucket, TooManyCalls
from users.models import User
from users.operations.limits import neighborhood

SALT = "users.device"
ACCOUNTS_OF_A_DEVICE = 5
Device = dict[str, str]  # of the accounts it signed in to: a mark of the password it knew


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that was let through to the password; `doubtful` if that alone is not enough."""

    charged: Sequence[Bucket]
    doubtful: bool = False


def begin_sign_in(*, email: str, address: str, device_token: str) -> Attempt:
    """Count an attempt before its password is looked at, so that parallel ones can't pass together.

    It does the same for addresses that have an account and for those that have none.

    :raises TooManyCalls: if too many came from there of late
    """
    if not settings.RATE_LIMITS:
        return Attempt([])
    email = email.lower()
    account = hashlib.sha256(email.encode()).hexdigest()[:32]
    if (device := read_device(device_token)) and _is_known(device, email):
        mark = hashlib.sha256(device_token.encode()).hexdigest()[:32]
        own = [_bucket("device", f"{account}:{mark}")]
        try:
            limits.fill(own)
            return Attempt(own)
        except TooManyCalls:
            pass  # it guesses: like any other device from now on
    source, target = _bucket("address", neighborhood(address)), _bucket("account", account)
    limits.fill([source])
    levels = limits.fill([target], forced=True)
    return Attempt([source, target], doubtful=any(level.wait_s for level in levels))


def finish_sign_in(attempt: Attempt) -> None:
    """Forget an attempt that had the right password; a doubtful one counts for its account."""
    counted = [] if not attempt.doubtful else [b for b in attempt.charged if "account" in b.name]
    limits.give_back([bucket for bucket in attempt.charged if bucket not in counted])


def remember_device(*, user: User, device_token: str) -> str:
    """Give the token of a device that has just signed in, the accounts it knew before included."""
    device = read_device(device_token)
    device.pop(str(user.uid), None)
    kept = dict(list(device.items())[-(ACCOUNTS_OF_A_DEVICE - 1) :])
    return signing.dumps({**kept, str(user.uid): _mark(user)}, salt=SALT)


def read_device(device_token: str) -> Device:
    """Read a device's token; one that is not ours, or too old, knows no account."""
    try:
        return dict(signing.loads(device_token, salt=SALT, max_age=settings.DEVICE_KNOWN))
    except signing.BadSignature:
        return {}


def _is_known(device: Device, email: str) -> bool:
    """Say whether a device signed in to an account since its password is as it is."""
    user = User.objects.filter(email=email).first()
    return user is not None and constant_time_compare(device.get(str(user.uid), ""), _mark(user))


def _mark(user: User) -> str:
    """Derive what stands for a password: a new one makes every device a stranger."""
    return salted_hmac(SALT, user.password).hexdigest()[:20]


def _bucket(scope: str, key: str) -> Bucket:
    capacity, window_s = settings.SIGN_IN_ATTEMPTS[scope]
    return Bucket(f"sign_in-{scope}", key, capacity, capacity / window_s)
