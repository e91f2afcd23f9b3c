"""What is known about money coming in."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.db.models import Q, QuerySet, Sum

import ledger.queries
from common.invariants import Check
from common.money import USD, Amount
from payments import rules
from payments.models import (
    Adjustment,
    BankCredit,
    BankPolicy,
    BankStatement,
    DepositInstruction,
    Reversal,
    StatementEntry,
    TreasuryMovement,
)
from users.models import User


@dataclass(frozen=True, slots=True)
class BankDetails:
    """Where a customer sends dollars."""

    beneficiary: str
    bank: str
    iban: str
    bic: str


def bank_details() -> BankDetails:
    """Give our account at the bank."""
    return BankDetails(**settings.BANK_DETAILS)


def deposits_of(user: User) -> QuerySet[DepositInstruction]:
    """Give a customer's deposits, newest first, with what arrived for each."""
    return (
        DepositInstruction.objects.filter(user=user)
        .select_related("asset")
        .prefetch_related("credits")
        .order_by("-id")
    )


def waiting_instructions() -> QuerySet[DepositInstruction]:
    """Give the deposits that were announced and have not arrived, oldest first."""
    return (
        DepositInstruction.objects.filter(status=DepositInstruction.Status.WAITING)
        .select_related("asset")
        .order_by("id")
    )


def announced(instruction: DepositInstruction) -> Amount:
    """Give the amount the customer announced."""
    return Amount(instruction.amount_units, instruction.asset)


def received(instruction: DepositInstruction) -> Amount:
    """Give what has arrived for a deposit, which may differ from what was announced."""
    posted = [one for one in instruction.credits.all() if one.user_id == instruction.user_id]
    return Amount(sum(one.amount_units for one in posted), instruction.asset)


def waiting_credits() -> QuerySet[BankCredit]:
    """Give the money that staff have to look at, oldest first."""
    return BankCredit.objects.filter(status=BankCredit.Status.WAITING).order_by("id")


def credit_status(external_id: str) -> str:
    """Say what became of money, by the bank's id."""
    return BankCredit.objects.values_list("status", flat=True).get(external_id=external_id)


def posted_on(user: User, now: datetime) -> Amount:
    """Give the dollars that arrived for a customer on the day of a moment, in UTC."""
    begin = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    day = BankCredit.objects.filter(user=user, received_at__gte=begin, received_at__lte=now)
    return Amount(day.aggregate(sum=Sum("amount_units", default=0))["sum"], USD)


def bank_limits(day: date) -> rules.Limits:
    """Give the policy of a day: which money is posted without staff."""
    policy = BankPolicy.objects.filter(since__lte=day).latest("since")
    return rules.Limits(
        policy.tolerance_usd, Decimal(policy.largest_usd), Decimal(policy.largest_day_usd)
    )


def is_known_credit(external_id: str) -> bool:
    """Say whether the bank has told us of this movement."""
    return BankCredit.objects.filter(external_id=external_id).exists()


def was_moved(reference: str) -> bool:
    """Say whether the house moved something under a reference of its bank or issuer."""
    return TreasuryMovement.objects.filter(reference=reference).exists()


def house_balance(purse: str, code: str) -> Amount:
    """Say what one of the house's purses has of an asset."""
    asset = ledger.queries.asset(code)
    account = ledger.queries.house_account(purse, asset)
    return Amount(ledger.queries.accounts([account])[account].posted if account else 0, asset)


def adjustments_of(user: User) -> QuerySet[Adjustment]:
    """Give what staff corrected in a customer's dollars, newest first."""
    return Adjustment.objects.filter(user=user).order_by("-id")


def reversible(journal: str) -> int | None:
    """Find a journal, by its uid, that staff may reverse and have not: the house's or theirs."""
    moved = TreasuryMovement.objects.filter(journal__uid=journal).values_list(
        "journal_id", flat=True
    )
    adjusted = Adjustment.objects.filter(journal__uid=journal).values_list("journal_id", flat=True)
    found: int | None = next(iter(moved.union(adjusted)), None)
    if found is None or Reversal.objects.filter(original_id=found).exists():
        return None
    return found


def adjusted_by(journal: str) -> User | None:
    """Find whose dollars a journal adjusted, by its uid."""
    found = Adjustment.objects.filter(journal__uid=journal).select_related("user").first()
    return found.user if found else None


def last_statement_day() -> date | None:
    """Say up to which day the bank's statements were read."""
    return BankStatement.objects.order_by("-day").values_list("day", flat=True).first()


def closing_before(day: date) -> int | None:
    """Give what the statement of the day before closed with, in USD units."""
    earlier = BankStatement.objects.filter(day=day - timedelta(days=1))
    return earlier.values_list("closing_units", flat=True).first()


