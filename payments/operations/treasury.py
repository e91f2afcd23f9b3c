"""The house's own money, and what staff correct: what one proposed and another approved."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

import ledger.operations
import ledger.queries
import users.operations
from common.errors import DomainError
from common.money import USD, Amount
from ledger.operations import AccountKey, Entry, Leg
from payments import queries
from payments.models import Adjustment, Reversal, TreasuryMovement
from users.models import Proposal, User

Kind = TreasuryMovement.Kind
Payload = dict[str, Any]

# Which account is debited and which credited; None is the purse.
SIDES: dict[str, tuple[str | None, str | None]] = {
    Kind.CAPITAL: ("external", None),
    Kind.CAPITAL_OUT: (None, "external"),
    Kind.ISSUE: ("issuer", None),
    Kind.REDEEM: (None, "issuer"),
}


class MovedBefore(DomainError):
    """Something was moved under this reference before: take the bank's or issuer's own."""

    status = 409
    field = "reference"


class WrongAsset(DomainError):
    """Capital is dollars, and what the issuer makes or takes back are tokens."""

    field = "asset"


class NothingMoved(DomainError):
    """Give an amount that is not zero."""

    field = "amount"


class NotReversible(DomainError):
    """Only the house's movements and adjustments are reversed, each once."""

    status = 409


@dataclass(frozen=True, slots=True)
class Movement:
    """So much to or from one of the house's purses."""

    kind: str
    purse: str
    amount: Amount


def treasury_payload(*, movements: Sequence[Movement], reference: str) -> Payload:
    """Write what `payments.move_treasury` proposes.

    :param reference: the bank's or the issuer's own id of it, which can be used once
    """
    return {
        "reference": reference,
        "movements": [
            {
                "kind": str(one.kind),
                "purse": str(one.purse),
                "asset": one.amount.asset.code,
                "amount": str(one.amount),
            }
            for one in movements
        ],
    }


def movements_of(payload: Payload) -> list[Movement]:
    """Read what a treasury proposal moves.

    :raises AmountInvalid: if an amount can't be counted
    """
    return [
        Movement(
            one["kind"],
            one["purse"],
            Amount.parse(one["amount"], ledger.queries.asset(one["asset"]), field="amount"),
        )
        for one in payload["movements"]
    ]


def check_treasury(*, payload: Payload) -> None:
    """Refuse what can't be moved, before anybody decides on it.

    :raises MovedBefore: if its reference was used
    :raises WrongAsset: if capital is not dollars, or what is issued is no token
    :raises NothingMoved: for an amount that is not positive
    """
    if queries.was_moved(payload["reference"]):
        raise MovedBefore
    for one in movements_of(payload):
        fiat = one.kind in {Kind.CAPITAL, Kind.CAPITAL_OUT}
        if fiat != (one.amount.asset.code == USD.code):
            raise WrongAsset
        if one.amount.units <= 0:
            raise NothingMoved


@transaction.atomic
def move_treasury(*, proposal: Proposal, actor: User, now: datetime) -> list[TreasuryMovement]:
    """Move what a proposal says; the database refuses what its approval does not cover.

    :raises InsufficientFunds: if a purse has less than leaves it
    """
    movements = movements_of(proposal.payload)
    reference = proposal.payload["reference"]
    accounts = ledger.operations.open_accounts(
        keys=[
            AccountKey(None, _asset_id(one.amount), role or one.purse)
            for one in movements
            for role in SIDES[one.kind]
        ]
    )
    entries = [
        Entry(
            f"treasury:{reference}:{number}",
            one.kind,
            [Leg(accounts[2 * number], accounts[2 * number + 1], one.amount.units)],
        )
        for number, one in enumerate(movements)
    ]
    journals = ledger.operations.post(entries=entries, occurred_at=now, actor=actor)
    return TreasuryMovement.objects.bulk_create(
        TreasuryMovement(
            kind=one.kind,
            purse=one.purse,
            asset_id=_asset_id(one.amount),
            amount_units=one.amount.units,
            reference=reference,
            proposal=proposal,
            journal_id=journal,
            moved_at=now,
        )
        for one, journal in zip(movements, journals, strict=True)
    )


def _asset_id(amount: Amount) -> int:
    return ledger.queries.asset(amount.asset.code).pk


def adjustment_payload(*, user: User, amount: Amount, message: str) -> Payload:
    """Write what `payments.adjust_cash` proposes.

    :param amount: dollars given (+) or taken (-)
    :param message: what the customer is told
    """
    return {"user": user.pk, "amount": str(amount), "message": message}


@transaction.atomic
def adjust_cash(*, proposal: Proposal, actor: User, now: datetime) -> Adjustment:
    """Give a customer dollars at the house's cost, or take them, and tell them why.

    :raises InsufficientFunds: if the customer has less than is taken
    """
    user = User.objects.get(pk=proposal.payload["user"])
    amount = Amount.parse(proposal.payload["amount"], USD, field="amount")
    usd = ledger.queries.usd().pk
    fees, own = ledger.operations.open_accounts(
        keys=[AccountKey(None, usd, "fees"), AccountKey(user.pk, usd, "customer")]
    )
    giver, taker = (fees, own) if amount.units > 0 else (own, fees)
    entry = Entry(
        f"adjustment:{proposal.uid}", "adjustment", [Leg(giver, taker, abs(amount.units))]
    )
    [journal] = ledger.operations.post(entries=[entry], occurred_at=now, actor=actor)
    made = Adjustment.objects.create(
        user=user,
        amount_units=amount.units,
        message=proposal.payload["message"],
        proposal=proposal,
        journal_id=journal,
        adjusted_at=now,
    )
    users.operations.notify(
        user=user,
        kind="account.adjusted",
        facts={"units": amount.units, "message": made.message},
        url="/activity/",
        now=now,
    )
    return made


def check_adjustment(*, payload: Payload) -> None:
    """Refuse an adjustment of nothing.

    :raises AmountInvalid: if the amount can't be counted
    :raises NothingMoved: if it is zero
    """
    if not Amount.parse(payload["amount"], USD, field="amount"):
        raise NothingMoved


@transaction.atomic
def reverse(*, proposal: Proposal, actor: User, now: datetime) -> Reversal:
    """Mirror a movement of the house or an adjustment.

    :raises AlreadyReversed: if that was done before
    :raises InsufficientFunds: if who got it no longer has it
    """
    original = queries.reversible(proposal.payload["journal"])
    if original is None:
        raise NotReversible
    journal = ledger.operations.reverse(
        journal_id=original,
        key=f"reversal:{proposal.uid}",
        kind="reversal",
        occurred_at=now,
        actor=actor,
    )
    return Reversal.objects.create(
        original_id=original, proposal=proposal, journal_id=journal, reversed_at=now
    )
