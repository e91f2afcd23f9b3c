"""The bank: it tells us what arrived by signed webhooks.

A webhook's body is one JSON object, `{"id", "reference", "currency": "USD", "amount": "250.00"}`,
and its header `Webhook-Signature` is `t=…,v1=…` under the secret we share (`common.signatures`).
Like every bank's, the news may come twice, late, and in any order.
"""

import logging
import zlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal, Protocol

import httpx
import msgspec
from django.conf import settings

from common import payloads, signatures
from common.errors import DomainError
from common.money import USD, Amount
from payments.gateways.statements import (
    Entry,
    Folder,
    SimulatedRecord,
    Statement,
    StatementGateway,
    StatementMalformed,
)

__all__ = ["Entry", "Statement", "StatementMalformed"]

logger = logging.getLogger(__name__)

HEADER = "Webhook-Signature"
TIMEOUT_S = 5
SLOWEST_S = 3
TWICE_OF_FIVE = 2


class WebhookMalformed(DomainError):
    """The webhook's body is not what was agreed."""

    status = 400


@dataclass(frozen=True, slots=True)
class Credit:
    """Money that arrived in our account at the bank."""

    external_id: str
    reference: str
    amount: Amount


@dataclass(frozen=True, slots=True)
class Expected:
    """A deposit that a customer has announced and not yet paid."""

    reference: str
    amount: Amount
    since: datetime


class BankGateway(Protocol):
    """What we ask of a bank."""

    def read_credit(self, payload: bytes, signature: str, *, now: datetime) -> Credit:
        """Read a webhook that the bank has signed.

        :raises common.signatures.SignatureInvalid: if the bank has not
        :raises WebhookMalformed: if the body is not what was agreed
        """
        ...


class News(msgspec.Struct, forbid_unknown_fields=True):
    """The webhook's body."""

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[\x21-\x7e]+$")]
    reference: Annotated[str, msgspec.Meta(max_length=140, pattern=r"^[^\x00]*$")]
    currency: Literal["USD"]
    amount: Annotated[str, msgspec.Meta(pattern=r"^\d{1,12}(\.\d{1,6})?$")]


class WebhookBank:
    """A bank, or a payments provider, that posts its news to us in the agreed form."""

    def __init__(self, secret: str) -> None:
        """Share a secret with the bank."""
        self.secret = secret

    def read_credit(self, payload: bytes, signature: str, *, now: datetime) -> Credit:
        """Read a webhook that the bank has signed."""
        signatures.verify(payload, signature, secret=self.secret, now=now)
        try:
            news = msgspec.convert(payloads.read(payload), News)
        except (payloads.Unreadable, msgspec.ValidationError) as error:
            raise WebhookMalformed(f"The webhook's body is not what was agreed: {error}") from error
        amount = Amount.parse(news.amount, USD, field="amount")
        if not amount:
            raise WebhookMalformed("The webhook speaks of no money at all.")
        return Credit(news.id, news.reference, amount)


class SimulatedBank(WebhookBank):
    """The demo's bank, and its customers: whatever was announced is paid within seconds.

    It behaves as badly as real ones: some news comes late, so that orders change, and some comes
    twice, at the same moment. Which does is decided by the reference alone. A deposit that still
    waits is told again, under the same id. What it booked it keeps in a record of its own.
    """

    def __init__(
        self,
        secret: str,
        url: str,
        transport: httpx.BaseTransport | None = None,
        record: SimulatedRecord | None = None,
    ) -> None:
        """Post to a URL, and book in a record; tests bring their own transport."""
        super().__init__(secret)
        self.url = url
        self.transport = transport
        self.record = record

    def pay(self, expected: Iterable[Expected], *, now: datetime) -> int:
        """Pay what is due by now, and tell; say how many webhooks were answered with success."""
        due = [one for one in expected if one.since + delay(one.reference) <= now]
        if self.record:  # before anybody is told: some news never arrives
            self.record.book(
                Entry(f"sim-{one.reference}", one.reference, one.amount, now.date()) for one in due
            )
        news = [body for one in sorted(due, key=luck) for body in self._tell(one)]
        if not news:
            return 0
        with (
            httpx.Client(transport=self.transport, timeout=TIMEOUT_S, trust_env=False) as client,
            ThreadPoolExecutor(max_workers=4) as workers,
        ):
            return sum(workers.map(lambda body: self._post(client, body, now), news))

    def _tell(self, one: Expected) -> Sequence[bytes]:
        news = News(f"sim-{one.reference}", one.reference, "USD", str(one.amount))
        return [msgspec.json.encode(news)] * (2 if luck(one) % 5 < TWICE_OF_FIVE else 1)

    def _post(self, client: httpx.Client, body: bytes, now: datetime) -> bool:
        signature = signatures.sign(body, secret=self.secret, at=now)
        headers = {HEADER: signature, "Content-Type": "application/json"}
        try:
            answer = client.post(self.url, content=body, headers=headers)
        except httpx.HTTPError as error:
            logger.warning("the simulated bank could not reach us, and will try again: %s", error)
            return False
        if not answer.is_success:
            logger.error("the simulated bank was answered %s: %s", answer.status_code, answer.text)
        return answer.is_success


def luck(one: Expected) -> int:
    """Give the number that decides how the bank treats a deposit."""
    return zlib.crc32(one.reference.encode())


def delay(reference: str) -> timedelta:
    """Say how long this bank takes: none to three seconds."""
    return timedelta(seconds=zlib.crc32(reference[::-1].encode()) % (SLOWEST_S + 1))


def bank() -> BankGateway:
    """Give the bank that may send us webhooks."""
    return WebhookBank(settings.BANK_WEBHOOK_SECRET)


def simulated_bank() -> SimulatedBank | None:
    """Give the demo's bank; outside demo mode there is none."""
    if not settings.DEMO:
        return None
    return SimulatedBank(
        settings.BANK_WEBHOOK_SECRET,
        f"{settings.SITE_URL}/webhooks/bank",
        record=simulated_record(),
    )


def simulated_record() -> SimulatedRecord:
    """Give what the demo's bank booked."""
    return SimulatedRecord(settings.HOME / "bank" / "record.jsonl")


def statement_source() -> StatementGateway | None:
    """Give who has the bank's statements; None where no folder for them is named."""
    if settings.DEMO:
        return simulated_record()
    if not settings.BANK_STATEMENTS:
        return None
    return Folder(Path(settings.BANK_STATEMENTS), settings.BANK_DETAILS["iban"])
