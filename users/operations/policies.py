"""Dated rows of policy: two people decide on a new one, and those in force never change."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models

from common.errors import DomainError
from users.models import CallLimit, Proposal, User
from users.operations.people import record
from users.operations.proposals import Change, Payload, ProposalKind, plain

SINCE = "since"


class PolicyInThePast(DomainError):
    """A policy begins today or later: what was in force stays as it was."""

    field = SINCE


class PolicyUnsound(DomainError):
    """The policy contradicts itself, or is there already."""


def _fits(_row: Any) -> None:
    return None


def policy_kind(
    *,
    name: str,
    title: str,
    model: type[models.Model],
    key: tuple[str, ...] = (),
    beside: Callable[[Any], None] = _fits,
) -> ProposalKind:
    """Make the kind that adds a row to a table of policy, of which `since` is a date.

    :param name: its line in `users.rules.PROPOSALS`
    :param key: the fields that tell policies of the table apart: of each, the newest row holds
    :param beside: raises a DomainError where a row does not fit to the others of the table
    """
    policy = _Policy(model, key, beside)
    return ProposalKind(
        name=name,
        title=title,
        target=policy.target,
        version=policy.version,
        describe=policy.describe,
        check=policy.check,
        execute=policy.execute,
    )


@dataclass(frozen=True, slots=True)
class _Policy:
    """A table of dated rows."""

    model: type[models.Model]
    key: tuple[str, ...]
    beside: Callable[[Any], None]

    def build(self, payload: Payload) -> Any:
        """Make the row that is proposed, and find what is wrong with it."""
        row = self.model()
        try:
            for name, value in payload.items():
                setattr(row, name, self._field(name).to_python(value))
            row.full_clean()
        except ValidationError as error:
            field, said = next(iter(getattr(error, "error_dict", {"": error.messages}).items()))
            words = ValidationError(said).messages[0]
            raise PolicyUnsound(words, field=field if field in payload else None) from error
        return row

    def target(self, payload: Payload) -> str:
        """Name the policy, and which of the table's it is."""
        which = " ".join(_say(payload[part]) for part in self.key)
        name = self.model._meta.verbose_name  # noqa: SLF001 - the documented way to it
        return f"{name} {which}".strip()

    def version(self, payload: Payload) -> str:
        """Name the newest row of the same key: another one since is another policy."""
        newest = self._alike(payload).values_list("pk", SINCE).first()
        return "row {} since {}".format(*newest) if newest else "none"

    def describe(self, payload: Payload) -> list[Change]:
        """Set the row beside the one that would be in force without it."""
        before = self._alike(payload).filter(**{f"{SINCE}__lte": payload[SINCE]}).first()
        changes = []
        for name, value in payload.items():
            held = _say(plain(getattr(before, name))) if before else "-"
            changes.append((str(self._field(name).verbose_name).capitalize(), held, _say(value)))
        return changes

    def check(self, payload: Payload, _actor: User, now: datetime) -> None:
        """Refuse what is unsound or begins in the past."""
        row = self.build(payload)
        if row.since < now.date():
            raise PolicyInThePast
        self.beside(row)

    def execute(self, proposal: Proposal, actor: User, now: datetime) -> str:
        """Add the row."""
        row = self.build(proposal.payload)
        row.save(force_insert=True)
        label = self.model._meta.label_lower  # noqa: SLF001 - the documented way to it
        record(
            action="policy.added",
            actor=actor,
            subject=None,
            at=now,
            reason=proposal.reason,
            detail={"policy": label, **proposal.payload},
        )
        return f"{label}:{row.pk}"

    def _alike(self, payload: Payload) -> models.QuerySet[Any]:
        """List the rows of the same key, the newest first."""
        rows: models.QuerySet[Any] = self.model._default_manager.all()  # noqa: SLF001
        for part in self.key:
            value = self._field(part).to_python(payload[part])
            rows = rows.filter(**({f"{part}__isnull": True} if value is None else {part: value}))
        return rows.order_by(f"-{SINCE}", "-pk")

    def _field(self, name: str) -> Any:
        return self.model._meta.get_field(name)  # noqa: SLF001 - the documented way to it


def _say(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "-" if value is None else str(value)


SET_CALL_LIMIT = policy_kind(
    name="users.set_call_limit",
    title="Set how often who may ask",
    model=CallLimit,
    key=("kind", "scope"),
)
