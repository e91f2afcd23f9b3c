"""Who of the staff may do what: the one table.

A role is a group of the staff. What it sees (`SEES`) and does alone (`ALONE`) become Django
permissions after each migration, and are taken back there when they leave the table. What two
people decide is in `PROPOSALS`: one whose role proposes, another whose role approves. A superuser
has every role, and is bound by the second person like everybody else.
"""

from dataclasses import dataclass
from datetime import timedelta

SUPPORT = "Support"  # helps customers
COMPLIANCE = "Compliance"  # decides who may be a customer, and approves what others propose
OPERATIONS = "Operations"  # runs the markets and their policy
TREASURY = "Treasury"  # moves the house's money and corrects the books
AUDITOR = "Auditor"  # reads everything and does nothing
ROLES = (SUPPORT, COMPLIANCE, OPERATIONS, TREASURY, AUDITOR)

_ABOUT_PEOPLE = (SUPPORT, COMPLIANCE)
_ABOUT_MONEY = (SUPPORT, COMPLIANCE, TREASURY)
_ABOUT_ORDERS = (SUPPORT, COMPLIANCE, OPERATIONS)
_ABOUT_MARKETS = (COMPLIANCE, OPERATIONS)
_ALL = (SUPPORT, COMPLIANCE, OPERATIONS, TREASURY)

# Which roles read a model in the admin; auditors read all of them. A model that is not listed is
# for superusers alone.
SEES: dict[str, tuple[str, ...]] = {
    "account.emailaddress": _ABOUT_PEOPLE,
    "users.user": _ABOUT_MONEY,
    "users.notice": _ABOUT_PEOPLE,
    "users.securityevent": _ABOUT_PEOPLE,
    "users.mail": (SUPPORT, COMPLIANCE, OPERATIONS),
    "users.auditentry": (COMPLIANCE,),
    "users.proposal": _ALL,
    "users.calllimit": _ABOUT_MARKETS,
    "kyc.application": _ABOUT_PEOPLE,
    "kyc.checkresult": _ABOUT_PEOPLE,
    "kyc.agreementacceptance": _ABOUT_PEOPLE,
    "kyc.restrictedplace": _ABOUT_PEOPLE,
    "ledger.asset": _ABOUT_MONEY,
    "ledger.account": _ABOUT_MONEY,
    "ledger.journal": _ABOUT_MONEY,
    "ledger.transfer": _ABOUT_MONEY,
    "ledger.hold": _ABOUT_MONEY,
    "ledger.holdentry": _ABOUT_MONEY,
    "payments.depositinstruction": _ABOUT_MONEY,
    "payments.bankcredit": _ABOUT_MONEY,
    "payments.bankpolicy": _ABOUT_MONEY,
    "payments.bankstatement": _ABOUT_MONEY,
    "payments.statemententry": _ABOUT_MONEY,
    "payments.treasurymovement": _ABOUT_MONEY,
    "payments.adjustment": _ABOUT_MONEY,
    "payments.reversal": _ABOUT_MONEY,
    "instruments.instrument": _ALL,
    "instruments.corporateaction": _ALL,
    "trading.book": _ALL,
    "trading.order": _ABOUT_ORDERS,
    "trading.trade": _ABOUT_ORDERS,
    "trading.release": _ABOUT_ORDERS,
    "trading.command": _ABOUT_ORDERS,
    "trading.feetier": _ALL,
    "trading.bandrule": _ABOUT_MARKETS,
    "trading.marketrule": _ABOUT_MARKETS,
    "trading.housepolicy": (COMPLIANCE, OPERATIONS, TREASURY),
    "trading.shard": (OPERATIONS,),
    "trading.snapshot": (OPERATIONS,),
    "portfolio.lot": _ABOUT_PEOPLE,
    "portfolio.lotclosing": _ABOUT_PEOPLE,
    "portfolio.lotdue": (OPERATIONS,),
    "spending.card": _ABOUT_PEOPLE,
    "spending.fundingsource": _ABOUT_PEOPLE,
    "spending.authorization": _ABOUT_PEOPLE,
    "spending.cardsale": _ABOUT_PEOPLE,
    "spending.cardmovement": _ABOUT_MONEY,
    "spending.cardevent": _ABOUT_PEOPLE,
    "spending.debtreduction": _ABOUT_MONEY,
}

# What one person does alone, because it protects: it stops something, and gives nothing away.
ALONE: dict[str, tuple[str, ...]] = {
    "spending.freeze_card": (SUPPORT, COMPLIANCE),
    "users.resend_mail": (SUPPORT, OPERATIONS),
    "trading.halt_market": (OPERATIONS, COMPLIANCE),
    "instruments.cancel_corporateaction": (OPERATIONS, COMPLIANCE),
    "kyc.restrict_account": (SUPPORT, COMPLIANCE),
    "users.deactivate_user": (COMPLIANCE,),
}


@dataclass(frozen=True, slots=True)
class FourEyes:
    """Which roles propose a kind of change, and which approve it; never the same person."""

    proposers: frozenset[str]
    approvers: frozenset[str]


def _two(proposers: tuple[str, ...], approvers: tuple[str, ...]) -> FourEyes:
    return FourEyes(frozenset(proposers), frozenset(approvers))


