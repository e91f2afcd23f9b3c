"""Money that waits: two of the staff decide whose it is, or that it goes back."""

from datetime import datetime
from typing import Any

from django.db import transaction

import users.operations
from common.errors import DomainError
from common.money import Amount
from payments.models import BankCredit, DepositInstruction
from payments.operations.deposits import complete, post_credit
from users.models import Proposal, User

Payload = dict[str, Any]
Status = BankCredit.Status


class CreditNotWaiting(DomainError):
    """This money has been posted or returned already."""

    status = 409


def waiting_credit(payload: Payload) -> BankCredit:
    """Find and lock the money a proposal is about.

    :raises CreditNotWaiting: if it was decided before
    """
    rows = BankCredit.objects.select_for_update(no_key=True, of=("self",)).select_related("asset")
    credit = rows.get(external_id=payload["credit"])
    if credit.status != Status.WAITING:
        raise CreditNotWaiting
    return credit


@transaction.atomic
def assign_credit(*, proposal: Proposal, now: datetime) -> BankCredit:
    """Post money that waits to the customer whose it is, and tell them.

    :raises CreditNotWaiting: if it was decided before
    :raises Uncountable: if the books can't count that much: it can only go back
    """
    credit = waiting_credit(proposal.payload)
    user = User.objects.get(pk=proposal.payload["user"])
    credit.journal_id = post_credit(credit, user, now)
    _decide(credit, Status.POSTED, proposal, user)
    arrived = Amount(credit.amount_units, credit.asset)
    awaited = DepositInstruction.objects.select_for_update(no_key=True, of=("self",)).filter(
        credits=credit, user=user, status=DepositInstruction.Status.WAITING
    )
    if instruction := awaited.first():
        complete(instruction, arrived, now)
        return credit
    users.operations.notify(
        user=user,
        kind="deposit.completed",
        facts={"units": arrived.units, "reference": ""},
        url="/deposit/",
        now=now,
    )
    return credit


@transaction.atomic
def return_credit(*, proposal: Proposal) -> BankCredit:
    """Mark money that waits as going back to its sender; the bank's statement will show it.

    :raises CreditNotWaiting: if it was decided before
    """
    credit = waiting_credit(proposal.payload)
    _decide(credit, Status.RETURNED, proposal, None)
    return credit


def _decide(credit: BankCredit, status: str, proposal: Proposal, user: User | None) -> None:
    credit.status, credit.proposal, credit.user = status, proposal, user
    credit.save(update_fields=["status", "proposal", "user", "journal"])
