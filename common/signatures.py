"""Webhook signatures: `t=<unix seconds>,v1=<hex HMAC-SHA256 of "t.payload">`."""

import hashlib
import hmac
from datetime import datetime

from common.errors import DomainError

TOLERANCE_S = 300


class SignatureInvalid(DomainError):
    """The webhook's signature does not match its body and time."""

    status = 400


def sign(payload: bytes, *, secret: str, at: datetime) -> str:
    """Write the header for a payload sent at a time."""
    timestamp = str(int(at.timestamp()))
    return f"t={timestamp},v1={_digest(timestamp, payload, secret)}"


def verify(payload: bytes, header: str, *, secret: str, now: datetime) -> None:
    """Accept a payload only as its sender signed it, and only for 300 s either way.

    :raises SignatureInvalid: for a malformed header, a wrong digest, or a stale or future time
    """
    parts = dict(part.partition("=")[::2] for part in header.split(","))
    timestamp, digest = parts.get("t", ""), parts.get("v1", "")
    if not timestamp.isascii() or not timestamp.isdigit() or len(timestamp) > 12:
        raise SignatureInvalid
    if not hmac.compare_digest(digest.encode(), _digest(timestamp, payload, secret).encode()):
        raise SignatureInvalid
    if abs(int(timestamp) - now.timestamp()) > TOLERANCE_S:
        raise SignatureInvalid("The webhook's time is more than five minutes off.")


def _digest(timestamp: str, payload: bytes, secret: str) -> str:
    signed = timestamp.encode() + b"." + payload
    return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
