"""What a customer owes after a shortfall: taken from their new money, or forgiven by two people.

The ledger claims it: money that arrives, or that an ended order gives back, is set aside for the
debt in the statement that posts it, and nobody can spend, trade or withdraw it. `recover_debts`
then takes it.
"""

from datetime import datetime

from django.db import transaction

import ledger.operations
import ledger.queries
import users.operations
from common.errors import DomainError
from ledger.operations import AccountKey, Capture, Entry, Leg
from spending import queries
from spending.models import DebtReduction
from users.models import Proposal, User


class NothingOwed(DomainError):
    """This customer owes nothing, or less than that."""

    field = "amount"


def recover_debts(*, now: datetime) -> int:
    """Take what is set aside for what customers owe; say how many paid something."""
    return sum(recover_debt(user_id=user_id, now=now) for user_id in queries.debtors_with_cash())


def claim_shortfall(*, cash_account: int, units: int) -> None:
    """Have a customer owe the USD units that the house paid for them."""
    ledger.operations.claim(account_id=cash_account, units=units, purpose="debt")


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
    (cash,) = ledger.operations.open_accounts(
        keys=[AccountKey(user.pk, ledger.queries.usd().pk, "customer")]
    )
    ledger.operations.reduce_claim(account_id=cash, units=units)
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
        facts={"units": units},
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
    """Take what is set aside for what a customer owes; say whether anything was taken."""
    user, usd = lock_customer(user_id), ledger.queries.usd()
    keys = [AccountKey(user_id, usd.pk, "customer"), AccountKey(None, usd.pk, "fees")]
    cash, fees = ledger.operations.open_accounts(keys=keys)
    claim = ledger.queries.open_claims().filter(account=cash).first()
    if claim is None or claim.hold.remaining <= 0:
        return False
    units, count = claim.hold.remaining, DebtReduction.objects.filter(user=user).count()
    entry = Entry(
        f"card_recovery:{user_id}:{count}",
        "card_recovery",
        [Leg(cash, fees, units)],
        [Capture(claim.hold_id, units)],
    )
    (journal,) = ledger.operations.post(entries=[entry], occurred_at=now)
    ledger.operations.reduce_claim(account_id=cash, units=units)
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
        facts={"units": units},
        url="/cards/",
        now=now,
    )
    return True
