"""Mail: queued with what it tells of, sent by a worker, and tried again until it is too late.

A mail is never sent by two workers at once: the claim is a row lock that others skip, and a time
before which nobody else takes it. SMTP has no receipt that outlives a crash: a worker that is
killed between the server's "250 OK" and the commit of `sent` leaves a mail that is sent a second
time, under the same Message-ID.
"""

import json
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from email.utils import format_datetime, make_msgid, parseaddr
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.db import transaction
from django.db.models import Q

from common import realtime
from common.encryption import CannotDecrypt
from common.errors import DomainError
from users import gateways, rules
from users.models import Mail, User
from users.operations.people import record

logger = logging.getLogger(__name__)

TASK = "users.tasks.send_mail"
LEASE = timedelta(minutes=5)  # longer than any attempt takes: each step of one is EMAIL_TIMEOUT
CLOSED = timedelta(seconds=20)  # while the server is away, one mail asks for all of them


class MailGone(DomainError):
    """That mail was sent, or its text was dropped: it can't be sent again."""

    status = 409


@transaction.atomic
def queue_mail(*, messages: Sequence[EmailMessage], now: datetime) -> int:
    """Queue mails in the caller's transaction; a worker sends them once it is committed.

    Nothing is sent to simulated customers.

    :returns: how many have somebody to go to
    :raises TypeError: for an attachment, which nothing here sends
    """
    simulated = _simulated(messages)
    rows = [
        Mail(
            recipients=", ".join(message.recipients()),
            about=getattr(message, "about", ""),
            content=_write(message, now),
            created_at=now,
            due_at=now,
            expires_at=now + timedelta(hours=settings.MAIL_HOURS),
        )
        for message in messages
        if not simulated.issuperset(message.recipients())
    ]
    Mail.objects.bulk_create(rows)
    if rows:
        realtime.run_soon(TASK)
    return len(rows)


def _simulated(messages: Sequence[EmailMessage]) -> set[str]:
    """Name the addresses behind which there is nobody."""
    if not settings.DEMO:
        return set()
    addresses = [address for message in messages for address in message.recipients()]
    known = User.objects.filter(email__in=addresses, simulated=True)
    return set(known.values_list("email", flat=True))


def send_next_mail(*, now: datetime) -> bool:
    """Send the mail that has been due the longest.

    :returns: whether to look for another one at once
    """
    mail = _claim(now)
    if mail is None:
        return False
    try:
        gateways.post_office().send(_read(mail))
    except gateways.OfficeClosed as error:
        _try_later(mail, error, now)
        Mail.objects.filter(status=Mail.Status.QUEUED, due_at__lte=now).update(due_at=now + CLOSED)
        return False
    except (gateways.Refused, CannotDecrypt) as error:
        logger.warning("mail %s is refused for good: %s", mail.uid, error)
        _still(mail).update(status=Mail.Status.FAILED, last_error=str(error))
    except gateways.Undelivered as error:
        _try_later(mail, error, now)
    else:
        _still(mail).update(status=Mail.Status.SENT, sent_at=now, content=None, last_error="")
    return True


@transaction.atomic
def _claim(now: datetime) -> Mail | None:
    """Take a mail that nobody else takes, for as long as an attempt may last."""
    due = Mail.objects.filter(status=Mail.Status.QUEUED, due_at__lte=now, expires_at__gt=now)
    mail = due.select_for_update(skip_locked=True).order_by("due_at", "id").first()
    if mail is not None:
        mail.attempts += 1
        mail.due_at = now + LEASE
        mail.save(update_fields=["attempts", "due_at"])
    return mail


def _still(mail: Mail) -> Any:
    """Give the claimed row, unless its time ran out and another worker has claimed it since."""
    return Mail.objects.filter(pk=mail.pk, status=Mail.Status.QUEUED, attempts=mail.attempts)


def _try_later(mail: Mail, error: Exception, now: datetime) -> None:
    logger.warning("mail %s waits for attempt %s: %s", mail.uid, mail.attempts + 1, error)
    due_at = now + rules.mail_pause(mail.attempts)
    _still(mail).update(due_at=due_at, last_error=str(error))


@transaction.atomic
def send_again(*, mail: Mail, actor: User, now: datetime) -> None:
    """Queue a mail that failed once more.

    :raises MailGone: if it was sent, still waits, or is too old
    """
    failed = Mail.objects.filter(pk=mail.pk, status=Mail.Status.FAILED, expires_at__gt=now)
    if not failed.exclude(content=None).update(status=Mail.Status.QUEUED, due_at=now):
        raise MailGone
    realtime.run_soon(TASK)
    facts = {"mail": str(mail.uid), "about": mail.about}
    record(action="mail.queued_again", actor=actor, subject=None, at=now, detail=facts)


def let_mail_go(*, now: datetime) -> int:
    """Drop what is too late to be sent, and the rows of long ago; say how many rows went."""
    late = Mail.objects.filter(expires_at__lte=now).exclude(content=None)
    late.filter(status=Mail.Status.QUEUED).update(
        status=Mail.Status.FAILED, last_error="It could not be sent in time."
    )
    late.filter(~Q(status=Mail.Status.QUEUED)).update(content=None)
    kept_since = now - timedelta(days=settings.MAIL_KEPT_DAYS)
    return Mail.objects.filter(created_at__lt=kept_since, content=None).delete()[0]


def _write(message: EmailMessage, now: datetime) -> str:
    """Write a mail as text, with the date and the name it keeps through every attempt."""
    if message.attachments:
        raise TypeError("a queued mail takes no attachment")
    domain = parseaddr(message.from_email)[1].rpartition("@")[2]
    headers = {"Message-ID": make_msgid(domain=domain), "Date": format_datetime(now)}
    alternatives = getattr(message, "alternatives", [])
    return json.dumps(
        {
            "subject": str(message.subject),
            "body": str(message.body),
            "from_email": message.from_email,
            "to": list(message.to),
            "cc": list(message.cc),
            "bcc": list(message.bcc),
            "reply_to": list(message.reply_to),
            "headers": headers | message.extra_headers,
            "alternatives": [[str(content), kind] for content, kind in alternatives],
            "subtype": message.content_subtype,
        }
    )


def _read(mail: Mail) -> EmailMultiAlternatives:
    """Make it a mail again.

    :raises CannotDecrypt: if it was queued under a key that is gone
    """
    said = json.loads(mail.content)
    subtype = said.pop("subtype")
    message = EmailMultiAlternatives(**said)
    message.content_subtype = subtype
    return message
