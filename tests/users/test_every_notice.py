"""Every notice: somebody says it, and what is about money, orders or the account is mailed."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

import users.operations
from tests import world
from users import presenters, rules
from users.models import Mail, Notice

ROOT = Path(__file__).resolve().parents[2]
APPS = ("kyc", "payments", "portfolio", "spending", "trading", "users")
CARD = {"last_four": "4242", "reason": ""}
PAID = {"units": 12_340_000, "merchant": "Café", "reason": "", "sold": [], "fee_units": 0}
ORDER = {
    "side": "buy",
    "name": "Apple",
    "symbol": "AAPLx",
    "filled": "0.50000000",
    "price": "278.6",
    "fired": False,
    "reason": "",
}
SOLD = [{"symbol": "AAPLx", "shares": "0.01234567", "price": "278.5"}]

# A kind, its facts, what is read, and whether it is mailed.
SAID = [
    ("order.filled", ORDER, "Your order to buy Apple is filled", True),
    ("order.partly_filled", ORDER, "Your order to buy Apple is partly filled", True),
    ("order.triggered", ORDER, "Your order to buy Apple has fired", True),
    ("order.expired", ORDER, "Your order to buy Apple has expired", True),
    ("order.cancelled", ORDER, "Your order to buy Apple was cancelled", True),
    ("order.rejected", ORDER, "Your order to buy Apple was not accepted by the market", True),
    ("shares.changed", {"title": "Apple was split 4 for 1", "event": "E"}, "Apple was split", True),
    ("deposit.completed", {"units": 5 * 10**6, "reference": "KRAK1"}, "$5.00 arrived", True),
    ("deposit.completed", {"units": 5 * 10**6, "reference": ""}, "$5.00 arrived", True),
    ("deposit.waiting", {"units": 5 * 10**6, "reference": "KRAK1"}, "is being checked", True),
    ("account.adjusted", {"units": -(10**6), "message": "M"}, "$1.00 taken from", True),
    ("account.adjusted", {"units": 10**6, "message": "M"}, "$1.00 added to", True),
    ("application.approved", {"message": ""}, "Your account is open", True),
    ("application.rejected", {"message": "No."}, "We could not open your account", True),
    ("application.reopened", {"message": ""}, "You can correct your answers", True),
    ("account.restricted", {"message": "M"}, "Your account is limited", True),
    ("account.frozen", {"message": "M"}, "Your account is frozen", True),
    ("account.lifted", {"message": ""}, "Your account is open again", True),
    ("card.issued", CARD, "Your card ending in 4242 is ready", True),
    ("card.activated", CARD, "is active again", False),
    ("card.frozen", CARD, "Your card ending in 4242 is frozen", True),
    ("card.frozen", {"last_four": "4242", "short_units": 10_000_001}, "is frozen", True),
    ("card.cancelled", CARD, "is cancelled", True),
    ("card.approved", PAID, "You paid $12.34 at Café", False),
    ("card.approved", {**PAID, "units": 0}, "Café checked your card", False),
    ("card.partial", {**PAID, "sold": SOLD}, "You paid $12.34 at Café", False),
    ("card.declined", {**PAID, "reason": "card_frozen"}, "$12.34 at Café was declined", False),
    ("card.incremented", PAID, "$12.34 more is set aside at Café", False),
    ("card.cleared_more", {**PAID, "aside_units": 10**7}, "$12.34 was taken at Café", True),
    ("card.reversed", {**PAID, "undone": SOLD, "sold": 1}, "$12.34 at Café was reversed", False),
    ("card.reversed", {**PAID, "undone": [], "sold": 1}, "$12.34 at Café was reversed", False),
    ("card.expired", PAID, "$12.34 was never taken by Café", False),
    ("card.refunded", PAID, "$12.34 came back to you", True),
    ("card.debt_recovered", PAID, "$12.34 went to what you owed", True),
    ("card.debt_forgiven", PAID, "$12.34 of what you owed is forgiven", True),
]


@pytest.mark.django_db
@pytest.mark.parametrize(("kind", "facts", "title", "mailed"), SAID)
def test_a_notice_is_said_and_mailed(kind, facts, title, mailed):
    alice = world.alice()
    before = Mail.objects.count()
    notice = users.operations.notify(user=alice, kind=kind, facts=facts, now=world.NOW)
    told = Notice.objects.get(pk=notice.pk)
    assert title in told.title
    assert Mail.objects.count() - before == mailed


def test_every_kind_that_somebody_says_is_in_the_table():
    security = {f"security.{kind}" for kind in rules.SECURITY_ACTS}
    assert {kind for kind, *_ in SAID} | security == set(presenters._speakers)


def test_every_kind_that_is_told_can_be_said():
    kinds = set()
    for app in APPS:
        for path in (ROOT / app / "operations").glob("*.py"):
            kinds |= set(re.findall(r'kind="([a-z]+\.[a-z_]+)"', path.read_text()))
    told = {kind for kind in kinds if rules.mail_topic(kind) or kind.startswith("card.")}
    assert told
    assert all(presenters.knows(kind) for kind in told)


def test_every_topic_of_mails_is_of_some_kind():
    kinds = {kind for kind, *_ in SAID}
    assert all(any(kind.startswith(begin) for kind in kinds) for begin in rules.TOPICS)


@pytest.mark.django_db
class TestSayingTheOld:
    def test_reads_what_a_release_kept_as_words(self):
        at = datetime(2026, 1, 1, tzinfo=UTC)
        facts = {"said": ["Hello", "There"]}
        old = Notice(user=world.alice(), kind="gone.by", facts=facts, created_at=at)
        assert (old.title, old.body) == ("Hello", "There")

    def test_names_a_kind_that_nobody_says_any_more(self):
        assert Notice(user=world.alice(), kind="gone.by").title == "gone.by"

    def test_lets_nobody_tell_what_nobody_says(self):
        with pytest.raises(AssertionError, match="no presenter says"):
            users.operations.notify(user=world.alice(), kind="gone.by", now=world.NOW)
