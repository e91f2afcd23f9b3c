"""The card processor: who issues cards, and whose signed webhooks ask and tell.

The embedded default is a simulator. It makes cards of a test range whose numbers are forgotten at
once, and it plays the card network, over HTTP, against our own webhook, as a real one would.
"""

import json
import secrets
import time
from dataclasses import asdict, dataclass
from datetime import date, datetime
from hashlib import sha256
from typing import Any, Protocol

import httpx
from django.conf import settings
from django.urls import reverse

from common import payloads
from common.errors import DomainError
from common.money import USD, Amount
from common.signatures import sign, verify
from spending.rules import luhn_digit

SIGNATURE_HEADER = "Webhook-Signature"
TEST_RANGE = "40000566"  # a range nobody issues from
YEARS_VALID = 4
PATIENCE_S = 5.0

REQUESTED = "authorization.requested"
ADVISED = "authorization.advised"
INCREMENTED = "authorization.incremented"
REVERSED = "authorization.reversed"
EXPIRED = "authorization.expired"
CLEARED = "transaction.cleared"
REFUNDED = "transaction.refunded"
KINDS = {REQUESTED, ADVISED, INCREMENTED, REVERSED, EXPIRED, CLEARED, REFUNDED}
MAY_BE_ZERO = {REQUESTED, ADVISED}  # who asks for nothing checks that the card is good


class EventMalformed(DomainError):
    """The event is not one this endpoint understands."""

    status = 400


class NoCardsHere(DomainError):
    """Cards are not offered here yet."""

    status = 503


class NetworkUnreachable(DomainError):
    """The simulated card network could not reach this platform; is it running?"""

    status = 503


@dataclass(frozen=True, slots=True)
class IssuedCard:
    """What is kept of a new card."""

    token: str
    brand: str
    last_four: str
    expires_on: date


@dataclass(frozen=True, slots=True)
class Event:
    """One request or message of the network; `amount` in USD units, None for "all of it"."""

    id: str
    kind: str
    card: str
    authorization: str
    amount: int | None
    merchant: str
    mcc: str
    partial_allowed: bool
    final: bool

    @property
    def digest(self) -> str:
        """Name what the event says, so that another one under its id is noticed."""
        return sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Reply:
    """What the platform answered to the network, and how long that took."""

    status: int
    body: dict[str, Any]
    ms: int


class CardProcessor(Protocol):
    """Issues cards, and reads what the network sends."""

    def issue(self, *, today: date) -> IssuedCard:
        """Make a card.

        :raises NoCardsHere: if nobody would honor it
        """
        ...

    def read(self, payload: bytes, *, signature: str, now: datetime) -> Event:
        """Check a webhook's signature and read it.

        :raises SignatureInvalid: if the processor did not sign it, or not just now
        :raises EventMalformed: if it says nothing we know
        """
        ...


class SimulatedProcessor:
    """A processor without a bank behind it."""

    def issue(self, *, today: date) -> IssuedCard:
        """Draw a valid number of the test range and keep only its last four digits.

        No merchant takes it, so none is made outside demo mode.
        """
        if not settings.DEMO:
            raise NoCardsHere
        digits = TEST_RANGE + f"{secrets.randbelow(10**7):07}"
        number = digits + luhn_digit(digits)
        first_of_month = date(today.year + YEARS_VALID, today.month, 1)
        return IssuedCard(
            f"card_{secrets.token_urlsafe(24)}", "KrakApp", number[-4:], first_of_month
        )

    def read(self, payload: bytes, *, signature: str, now: datetime) -> Event:
        """Check the shared secret's signature and read the JSON."""
        verify(payload, signature, secret=settings.CARD_WEBHOOK_SECRET, now=now)
        try:
            return _event(payloads.read(payload))
        except payloads.Unreadable as error:
            raise EventMalformed(error.detail) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise EventMalformed from error


class SimulatedNetwork:
    """Plays the card network: signs events and sends them to this platform's webhook."""

    def send(self, event: dict[str, Any], *, now: datetime) -> Reply:
        """Send one event and wait for the answer.

        :raises NetworkUnreachable: if nobody answers in five seconds
        """
        payload = json.dumps(event).encode()
        signature = sign(payload, secret=settings.CARD_WEBHOOK_SECRET, at=now)
        headers = {SIGNATURE_HEADER: signature, "Content-Type": "application/json"}
        url = settings.SITE_URL.rstrip("/") + reverse("spending:webhook")
        begun = time.perf_counter()
        try:
            response = httpx.post(
                url, content=payload, headers=headers, timeout=PATIENCE_S, trust_env=False
            )
            body = response.json()
        except (httpx.HTTPError, ValueError) as error:
            raise NetworkUnreachable from error
        return Reply(response.status_code, body, round((time.perf_counter() - begun) * 1000))


def processor() -> CardProcessor:
    """Give the processor this installation issues with."""
    return SimulatedProcessor()


def network() -> SimulatedNetwork:
    """Give the simulated network.

    :raises NoCardsHere: outside demo mode, where whoever may run a command must not spend
    """
    if not settings.DEMO:
        raise NoCardsHere
    return SimulatedNetwork()


def _event(body: dict[str, Any]) -> Event:
    """Read an event's fields.

    :raises ValueError: for what cannot be read, and its relatives
    """
    if body["type"] not in KINDS or body.get("currency", "USD") != "USD":
        raise ValueError
    merchant = body.get("merchant") or {}
    event = Event(
        id=_text(body["id"]),
        kind=body["type"],
        card=_text(body["card"]),
        authorization=_text(body.get("authorization") or ""),
        amount=_units(body.get("amount")),
        merchant=_words(merchant.get("name"))[:100],
        mcc=_words(merchant.get("category"))[:4],
        partial_allowed=body.get("partial_allowed") is True,
        final=body.get("final") is not False,
    )
    if not event.id or (event.amount is None and event.kind in {REQUESTED, ADVISED, INCREMENTED}):
        raise ValueError
    if event.amount == 0 and event.kind not in MAY_BE_ZERO:
        raise ValueError
    return event


def _words(value: Any) -> str:
    """Read what people wrote."""
    return str(value or "")


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 64:
        raise ValueError
    return value


def _units(value: Any) -> int | None:
    if value is None:
        return None
    units = Amount.parse(_text(value), USD, field="amount").units
    if units < 0:
        raise ValueError
    return units
