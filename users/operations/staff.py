"""Who is staff, and in which roles: two people decide, and neither is the person it is about."""

from datetime import datetime
from typing import Any

from allauth.account.models import EmailAddress
from django.contrib.auth.models import Group
from django.contrib.auth.password_validation import validate_password
from django.core.validators import validate_email
from django.db import transaction

from common.errors import DomainError
from users import rules
from users.models import Proposal, User
from users.operations.people import deactivate, reactivate, record
from users.operations.proposals import Change, Payload, ProposalKind

NOBODY = "none"


class StaffKnown(DomainError):
    """Somebody has that e-mail address: what they may do is proposed in the admin."""

    status = 409
    field = "email"


class StaffRefused(DomainError):
    """Choose roles of the staff only, and none for who is not staff."""

    field = "roles"


def staff_payload(
    *, user: User, is_active: bool, is_staff: bool, is_superuser: bool, roles: list[str]
) -> Payload:
    """Say what somebody would be, as the kind `users.change_staff` takes it."""
    return {
        "user": str(user.uid),
        "is_active": is_active,
        "is_staff": is_staff,
        "is_superuser": is_superuser,
        "roles": sorted(roles),
    }


def _person(payload: Payload) -> User:
    return User.objects.select_for_update(no_key=True).get(uid=payload["user"])


def _present(user: User) -> Payload:
    return staff_payload(
        user=user,
        is_active=user.is_active,
        is_staff=user.is_staff,
        is_superuser=user.is_superuser,
        roles=list(user.groups.values_list("name", flat=True)),
    )


def _check(payload: Payload, _actor: User, _now: datetime) -> None:
    roles = set(payload["roles"])
    if roles - set(rules.ROLES) or (roles and not payload["is_staff"]):
        raise StaffRefused
    present = _present(_person(payload))
    if payload["is_superuser"] and not present["is_superuser"]:
        raise StaffRefused(
            "Superusers are made on the server, by create_staff, and only unmade here.",
            field="is_superuser",
        )
    if present == payload:
        raise StaffRefused("That is what they may do already.")


def _say(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value) or NOBODY
    return "yes" if value else "no"


def _describe(payload: Payload) -> list[Change]:
    words = {
        "is_active": "May sign in",
        "is_staff": "Staff",
        "is_superuser": "Superuser",
        "roles": "Roles",
    }
    present = _present(_person(payload))
    return [(words[key], _say(present[key]), _say(payload[key])) for key in words]


def _version(payload: Payload) -> str:
    present = _present(_person(payload))
    flags = (f"{key}={int(present[key])}" for key in ("is_active", "is_staff", "is_superuser"))
    return " ".join([*flags, f"roles={','.join(present['roles'])}"])


def _execute(proposal: Proposal, actor: User, now: datetime) -> str:
    payload = proposal.payload
    user = _person(payload)
    user.is_staff = payload["is_staff"]
    user.is_superuser = payload["is_superuser"]
    user.save(update_fields=["is_staff", "is_superuser"])
    user.groups.set(Group.objects.filter(name__in=payload["roles"]))
    access = reactivate if payload["is_active"] else deactivate
    access(user=user, actor=actor, reason=proposal.reason, now=now)
    record(
        action="user.rights_changed",
        actor=actor,
        subject=user,
        at=now,
        reason=proposal.reason,
        detail={key: value for key, value in payload.items() if key != "user"},
    )
    return f"user:{user.uid}"


CHANGE_STAFF = ProposalKind(
    name="users.change_staff",
    title="Change what somebody may do",
    target=lambda payload: str(payload["user"]),
    version=_version,
    describe=_describe,
    execute=_execute,
    check=_check,
    subject=_person,
)


@transaction.atomic
def create_staff(
    *, email: str, role: str | None, password: str | None, reason: str, now: datetime
) -> User:
    """Make somebody of the staff, from the server's own terminal: the first ones come like this.

    They enroll a second factor when they first sign in.

    :param role: one of `rules.ROLES`; None for a superuser
    :param password: None to let them choose it by a link (`queries.password_link`)
    :param reason: who asked for it, and why, for the audit trail
    :raises StaffKnown: if the e-mail address has an account
    :raises StaffRefused: if there is no such role
    :raises django.core.exceptions.ValidationError: if the address or the password will not do
    """
    validate_email(email)
    email = email.lower()
    if role is not None and role not in rules.ROLES:
        raise StaffRefused(f"There is no role {role}: choose of {', '.join(rules.ROLES)}.")
    if User.objects.filter(email=email).exists():
        raise StaffKnown
    if password is not None:
        validate_password(password, User(email=email))
    user = User.objects.create_user(
        email, password, is_staff=True, is_superuser=role is None, date_joined=now
    )
    EmailAddress.objects.create(user=user, email=email, verified=True, primary=True)
    if role is not None:
        user.groups.add(Group.objects.get(name=role))
    facts = {"role": role or "superuser"}
    record(action="staff.created", actor=None, subject=user, at=now, reason=reason, detail=facts)
    return user
