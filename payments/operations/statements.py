"""The bank's statements, held against what is in the books: each entry is explained, or named."""

import logging
from datetime import datetime, timedelta

from django.db import transaction

from common.errors import DomainError
from payments import gateways, queries
from payments.models import BankStatement, StatementEntry
from payments.operations.deposits import receive_bank_credit

logger = logging.getLogger(__name__)

FIRST_LOOK = timedelta(days=1)  # where no statement was read yet: yesterday's


def import_statements(*, now: datetime) -> int:
    """Read every statement up to yesterday's that was not read, and reconcile; say how many.

    What the bank booked and never told us of is received as if it had told us now.
    """
    bank = gateways.statement_source()
    if bank is None:
        return 0
    today, done = now.date(), 0
    day = queries.last_statement_day()
    day = day + timedelta(days=1) if day else today - FIRST_LOOK
    while day < today:
        try:
            stated = bank.statement(day)
        except gateways.StatementMalformed as error:
            logger.error("the statement of %s can't be read: %s", day, error.detail)  # noqa: TRY400
            break
        if stated is None:
            break
        keep_statement(stated=stated, now=now)
        day, done = day + timedelta(days=1), done + 1
    reconcile(now=now)
    return done


@transaction.atomic
def keep_statement(*, stated: gateways.Statement, now: datetime) -> BankStatement:
    """Keep a day's statement with its entries, each id once, and say what does not add up."""
    once = {one.external_id: one for one in stated.entries}
    kept, new = BankStatement.objects.get_or_create(
        day=stated.day,
        defaults={
            "opening_units": stated.opening.units,
            "closing_units": stated.closing.units,
            "fault": _fault(stated, sum(one.amount.units for one in once.values())),
            "imported_at": now,
        },
    )
    if new:
        StatementEntry.objects.bulk_create(
            (
                StatementEntry(
                    statement=kept,
                    external_id=one.external_id,
                    reference=one.reference,
                    amount_units=one.amount.units,
                    booked_on=one.booked_on,
                    fault="not looked at yet",
                )
                for one in once.values()
            ),
            ignore_conflicts=True,  # the bank states some entries on two days
        )
    return kept


def _fault(stated: gateways.Statement, moved: int) -> str:
    before = queries.closing_before(stated.day)
    if stated.opening.units + moved != stated.closing.units:
        return "the entries do not lead from the opening balance to the closing one"
    if before is not None and before != stated.opening.units:
        return "it does not open with the balance that the day before closed with"
    return ""


def reconcile(*, now: datetime) -> int:
    """Look for what explains each entry that nothing explains yet; say how many still wait."""
    left = 0
    for entry in StatementEntry.objects.exclude(fault="").order_by("id"):
        entry.fault = _explain(entry, now)
        entry.save(update_fields=["fault"])
        left += bool(entry.fault)
    return left


def _explain(entry: StatementEntry, now: datetime) -> str:
    """Say why an entry is not explained; empty where it is."""
    known = queries.booked_at_bank(entry.external_id, entry.reference)
    if known is None and entry.amount_units > 0:
        amount = queries.stated_amount(entry)
        try:
            credit = receive_bank_credit(
                external_id=entry.external_id, reference=entry.reference, amount=amount, now=now
            )
        except DomainError as error:
            return error.detail[:200]
        known = credit.amount_units
        logger.warning("the bank never told of %s: received by its statement", credit.external_id)
    if known is None:
        return "nothing in the books explains this"
    if known != entry.amount_units:
        return f"the books say {queries.as_dollars(known)}"
    return ""
