"""Who may do what, asked at each door and each time anew."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from django.db.models import Q, QuerySet

import users.queries
from common import clock, database
from common.encryption import BlindWords
from common.errors import DomainError
from kyc import rules
from kyc.models import Application, RestrictedPlace
from users.models import User

Status = Application.Status

ACTIONS = ("trade", "close", "spend", "deposit", "withdraw")
LEAVING = frozenset({"close", "withdraw"})  # the way out stays open
QUEUE = (Status.SUBMITTED, Status.IN_REVIEW)
SHUT = (Status.FROZEN, Status.CLOSED)
EDITABLE = (Status.DRAFT, Status.ACTION_REQUIRED)
REQUIRED = (
    "first_names",
    "last_names",
    "birth_date",
    "street",
    "postal_code",
    "city",
    "residence",
    "citizenship",
    "tax_residence",
    "tax_id",
    "us_person",
)

NEXT = {
    "none": "Verify who you are first: it takes about three minutes.",
    Status.DRAFT: "Finish your verification first: your answers are saved.",
    Status.ACTION_REQUIRED: "We need one more thing from you: open your verification.",
    Status.REJECTED: "We could not open an account for you; your verification says why.",
    Status.RESTRICTED: "Your account is limited to selling what you hold and withdrawing.",
    Status.FROZEN: "Your account is frozen; write to support.",
    Status.CLOSED: "Your account is closed.",
}
DEACTIVATED = "Your access is turned off; write to support."
LOCKED = "Your account is locked: choose a new password to open it again."
WAITING = "We are checking your details; you will be told here as soon as that is done."


STANDING = ("id", "status", "residence", "citizenship", "tax_residence", "us_person")
POLICY = """
    SELECT country, ground, reason FROM kyc_restrictedplace
    WHERE since <= %(day)s AND (until IS NULL OR until > %(day)s) AND country = ANY (%(places)s)
"""


class VerificationRequired(DomainError):
    """Verify who you are first: it takes about three minutes."""

    status = 403


class NotEligible(VerificationRequired):
    """Tokenized shares are not offered where you live; you can sell what you hold and withdraw."""


class AccountRestricted(VerificationRequired):
    """Your account is limited to selling what you hold and withdrawing."""


class AccountFrozen(VerificationRequired):
    """Your account is frozen; write to support."""


class AccessOff(VerificationRequired):
    """Your access is turned off; write to support."""


class AccountLocked(VerificationRequired):
    """Your account is locked: choose a new password to open it again."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What a customer may do now; `because` says in sentences why something is not allowed."""

    status: str
    tier: str
    can: dict[str, bool]
    because: list[str]


def application_of(user: User) -> Application | None:
    """Give the customer's application, if there is one."""
    return Application.objects.filter(user=user).first()


def standing(user: User) -> Standing:
    """Say what a customer may do under the policy of today: two narrow looks, at every door."""
    found = database.read(Application, "WHERE user_id = %s", [user.pk], only=STANDING)
    application = found[0] if found else None
    status = application.status if application else "none"
    if not user.is_active:
        return Standing(status, "none", dict.fromkeys(ACTIONS, False), [DEACTIVATED])
    if user.locked_at is not None:
        return Standing(status, "none", dict.fromkeys(ACTIONS, False), [LOCKED])
    if application is None or status not in {Status.ACTIVE, Status.RESTRICTED}:
        because = NEXT.get(status, WAITING)
        return Standing(status, "none", dict.fromkeys(ACTIONS, False), [because])
    reasons = [NEXT[Status.RESTRICTED]] if status == Status.RESTRICTED else []
    ties = ties_of(application)
    finding = rules.jurisdiction(ties, policy(clock.now().date(), ties))
    reasons += [finding.reason] if finding.outcome == "fail" else []
    can = {action: not reasons or action in LEAVING for action in ACTIONS}
    if until := users.queries.value_held_until(user, now=clock.now()):
        can["withdraw"] = False
        reasons.append(users.queries.held_words(until))
    return Standing(status, "standard", can, reasons)