def booked_at_bank(external_id: str, reference: str) -> int | None:
    """Give what the books know of a movement at the bank, in USD units: negative where it left.

    A credit has the bank's id, or its id stands in the reference of what was returned; capital has
    the bank's id as its reference.
    """
    credit = BankCredit.objects.filter(external_id=external_id).first()
    if credit:
        return credit.amount_units
    returned = BankCredit.objects.filter(status=BankCredit.Status.RETURNED)
    for word in reference.split():
        if found := returned.filter(external_id=word).first():
            return -found.amount_units
    kinds = TreasuryMovement.Kind
    moved = TreasuryMovement.objects.filter(reference=external_id)
    sums = moved.aggregate(
        came=Sum("amount_units", filter=Q(kind=kinds.CAPITAL), default=0),
        went=Sum("amount_units", filter=Q(kind=kinds.CAPITAL_OUT), default=0),
    )
    return sums["came"] - sums["went"] or None


def stated_amount(entry: StatementEntry) -> Amount:
    """Give what the bank stated."""
    return Amount(entry.amount_units, ledger.queries.usd())


def as_dollars(units: int) -> str:
    """Write USD units."""
    return f"{Amount(units, USD)} USD"


CHECKS = [
    ledger.queries.explained(
        by="payments_explained",
        kinds=[
            "deposit",
            "capital",
            "capital_out",
            "issue",
            "redeem",
            "adjustment",
            "reversal",
        ],
    ),
    Check(
        36,
        "bank credit has its journal",
        """
        SELECT 'bank credit ' || c.external_id || ' is not what its journal moved'
        FROM payments_bankcredit c
        LEFT JOIN ledger_journal j ON j.id = c.journal_id
        LEFT JOIN ledger_transfer t ON t.journal_id = j.id
        LEFT JOIN ledger_account debit ON debit.id = t.debit_id
        LEFT JOIN ledger_account credit ON credit.id = t.credit_id
        WHERE c.status = 'posted'
        GROUP BY c.id, j.key
        HAVING count(*) <> 1 OR j.key IS DISTINCT FROM 'deposit:' || c.external_id
            OR max(t.amount) IS DISTINCT FROM c.amount_units
            OR max(t.asset_id) IS DISTINCT FROM c.asset_id
            OR max(debit.role) IS DISTINCT FROM 'external'
            OR max(credit.owner_id) IS DISTINCT FROM c.user_id
        """,
    ),
    Check(
        36,
        "deposit journal has its bank credit",
        """
        SELECT 'journal ' || j.key || ' has no bank credit'
        FROM ledger_journal j
        WHERE j.kind = 'deposit'
            AND NOT EXISTS (SELECT FROM payments_bankcredit c WHERE c.journal_id = j.id)
        """,
    ),
    Check(
        36,
        "completed deposit has a bank credit",
        """
        SELECT 'deposit ' || i.reference || ' is ' || i.status || ' with '
            || count(c.id) || ' bank credits'
        FROM payments_depositinstruction i
        LEFT JOIN payments_bankcredit c ON c.instruction_id = i.id AND c.user_id = i.user_id
        GROUP BY i.id
        HAVING (i.status = 'completed') <> (count(c.id) > 0)
        """,
    ),
    Check(
        40,
        "the bank's statement says what the books say",
        """
        SELECT format('statement of %s: %s', day, fault) FROM payments_bankstatement
        WHERE fault <> ''
        UNION ALL
        SELECT format('statement entry %s of %s: %s', external_id, booked_on, fault)
        FROM payments_statemententry WHERE fault <> ''
        UNION ALL
        SELECT format('statement entry %s is %s, its bank credit %s', e.external_id,
                      e.amount_units, c.amount_units)
        FROM payments_statemententry e JOIN payments_bankcredit c USING (external_id)
        WHERE e.amount_units <> c.amount_units
        UNION ALL
        SELECT format('statement of %s is followed by none of the next day', s.day)
        FROM payments_bankstatement s
        WHERE s.day < (SELECT max(day) FROM payments_bankstatement)
            AND NOT EXISTS (SELECT FROM payments_bankstatement n WHERE n.day = s.day + 1)
        """,
    ),
    Check(
        40,
        "what the bank told of is on its statement",
        """
        SELECT format('bank credit %s of %s is on no statement', c.external_id, c.received_at)
        FROM payments_bankcredit c, (
            SELECT min(day) AS first, max(day) AS last FROM payments_bankstatement) AS stated
        WHERE (c.received_at AT TIME ZONE 'UTC')::date >= stated.first
            AND (c.received_at AT TIME ZONE 'UTC')::date < stated.last
            AND NOT EXISTS (
                SELECT FROM payments_statemententry e WHERE e.external_id = c.external_id)
        UNION ALL
        SELECT format('%s %s is on no statement', m.kind, m.reference)
        FROM payments_treasurymovement m, (
            SELECT min(day) AS first, max(day) AS last FROM payments_bankstatement) AS stated
        WHERE m.kind IN ('capital', 'capital_out')
            AND (m.moved_at AT TIME ZONE 'UTC')::date >= stated.first
            AND (m.moved_at AT TIME ZONE 'UTC')::date < stated.last
            AND NOT EXISTS (
                SELECT FROM payments_statemententry e WHERE e.external_id = m.reference)
        """,
    ),
]
