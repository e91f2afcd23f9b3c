"""Every page of the admin with rows on it: nothing of the database's own shows through."""

import re
from decimal import Decimal
from html import unescape

import pytest
from django.contrib import admin
from django.urls import reverse

import trading.operations
from spending import gateways
from tests import world
from tests.spending import shop
from tests.trading.floor import Floor
from users.models import User

HASH = re.compile(r"(pbkdf2|argon2|scrypt|bcrypt|md5)\S*\$\S+")
RAW = re.compile(r"""[{\[]\s*["'][\w.]+["']\s*[:,\]]""")
NAMELESS = re.compile(r"\w+ object \(\d+\)")
SCRIPT = re.compile(r"<(script|style|template|svg)\b.*?</\1>", re.DOTALL)
TAG = re.compile(r"<[^>]+>")
WIDE = 3  # fields beside each other, at 1440 px


def text_of(page: str) -> str:
    return unescape(TAG.sub(" ", SCRIPT.sub(" ", page)))


@pytest.fixture
def day(db, friday):
    """A day with a bit of everything."""
    floor, alice = Floor(), world.alice()
    world.fund(alice, "1000")
    floor.offer("1", "278.60")
    floor.ask(
        alice,
        "buy",
        "limit",
        quantity="0.5",
        limit_price="278.60",
        close=trading.operations.Close(Decimal(200), Decimal(400)),
    )
    floor.place(alice, "buy", notional="25")
    floor.run()
    apple = shop.hold_shares(alice, "AAPLx", "1")
    shop.quote(apple, ("278.40", "5"))
    card = shop.card(alice, ("AAPLx", "0"))
    asked = shop.pending(card, "60")
    shop.send(gateways.INCREMENTED, card, authorization=asked.external_id, amount="5")
    shop.send(gateways.CLEARED, card, authorization=asked.external_id)
    shop.send(gateways.REFUNDED, card, authorization=asked.external_id, amount="10")
    floor.propose_action()
    return User.objects.create_superuser("root@demo.test", world.PASSWORD)


def test_no_page_shows_a_hash_raw_json_or_a_row_without_a_name(client, day):
    client.force_login(day)
    opened, wrong = 0, []
    for model in admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        pages = [reverse(f"{name}_changelist")]
        rows = model._default_manager.order_by("-pk")[:3]
        pages += [reverse(f"{name}_change", args=[row.pk]) for row in rows]
        for page in pages:
            answer = client.get(page)
            if answer.status_code == 403:
                continue
            assert answer.status_code == 200, page
            shown = text_of(answer.content.decode())
            opened += 1
            wrong += [
                (page, found[0]) for rule in (HASH, RAW, NAMELESS) if (found := rule.search(shown))
            ]
    assert wrong == []
    assert opened > 60


def test_no_row_of_a_form_has_more_fields_than_fit_beside_each_other(rf, day):
    request = rf.get("/admin/")
    request.user = day
    wide = [
        (model._meta.label, line)
        for model, of in admin.site._registry.items()
        for _, options in of.get_fieldsets(request, None)
        for line in options["fields"]
        if isinstance(line, list | tuple) and len(line) > WIDE
    ]
    assert wide == []