def require(user: User, action: str) -> Standing:
    """Let a customer through who may do this now.

    :param action: trade, close (sell what one holds), spend, deposit, withdraw
    :raises VerificationRequired: before the account is open
    :raises NotEligible: if today's policy excludes the customer
    :raises AccountRestricted: if the account may only be wound down
    :raises AccountFrozen: if it is frozen
    :raises AccessOff: if staff have turned the customer's access off
    :raises AccountLocked: if the owner undid an act and has not chosen a new password yet
    :raises users.queries.ValueHeld: for a withdrawal soon after how the account is entered changed
    """
    now = standing(user)
    if now.can[action]:
        return now
    if not user.is_active:
        raise AccessOff
    if user.locked_at is not None:
        raise AccountLocked
    if action == "withdraw":
        users.queries.require_value_free(user, now=clock.now())
    refused = {
        Status.ACTIVE: NotEligible,
        Status.RESTRICTED: AccountRestricted,
        Status.FROZEN: AccountFrozen,
    }.get(Status(now.status) if now.status != "none" else Status.DRAFT, VerificationRequired)
    raise refused(" ".join(now.because))


def who_is_shut_out(prefix: str = "") -> Q:
    """Find customers who may not even sell what they hold now.

    :param prefix: leads from the rows that are filtered to the user: "customer__"
    """
    return Q(**{f"{prefix}is_active": False}) | Q(**{f"{prefix}application__status__in": SHUT})


def who_may_only_sell(day: date, prefix: str = "") -> Q:
    """Find customers who may only sell what they hold on a day, by staff's decision or by policy.

    :param prefix: leads from the rows that are filtered to the user: "customer__"
    """
    of = f"{prefix}application__"
    found = Q(**{f"{of}status": Status.RESTRICTED})
    places: dict[str, list[str]] = {}
    rows = RestrictedPlace.objects.filter(Q(until=None) | Q(until__gt=day), since__lte=day)
    for ground, country in rows.values_list("ground", "country"):
        places.setdefault(ground, []).append(str(country))
    if places.pop(RestrictedPlace.Ground.US_PERSON, []):
        found |= Q(**{f"{of}us_person": True})
    for ground, countries in places.items():
        found |= Q(**{f"{of}{ground}__in": countries})
    return found


def policy(day: date, ties: rules.Ties) -> list[rules.Restriction]:
    """Give the restrictions in force on a day in the places that somebody has ties to."""
    places = {country for country, _ in ties.grounds()}
    rows = database.prepared(POLICY, {"day": day, "places": list(places)})
    return [rules.Restriction(*row) for row in rows]


def ties_of(application: Application) -> rules.Ties:
    """Give the applicant's ties to places."""
    return rules.Ties(
        residence=str(application.residence),
        citizenship=str(application.citizenship),
        tax_residence=str(application.tax_residence),
        us_person=application.us_person,
    )


def missing_fields(application: Application) -> list[str]:
    """Name the answers that are still missing, in the order they are asked.

    Some people have one name, and some countries no postal codes.
    """
    missing = [name for name in REQUIRED if getattr(application, name) in (None, "")]
    names = {"first_names", "last_names"}
    if len(names & set(missing)) == 1:
        missing = [name for name in missing if name not in names]
    if application.residence and not rules.has_postal_codes(str(application.residence)):
        missing = [name for name in missing if name != "postal_code"]
    return missing


FOUND_AT_MOST = 50  # people of one name


def named(words: str) -> QuerySet[Application]:
    """Give the applications of people whose names have all these words, however written."""
    field = Application._meta.get_field("names_index")  # noqa: SLF001
    assert isinstance(field, BlindWords)
    return Application.objects.filter(field.matching(words))


def people_named(words: str) -> list[int]:
    """Give the user ids of people whose names have all these words."""
    return list(named(words).values_list("user_id", flat=True)[:FOUND_AT_MOST])


def review_queue() -> QuerySet[Application]:
    """Give the applications that wait for a person, the longest wait first."""
    return Application.objects.filter(status__in=QUEUE).order_by("submitted_at")


def answers_of(application: Application) -> dict[str, Any]:
    """Give the answers as a dictionary of what was asked."""
    return {name: getattr(application, name) for name in REQUIRED}
