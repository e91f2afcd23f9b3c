"""What is known about people."""

from typing import Any

from django.db.models import QuerySet

from common.invariants import Check
from common.realtime import private_snapshot
from users.models import AuditEntry, Notice, User

SNAPSHOT_NOTICES = 20


def unread_notices(user: User) -> QuerySet[Notice]:
    """Give what the customer has not read yet, newest first."""
    return Notice.objects.filter(user=user, read_at=None).order_by("-id")


def audit_entries_about(user: User) -> QuerySet[AuditEntry]:
    """Give what was done to a customer's case or money, newest first."""
    return AuditEntry.objects.filter(subject=user).select_related("actor").order_by("-id")


def was_recorded(action: str) -> bool:
    """Say whether something was ever done."""
    return AuditEntry.objects.filter(action=action).exists()


def notice_data(notice: Notice) -> dict[str, Any]:
    """Write a notice as the `notifications` channel sends it."""
    return {
        "id": str(notice.uid),
        "kind": notice.kind,
        "title": notice.title,
        "body": notice.body,
        "url": notice.url,
        "time": notice.created_at.isoformat(),
    }


@private_snapshot("notifications")
def notifications_snapshot(user: User) -> list[dict[str, Any]]:
    """Answer a new subscriber with the unread notices, newest first."""
    return [notice_data(notice) for notice in unread_notices(user)[:SNAPSHOT_NOTICES]]


CHECKS = [
    Check(
        38,
        "audit chain",
        """
        SELECT 'audit entry ' || id || ' (' || action || ') does not continue the chain'
        FROM (SELECT *, lag(digest, 1, '') OVER (ORDER BY id) AS previous
              FROM users_auditentry) AS entry
        WHERE digest <> audit_digest(previous, id, at, actor_id, subject_id, action, reason, detail)
        ORDER BY id
        """,
    ),
    Check(
        38,
        "audit trail guarded",
        """
        SELECT 'the trigger ' || name || ' is missing or disabled'
        FROM (VALUES ('audit_chain'), ('audit_append_only')) AS expected(name)
        WHERE NOT EXISTS (
            SELECT FROM pg_trigger WHERE tgname = name AND tgenabled = 'O'
                AND tgrelid = 'users_auditentry'::regclass
        )
        UNION ALL
        SELECT 'the app may ' || privilege || ' audit entries'
        FROM unnest(ARRAY['UPDATE', 'DELETE', 'TRUNCATE']) AS privilege
        WHERE has_table_privilege('krakapp_app', 'users_auditentry', privilege)
        """,
    ),
]