# What two people decide, by the name of the kind: `app.verb_noun`.
PROPOSALS: dict[str, FourEyes] = {
    "users.change_staff": _two((COMPLIANCE,), (COMPLIANCE,)),
    "users.set_call_limit": _two((OPERATIONS,), _ABOUT_MARKETS),
    "kyc.approve_application": _two(_ABOUT_PEOPLE, (COMPLIANCE,)),
    "kyc.reject_application": _two(_ABOUT_PEOPLE, (COMPLIANCE,)),
    "kyc.reopen_application": _two(_ABOUT_PEOPLE, (COMPLIANCE,)),
    "kyc.lift_account": _two(_ABOUT_PEOPLE, (COMPLIANCE,)),
    "kyc.restrict_place": _two((COMPLIANCE,), (COMPLIANCE,)),
    "kyc.end_restriction": _two((COMPLIANCE,), (COMPLIANCE,)),
    "payments.move_treasury": _two((TREASURY,), (COMPLIANCE, TREASURY)),
    "payments.adjust_cash": _two(_ABOUT_MONEY, (COMPLIANCE, TREASURY)),
    "payments.assign_credit": _two(_ABOUT_MONEY, (COMPLIANCE, TREASURY)),
    "payments.return_credit": _two(_ABOUT_MONEY, (COMPLIANCE, TREASURY)),
    "payments.set_bank_policy": _two((TREASURY,), (COMPLIANCE,)),
    "payments.reverse_journal": _two((TREASURY,), (COMPLIANCE, TREASURY)),
    "spending.forgive_shortfall": _two(_ABOUT_MONEY, (COMPLIANCE, TREASURY)),
    "spending.unfreeze_card": _two(_ABOUT_PEOPLE, (COMPLIANCE,)),
    "trading.change_state": _two((OPERATIONS,), _ABOUT_MARKETS),
    "trading.change_tier": _two((OPERATIONS,), _ABOUT_MARKETS),
    "trading.corporate_action": _two((OPERATIONS,), (COMPLIANCE,)),
    "trading.set_bands": _two((OPERATIONS,), _ABOUT_MARKETS),
    "trading.set_fees": _two((OPERATIONS,), (COMPLIANCE, TREASURY)),
    "trading.set_house_policy": _two((OPERATIONS,), (COMPLIANCE, TREASURY)),
    "trading.set_market_rule": _two((OPERATIONS,), _ABOUT_MARKETS),
}


# The deeds in the audit trail that two people decide: each belongs to an executed proposal.
DEEDS_OF_TWO = (
    "account.lifted",
    "application.approved",
    "application.rejected",
    "application.reopened",
    "card.debt_forgiven",
    "corporate_action.scheduled",
    "market.tier_changed",
    "policy.added",
    "policy.ended",
    "user.reactivated",
    "user.rights_changed",
)


def mail_pause(attempts: int) -> timedelta:
    """Say how long a mail waits after so many attempts: 10 s, 30 s, 90 s and so on to an hour."""
    return min(timedelta(seconds=10 * 3 ** min(attempts - 1, 9)), timedelta(hours=1))


def permissions_of(role: str) -> frozenset[str]:
    """Name the permissions of a role as Django does: "app.codename"."""
    seen = {
        "{}.view_{}".format(*label.split("."))
        for label, roles in SEES.items()
        if role == AUDITOR or role in roles
    }
    return frozenset(seen | {name for name, roles in ALONE.items() if role in roles})


@dataclass(frozen=True, slots=True)
class SecurityAct:
    """Something done to how an account is entered or left: in words, and what it brings about."""

    title: str
    holds_value: bool = True  # whether nothing leaves the account for a while after it


# What its owner is told of by mail and can undo. An app adds a line, and names it where it is done:
# `users.operations.note_security_act`.
SECURITY_ACTS: dict[str, SecurityAct] = {
    "email.changed": SecurityAct("Your email address was changed"),
    "password.changed": SecurityAct("Your password was changed"),
    "password.reset": SecurityAct("Your password was reset by email"),
    "factor.added": SecurityAct("A second step was added to your sign-in"),
    "factor.removed": SecurityAct("A second step was removed from your sign-in"),
    "recovery_codes.made": SecurityAct("New recovery codes were made"),
    "sessions.ended": SecurityAct("Devices were signed out", holds_value=False),
}


# Which notices also go by e-mail, by how their kind begins

MONEY, ORDERS, ACCOUNT = "money", "orders", "account"
TOPICS = {
    "deposit.": MONEY,
    "account.adjusted": MONEY,
    "card.debt_": MONEY,
    "card.cleared_more": MONEY,
    "card.refunded": MONEY,
    "shares.": MONEY,
    "order.": ORDERS,
    "application.": ACCOUNT,
    "account.": ACCOUNT,
    "card.issued": ACCOUNT,
    "card.frozen": ACCOUNT,
    "card.cancelled": ACCOUNT,
}


def mail_topic(kind: str) -> str | None:
    """Give what a kind of notice that goes by e-mail is about; security has mails of its own."""
    return next((topic for begin, topic in TOPICS.items() if kind.startswith(begin)), None)
