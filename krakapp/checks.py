"""What `manage.py check --deploy` refuses of the settings, beside Django's own list."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register

import users.queries

SECRETS = ("SECRET_KEY", "BANK_WEBHOOK_SECRET", "CARD_WEBHOOK_SECRET")
SHORTEST = 32
LEAST_BITS = 128
MAKE_ONE = "Make one with `openssl rand -base64 48`."


@register(Tags.security, deploy=True)
def secrets_are_strong(**_kwargs: Any) -> list[CheckMessage]:
    """Refuse secrets that can be guessed, or that one who knows another one knows too."""
    given = {name: str(getattr(settings, name)) for name in SECRETS}
    for number, key in enumerate(settings.PERSONAL_DATA_KEYS, start=1):
        given[f"key {number} of PERSONAL_DATA_KEYS"] = key
    weak = [
        Error(f"{name} {fault}.", hint=MAKE_ONE, id="krakapp.E001")
        for name, secret in given.items()
        if (fault := fault_of(secret))
    ]
    same = [
        Error(f"{one} and {other} are the same.", hint=MAKE_ONE, id="krakapp.E002")
        for one, other in combinations(given, 2)
        if given[one] == given[other]
    ]
    return [*weak, *same]


def fault_of(secret: str) -> str:
    """Say what makes a secret weak; nothing if it looks random."""
    if secret.startswith("django-insecure-"):
        return "was made for development"
    if len(secret) < SHORTEST:
        return f"has {len(secret)} characters: take {SHORTEST} at least"
    steps = [ord(after) - ord(before) for before, after in pairwise(secret)]
    if sum(abs(step) <= 1 for step in steps) > len(steps) / 2:
        return "is a row of characters one after the other"
    if _bits(secret) < LEAST_BITS:
        return f"repeats itself: it is worth less than {LEAST_BITS} random bits"
    return ""


def _bits(text: str) -> float:
    """Estimate the bits of a text: what one character tells, times how many do not repeat."""
    counts = Counter(text)
    each = -sum(n / len(text) * math.log2(n / len(text)) for n in counts.values())
    fresh = len({text[start : start + 3] for start in range(len(text) - 2)}) + 2
    return each * fresh


@register(Tags.security, deploy=True)
def strangers_are_told_apart(**_kwargs: Any) -> Iterator[CheckMessage]:
    """Refuse an installation that believes whatever name, scheme or address a client claims."""
    if any(host.strip() in {"*", "."} for host in settings.ALLOWED_HOSTS):
        yield Error(
            "ALLOWED_HOSTS takes every name: links in mail would lead where a stranger wants.",
            hint="List the names that customers type.",
            id="krakapp.E003",
        )
    if settings.SECURE_TLS and not settings.TRUSTED_PROXIES:
        yield Error(
            "TRUSTED_PROXIES is empty: nobody could say that a request came by HTTPS.",
            hint="List the addresses of the proxies that end TLS, as 10.0.0.0/8 or 127.0.0.1; "
            "they have to set X-Forwarded-Proto and X-Forwarded-For themselves.",
            id="krakapp.E004",
        )
    if {"*", "0.0.0.0/0", "::/0"} & set(settings.TRUSTED_PROXIES):
        yield Error(
            "TRUSTED_PROXIES trusts everybody: any client could claim HTTPS and any address.",
            hint="List the addresses of the proxies alone.",
            id="krakapp.E005",
        )


@register(Tags.database, deploy=True)
def nobody_is_simulated(databases: Sequence[str] | None, **_kwargs: Any) -> Iterator[CheckMessage]:
    """Refuse a database of a demo, whose customers are nobody, where people are real."""
    if not settings.DEMO and databases and users.queries.simulated_customers().exists():
        yield Error(
            "The database holds simulated customers: it is a demo's.",
            hint="Choose another DATABASE_URL, or set KRAKAPP_DEMO=1.",
            id="krakapp.E008",
        )


@register(Tags.security, deploy=True)
def nothing_is_made_up(**_kwargs: Any) -> Iterator[CheckMessage]:
    """Refuse demo mode and made-up prices where people bring real money."""
    if settings.DEMO:
        yield Error(
            "KRAKAPP_DEMO is on: people, bank and cards are made up, and passwords are known.",
            hint="Set KRAKAPP_DEMO=0, on a KRAKAPP_HOME of its own.",
            id="krakapp.E006",
        )
    if settings.PRICE_FEED == "simulated":
        yield Error(
            "PRICE_FEED is simulated: cards and the house would trade at made-up prices.",
            hint="Set PRICE_FEED to kraken.",
            id="krakapp.E007",
        )
