"""What is forgotten about people: sessions that ended, and notices of long ago."""

from datetime import datetime, timedelta

from django.conf import settings

from common import database

UNREAD_KEPT = 4  # times as long as what was read


def forget_sessions(*, now: datetime) -> int:
    """Let go of sessions that have expired, and of what was noted of them; say how many rows."""
    ended = database.delete_in_batches("django_session", "t.expire_date <= %s", [now])
    noted = database.delete_in_batches(
        "usersessions_usersession",
        "NOT EXISTS (SELECT FROM django_session s WHERE s.session_key = t.session_key)"
        " AND t.created_at < %s",
        [now - timedelta(hours=1)],  # one that is being made has a row here first, or there
    )
    return ended + noted


def forget_notices(*, now: datetime) -> int:
    """Let go of notices that were read, or stayed unread, long ago; say how many."""
    kept = timedelta(days=settings.NOTICES_KEPT_DAYS)
    return database.delete_in_batches(
        "users_notice",
        "t.read_at < %s OR t.created_at < %s",
        [now - kept, now - kept * UNREAD_KEPT],
    )
