"""What a customer owes after a shortfall: taken from their new money, or forgiven by two people."""

from datetime import datetime

from django.db import transaction

import ledger.operations
import ledger.queries
import users.operations
from common.errors import DomainError
from common.money import in_dollars
from ledger.operations import AccountKey, Entry, Leg
from spending import queries
from spending.models import DebtReduction
from users.models import Proposal, User


class NothingOwed(DomainError):
    """This customer owes nothing, or less than that."""

    field = "amount"


def recover_debts(*, now: datetime) -> int:
    """Take what customers owe from the cash they have; say how many paid something."""
    return sum(recover_debt(user_id=user_id, now=now) for user_id in queries.debtors_with_cash())


@transaction.atomic
def forgive_shortfall(
    *, user: User, units: int, proposal: Proposal, actor: User, now: datetime
) -> DebtReduction:
    """Let a customer off so many USD units of what they owe, as two people decided.

    Their cards stay frozen until somebody thaws them.

    :raises NothingOwed: if they owe less
    """
    lock_customer(user.pk)
    if not 0 < units <= queries.debt_of(user):
        raise NothingOwed
    reduction = DebtReduction.objects.create(
        user=user,
        kind=DebtReduction.Kind.FORGIVEN,
        amount_units=units,
        proposal=proposal,
        made_at=now,
    )
    users.operations.notify(
        user=user,
        kind="card.debt_forgiven",
        title=f"{in_dollars(units)} of what you owed is forgiven",
        url="/cards/",
        now=now,
    )
    users.operations.record(
        action="card.debt_forgiven",
        actor=actor,
        subject=user,
        at=now,
        reason=proposal.reason,
        detail={"amount": queries.dollars(units), "proposal": str(proposal.uid)},
    )
    return reduction


def lock_customer(user_id: int) -> User:
    """Lock a customer's row, which puts their cards, debts and new cards in line."""
    return User.objects.select_for_update(no_key=True).get(pk=user_id)


@transaction.atomic
def recover_debt(*, user_id: int, now: datetime) -> bool:
    """Take what a customer owes from their free cash; say whether anything was taken."""
    user, usd = lock_customer(user_id), ledger.queries.usd()
    keys = [AccountKey(user_id, usd.pk, "customer"), AccountKey(None, usd.pk, "fees")]
    cash, fees = ledger.operations.open_accounts(keys=keys)
    balance = ledger.operations.lock_accounts(account_ids=[cash, fees])[cash]
    units = min(queries.debt_of(user), balance.available)
    if units <= 0:
        return False
    count = DebtReduction.objects.filter(user=user).count()
    entry = Entry(f"card_recovery:{user_id}:{count}", "card_recovery", [Leg(cash, fees, units)])
    (journal,) = ledger.operations.post(entries=[entry], occurred_at=now)
    DebtReduction.objects.create(
        user=user,
        kind=DebtReduction.Kind.RECOVERED,
        amount_units=units,
        journal_id=journal,
        made_at=now,
    )
    users.operations.notify(
        user=user,
        kind="card.debt_recovered",
        title=f"{in_dollars(units)} went to what you owed",
        body="A merchant had taken more than there was.",
        url="/cards/",
        now=now,
    )
    return True
