"""What steers the markets: listing, states, sessions, price bands, corporate actions.

Nothing here touches a book. Each verb puts a command into the engine's inbox, so that the log says
when it happened and a replay sees it; what staff did is in the audit trail besides.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction

import users.operations
from common.errors import DomainError
from common.money import EXACT
from instruments.models import Instrument
from market import queries as market
from market.rules import sessions
from trading import queries, rules
from trading.engine import InstrumentState
from trading.engine.state import BIGGEST_MULTIPLIER_E18
from trading.models import Book, Command, Shard
from trading.operations import inbox
from users.models import User

MICRO = 1_000_000
HALTS = (Book.State.CANCEL_ONLY, Book.State.MAINTENANCE)  # the stricter last
AHEAD = timedelta(days=21)  # the engine knows the sessions of three weeks
ENOUGH = timedelta(days=8)  # and is told anew before less than this is left


class NothingChanges(DomainError):
    """That is how it is already."""


class HaltMeansLess(DomainError):
    """A halt takes fewer orders than now; to let a market take more is proposed."""

    field = "state"


class NoMultiplier(DomainError):
    """A multiplier is a positive number of at most 18 decimals."""

    field = "multiplier"
    status = 400


@transaction.atomic
def list_books(*, shard_name: str) -> int:
    """Give every listed instrument without a book one, by a command to the engine.

    :returns: how many are new
    """
    shard, _ = Shard.objects.get_or_create(name=shard_name)
    missing = list(Instrument.objects.filter(listed=True, book=None).order_by("id"))
    Book.objects.bulk_create(
        [Book(instrument=one, shard=shard, tier=_first_tier(one)) for one in missing],
        ignore_conflicts=True,
    )
    _send(shard.pk, "instrument", [_listing(instrument) for instrument in missing])
    return len(missing)


@transaction.atomic
def change_state(*, book: Book, state: str, actor: User, reason: str, now: datetime) -> Book:
    """Open, restrict or close a market; delisting cancels every order on it.

    It holds from when the engine has sequenced the command; `book.state` follows then.

    :param state: one of `Book.State`
    :param reason: why, for the audit trail
    :raises NothingChanges: if that is its state
    """
    if book.state == state:
        raise NothingChanges
    payload = {"instrument": book.instrument_id, "state": Book.State(state).value}
    _send(book.shard_id, "state", [payload])
    _record("market.state_changed", book, actor, reason, now, {"from": book.state, "to": state})
    return book


@transaction.atomic
def halt_market(*, book: Book, state: str, actor: User, reason: str, now: datetime) -> Book:
    """Stop a market at once: the one change of its state that one person makes alone.

    :param state: one of `HALTS`, and stricter than the present one
    :raises HaltMeansLess: if it would let the market take as much as now, or more
    """
    if state not in HALTS or _strictness(state) <= _strictness(book.state):
        raise HaltMeansLess
    return change_state(book=book, state=state, actor=actor, reason=reason, now=now)


def _strictness(state: str) -> int:
    closed = (*HALTS, Book.State.DELISTED)
    return closed.index(Book.State(state)) + 1 if state in closed else 0


@transaction.atomic
def change_tier(*, book: Book, tier: int, actor: User, reason: str, now: datetime) -> Book:
    """Move a market to another tier of price bands.

    :param reason: why, for the audit trail
    :raises NothingChanges: if that is its tier
    """
    if book.tier == tier:
        raise NothingChanges
    before, book.tier = book.tier, Book.Tier(tier)
    book.save(update_fields=["tier"])
    _record("market.tier_changed", book, actor, reason, now, {"from": before, "to": tier})
    steer_markets(now=now)
    return book


@transaction.atomic
def change_multiplier(
    *, book: Book, multiplier: Decimal, actor: User, reason: str, now: datetime
) -> Book:
    """Let base units stand for another number of shares from now on.

    Corporate actions alone do this: the trigger `multiplier_command_guard` refuses a multiplier
    that none of them, ordered by now, explains.

    One command does it whole: the engine cancels every open order (`corporate_action`), takes the
    quotes out, sets the multiplier and forgets the prices of before; trading goes on with the next
    command, and refuses orders that were still counted by the old one. The instrument's own row
    changes in the batch that carries it out.

    :param multiplier: shares a base share stands for, whole: not the factor of the change
    :param reason: the event, for the audit trail
    :raises NoMultiplier: if it is not a positive number of at most 18 decimals
    """
    payload = {"instrument": book.instrument_id, "multiplier_e18": require_multiplier(multiplier)}
    _send(book.shard_id, "multiplier", [payload])
    before = book.instrument.multiplier
    change = {"from": f"{before.normalize():f}", "to": f"{multiplier.normalize():f}"}
    _record("market.multiplier_changed", book, actor, reason, now, change)
    return book


def require_multiplier(multiplier: Decimal) -> int:
    """Give a multiplier as the engine counts it, in 10^-18.

    :raises NoMultiplier: if it is not a positive number of at most 18 decimals
    """
    e18 = multiplier.scaleb(18, EXACT) if multiplier.is_finite() else Decimal(0)
    if not 0 < e18 <= BIGGEST_MULTIPLIER_E18 or e18 != int(e18):
        raise NoMultiplier
    return int(e18)


@transaction.atomic
def steer_markets(*, now: datetime) -> int:
    """Tell the engines the sessions and price bands that differ from what they were told.

    A shard that has not sequenced what it was told before is left alone. Safe to repeat.

    :returns: how many commands went out
    """
    waiting = Command.objects.filter(sequence=None, kind__in=["band", "hours"])
    told = 0
    for shard in Shard.objects.exclude(pk__in=waiting.values("shard")).order_by("id"):
        books = list(shard.books.select_related("instrument").order_by("instrument_id"))
        for kind, payloads in (("hours", _hours(books, now)), ("band", _bands(books, now))):
            told += _send(shard.pk, kind, payloads)
    return told


def _hours(books: Sequence[Book], now: datetime) -> list[dict[str, Any]]:
    """Say when instruments trade, where the engine knows too little of it."""
    payloads = []
    for hours in Instrument.Hours:
        late = [
            book.instrument_id
            for book in books
            if book.instrument.hours == hours and not _knows_hours(book, now)
        ]
        if late:
            payloads.append({"instruments": late, "spans": _spans(hours, now)})
    return payloads


def _knows_hours(book: Book, now: datetime) -> bool:
    spans = book.engine_state.get("hours")
    if book.instrument.hours == Instrument.Hours.ALWAYS:
        return spans is None
    return bool(spans) and spans[-1][1] >= _us(now + ENOUGH)


def _spans(hours: str, now: datetime) -> list[list[int]] | None:
    """Give the sessions from the present one on, in the engine's time; None for any hour.

    They begin a day early, so that a clock that differs a little sees the present one.
    """
    if hours == Instrument.Hours.ALWAYS:
        return None
    spans = sessions.open_spans(hours, now - timedelta(days=1), now + AHEAD)
    return [[_us(opens), _us(closes)] for opens, closes in spans]


def _bands(books: Sequence[Book], now: datetime) -> list[dict[str, Any]]:
    """Say the price bands that the policy asks for and the engine has not got."""
    policy = queries.BandPolicy.at(now)
    references = market.references([book.instrument for book in books])
    payloads = []
    for book in books:
        reference = references.get(book.instrument.symbol)
        rule = policy.rule(book.tier, reference.price if reference else None)
        wanted: dict[str, int | None] = {"band_ppm": None}
        if rule is not None:
            wanted = {
                "band_ppm": rules.ppm(rule.width),
                "band_after_us": rule.after_s * MICRO,
                "pause_us": rule.pause_s * MICRO,
            }
        if book.engine_state and not _has(book, wanted):
            payloads.append({"instrument": book.instrument_id, **wanted})
    return payloads


def _has(book: Book, wanted: dict[str, int | None]) -> bool:
    defaults = {"band_ppm": None, **_defaults()}
    return all(book.engine_state.get(name, defaults[name]) == wanted[name] for name in wanted)


def _defaults() -> dict[str, int]:
    blank = InstrumentState(0, 1, 1)
    return {"band_after_us": blank.band_after_us, "pause_us": blank.pause_us}


def _first_tier(instrument: Instrument) -> int:
    """Put the names that trade at any hour, the most liquid ones, into the narrow tier."""
    always = instrument.hours == Instrument.Hours.ALWAYS
    return Book.Tier.TIER_1 if always else Book.Tier.TIER_2


def _listing(instrument: Instrument) -> dict[str, Any]:
    num, den = instrument.tick_size.as_integer_ratio()
    return {
        "instrument": instrument.pk,
        "tick_num": num,
        "tick_den": den,
        "base_scale": rules.SHARE_SCALE,
        "multiplier_e18": queries.scale_of(instrument).multiplier_e18,
        "state": "online",
    }


def _send(shard_id: int, kind: str, payloads: Iterable[dict[str, Any]]) -> int:
    """Put commands into a shard's inbox."""
    commands = [inbox.NewCommand(shard_id, kind, payload) for payload in payloads]
    inbox.insert_commands(commands)
    return len(commands)


def _record(
    action: str, book: Book, actor: User, reason: str, now: datetime, change: dict[str, Any]
) -> None:
    users.operations.record(
        action=action,
        actor=actor,
        subject=None,
        at=now,
        reason=reason,
        detail={"instrument": book.instrument.symbol, **change},
    )


def _us(moment: datetime) -> int:
    return round(moment.timestamp() * MICRO)
