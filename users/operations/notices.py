"""What the app has to tell a customer: in the app, on their sockets, and by e-mail."""

from datetime import datetime

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.template.loader import render_to_string
from django.utils import timezone

from common import realtime, times
from users import presenters, rules
from users.models import Notice, User
from users.operations.mail import queue_mail
from users.queries import notice_data, zone_of


@transaction.atomic
def notify(
    *,
    user: User,
    kind: str,
    facts: presenters.Facts | None = None,
    url: str = "",
    key: str = "",
    now: datetime,
) -> Notice | None:
    """Tell a customer something: a notice that stays until read, and an event on their sockets.

    What is about money, orders or the account goes by e-mail too, unless they chose otherwise.

    :param kind: what it is about, as `noun.participle`: "deposit.completed"; one that an app's
        presenters can say
    :param facts: what the words are put together of where they are shown, as JSON takes it: USD
        units as numbers, shares and prices as decimals in text
    :param url: the page that shows it
    :param key: what it is of, where it is told once however often it is asked for
    :returns: None for what was told before, and for a simulated customer, who reads nothing
    """
    if user.simulated:
        return None
    assert presenters.knows(kind), f"no presenter says {kind}"
    row = {"user": user, "kind": kind, "facts": facts or {}, "url": url, "created_at": now}
    if key:
        notice, new = Notice.objects.get_or_create(key=key, defaults=row)
    else:
        notice, new = Notice.objects.create(**row), True
    if not new:
        return None
    realtime.publish_private(user.pk, "notifications", notice_data(notice))
    if wants_mail(user, kind):
        _mail(notice, now)
    return notice


def wants_mail(user: User, kind: str) -> bool:
    """Say whether a kind of notice comes by e-mail."""
    topic = rules.mail_topic(kind)
    if topic is None:
        return False
    chosen = {rules.MONEY: user.mails_money, rules.ORDERS: user.mails_orders}
    return chosen.get(topic, True)


def choose_mails(*, user: User, mails_money: bool, mails_orders: bool) -> None:
    """Let a customer choose which notices come by e-mail."""
    user.mails_money, user.mails_orders = mails_money, mails_orders
    user.save(update_fields=["mails_money", "mails_orders"])


def _mail(notice: Notice, now: datetime) -> None:
    user = notice.user
    link = settings.SITE_URL + notice.url if notice.url else ""
    with timezone.override(zone_of(user)):
        page = {"notice": notice, "link": link, "site": settings.SITE_URL, "at": times.moment(now)}
        message = EmailMultiAlternatives(
            notice.title, render_to_string("users/email/notice.txt", page), None, [user.email]
        )
        message.attach_alternative(render_to_string("users/email/notice.html", page), "text/html")
    message.about = notice.kind  # type: ignore[attr-defined]
    queue_mail(messages=[message], now=now)
