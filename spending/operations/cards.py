"""Issuing a card and steering it: on, off, and what pays."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_CEILING, Decimal

from django.db import transaction

import kyc.queries
import ledger.queries
import users.operations
import users.queries
from common.errors import DomainError
from common.money import CENT, EXACT, Amount, parse_decimal
from instruments.models import Instrument
from spending import gateways, queries
from spending.models import Card, FundingSource
from users.models import User

CARDS_AT_MOST = 5
SOURCES_AT_MOST = 20


class TooManyCards(DomainError):
    """You have five cards already; cancel one you no longer use."""

    status = 409


class CardCancelled(DomainError):
    """This card is cancelled for good; issue a new one."""

    status = 409


class CardFrozenForYou(DomainError):
    """This card was frozen by us; write to support."""

    status = 403


class CardNotFrozen(DomainError):
    """This card is not frozen."""

    status = 409


class CardOwes(DomainError):
    """You owe for a payment that took more than there was. New money settles that first."""

    status = 409


class FundingInvalid(DomainError):
    """Choose what pays from your dollars and listed shares, each once."""

    field = "sources"


@dataclass(frozen=True, slots=True)
class FundingChoice:
    """An asset that may pay, and how much of it (in dollars or shares) is kept."""

    asset: str
    keep: str


def issue_card(*, user: User, now: datetime) -> Card:
    """Issue a virtual card, ready to pay from the customer's cash.

    :raises kyc.queries.VerificationRequired: before the customer may spend
    :raises users.queries.ValueHeld: soon after how the account is entered was changed
    :raises CardOwes: while the customer owes after a shortfall
    :raises TooManyCards: beyond five that are not cancelled
    """
    kyc.queries.require(user, "spend")
    users.queries.require_value_free(user, now=now)
    issued = gateways.processor().issue(today=now.date())
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).get(pk=user.pk)
        if queries.debt_of(user):
            raise CardOwes
        live = Card.objects.filter(user=user).exclude(status=Card.Status.CANCELLED)
        if live.count() >= CARDS_AT_MOST:
            raise TooManyCards
        card = Card.objects.create(
            user=user,
            token=issued.token,
            brand=issued.brand,
            last_four=issued.last_four,
            expires_on=issued.expires_on,
            created_at=now,
        )
        FundingSource.objects.create(card=card, position=0, asset_id=ledger.queries.usd().pk)
        _tell(card, "card.issued", "", now)
        users.operations.record(action="card.issued", actor=user, subject=user, at=now)
    return card


def activate_card(*, card: Card, actor: User, now: datetime) -> Card:
    """Let an inactive card pay; an active one stays as it is.

    :raises CardOwes: while its holder owes after a shortfall
    :raises CardCancelled: if it is cancelled
    """
    return _turn(card, Card.Status.ACTIVE, actor, now, when=(Card.Status.INACTIVE,))


def freeze_card(*, card: Card, actor: User, reason: str = "", now: datetime) -> Card:
    """Stop a card from paying until it is unfrozen; what it paid before still clears.

    :raises CardCancelled: if it is cancelled
    """
    when = (Card.Status.ACTIVE, Card.Status.INACTIVE, Card.Status.FROZEN)
    return _turn(card, Card.Status.FROZEN, actor, now, when=when, reason=reason)


def unfreeze_card(*, card: Card, actor: User, reason: str = "", now: datetime) -> Card:
    """Let a frozen card pay again.

    :raises CardFrozenForYou: if somebody else froze it, and the actor is no staff
    :raises CardOwes: while its holder owes after a shortfall
    :raises CardCancelled: if it is cancelled
    """
    when = (Card.Status.FROZEN,)
    return _turn(card, Card.Status.ACTIVE, actor, now, when=when, reason=reason)


def cancel_card(*, card: Card, actor: User, now: datetime) -> Card:
    """Cancel a card for good; what it paid before still clears."""
    when = (Card.Status.ACTIVE, Card.Status.INACTIVE, Card.Status.FROZEN)
    return _turn(card, Card.Status.CANCELLED, actor, now, when=when)


@transaction.atomic
def set_funding(
    *, card: Card, choices: Sequence[FundingChoice], actor: User, now: datetime
) -> list[FundingSource]:
    """Say what pays, in order, and how much of each asset is never spent.

    :raises FundingInvalid: for none, too many, a repeated or an unknown asset
    :raises AmountInvalid: if `keep` is not an amount of it
    """
    locked = Card.objects.select_for_update(no_key=True).get(pk=card.pk)
    if not 0 < len(choices) <= SOURCES_AT_MOST or len({c.asset for c in choices}) < len(choices):
        raise FundingInvalid
    sources = _sources(locked, choices)
    FundingSource.objects.filter(card=locked).delete()
    made = FundingSource.objects.bulk_create(sources)
    detail = {"card": str(card.uid), "sources": [[c.asset, c.keep] for c in choices]}
    users.operations.record(
        action="card.funding_set", actor=actor, subject=card.user, at=now, detail=detail
    )
    return made


@transaction.atomic
def add_source(
    *, card: Card, choice: FundingChoice, actor: User, now: datetime
) -> list[FundingSource]:
    """Let one more asset pay, after the others.

    :raises FundingInvalid: for one too many, or a repeated or unknown asset
    :raises AmountInvalid: if `keep` is not an amount of it
    """
    Card.objects.select_for_update(no_key=True).get(pk=card.pk)
    choices = [*_choices(card), choice]
    return set_funding(card=card, choices=choices, actor=actor, now=now)


@transaction.atomic
def move_source(
    *, card: Card, asset: str, step: int, actor: User, now: datetime
) -> list[FundingSource]:
    """Let an asset pay one place earlier (-1), later (+1) or not at all (0).

    :raises FundingInvalid: if nothing would be left to pay
    """
    Card.objects.select_for_update(no_key=True).get(pk=card.pk)
    choices = _choices(card)
    place = next((n for n, choice in enumerate(choices) if choice.asset == asset), None)
    if place is None:
        raise FundingInvalid
    moved = choices.pop(place)
    if step:
        choices.insert(max(0, place + step), moved)
    return set_funding(card=card, choices=choices, actor=actor, now=now)


def _choices(card: Card) -> list[FundingChoice]:
    """Say the present funding as choices."""
    return [
        FundingChoice(source.asset.code, queries.plain(queries.keep_of(source)))
        for source in queries.sources_of(card)
    ]


def _turn(
    card: Card,
    status: Card.Status,
    actor: User,
    now: datetime,
    *,
    when: tuple[Card.Status, ...],
    reason: str = "",
) -> Card:
    """Move a card to a status from certain others, and say who did it and why.

    The holder's row is locked too, so that no debt arises on another card meanwhile.
    """
    with transaction.atomic():
        locking = Card.objects.select_for_update(of=("self", "user"), no_key=True)
        locked = locking.select_related("user").get(pk=card.pk)
        if status == Card.Status.ACTIVE and queries.debt_of(locked.user):
            raise CardOwes
        if locked.status == Card.Status.CANCELLED and status != Card.Status.CANCELLED:
            raise CardCancelled
        if locked.status not in when:
            return locked
        if locked.status == Card.Status.FROZEN and (
            actor.pk == locked.user_id or not actor.is_staff
        ):
            _require_own_freeze(locked, status)
        locked.status = status
        frozen = status == Card.Status.FROZEN
        locked.frozen_by, locked.frozen_reason = (actor, reason[:200]) if frozen else (None, "")
        locked.save(update_fields=["status", "frozen_by", "frozen_reason"])
        _tell(locked, f"card.{_PAST[status]}", reason, now)
        users.operations.record(
            action=f"card.{_PAST[status]}",
            actor=actor,
            subject=locked.user,
            at=now,
            reason=reason,
            detail={"card": str(locked.uid)},
        )
    return locked


_PAST = {
    Card.Status.ACTIVE: "activated",
    Card.Status.FROZEN: "frozen",
    Card.Status.CANCELLED: "cancelled",
}


def _require_own_freeze(card: Card, status: Card.Status) -> None:
    """Let the holder cancel any card, but thaw only what they froze."""
    if status != Card.Status.CANCELLED and card.frozen_by_id != card.user_id:
        raise CardFrozenForYou


def _tell(card: Card, kind: str, reason: str, now: datetime) -> None:
    users.operations.notify(
        user=card.user,
        kind=kind,
        facts={"last_four": card.last_four, "reason": reason},
        url="/cards/",
        now=now,
    )


def _sources(card: Card, choices: Sequence[FundingChoice]) -> list[FundingSource]:
    """Read the choices; `keep` of shares is rounded up to base units."""
    codes = [choice.asset for choice in choices]
    tokens = Instrument.objects.filter(symbol__in=codes, listed=True).select_related("asset")
    listed = {instrument.symbol: instrument for instrument in tokens}
    usd = ledger.queries.usd()
    sources = []
    for position, choice in enumerate(choices):
        keep = parse_decimal(choice.keep, field="keep")
        if keep < 0 or (choice.asset != "USD" and choice.asset not in listed):
            raise FundingInvalid
        if choice.asset == "USD":
            asset, units = usd, Amount.parse(choice.keep, usd, field="keep").units
            if units % CENT:
                raise FundingInvalid("Dollars have two decimals; drop the rest.", field="keep")
        else:
            instrument = listed[choice.asset]
            asset, units = instrument.asset, _base(keep, instrument)
        sources.append(
            FundingSource(card=card, position=position, asset_id=asset.pk, keep_units=units)
        )
    return sources


def _base(shares: Decimal, instrument: Instrument) -> int:
    base = EXACT.divide(shares.scaleb(instrument.asset.scale, EXACT), instrument.multiplier)
    units = int(base.to_integral_value(ROUND_CEILING))
    if units >= 2**63:
        raise FundingInvalid
    return units
