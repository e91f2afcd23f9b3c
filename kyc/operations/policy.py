"""Where the product may not be offered: rows that two people add, and end by a date."""

from datetime import date, datetime

from django.db import transaction

import users.operations
from common.errors import DomainError
from kyc.models import RestrictedPlace
from users.models import User


class RestrictionEndsBefore(DomainError):
    """A restriction ends today or later, after it began, and once."""

    field = "until"


def require_end(place: RestrictedPlace, until: date, today: date) -> None:
    """Refuse a day on which a restriction can't end.

    :raises RestrictionEndsBefore: if it is past, before the beginning, or the row has ended
    """
    ended = place.until is not None and place.until <= today
    if ended or until < today or until <= place.since:
        raise RestrictionEndsBefore


@transaction.atomic
def end_restriction(
    *, place: RestrictedPlace, until: date, actor: User, reason: str, now: datetime
) -> RestrictedPlace:
    """Let a row of the policy hold until a day; it is kept.

    :raises RestrictionEndsBefore: if it is past, before the beginning, or the row has ended
    """
    locked = RestrictedPlace.objects.select_for_update(no_key=True).get(pk=place.pk)
    require_end(locked, until, now.date())
    locked.until = until
    locked.save(update_fields=["until"])
    users.operations.record(
        action="policy.ended",
        actor=actor,
        subject=None,
        at=now,
        reason=reason,
        detail={
            "country": str(locked.country),
            "ground": locked.ground,
            "until": until.isoformat(),
        },
    )
    return locked
