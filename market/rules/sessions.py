"""When an instrument trades.

Ten names trade at any hour ("24/7"). The others follow the week of New York ("24/5"): they open on
Sunday at 20:00 and close on Friday at 20:00, by its clock, so the hours in UTC move with daylight
saving time.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

ALWAYS = "24/7"
WEEKDAYS = "24/5"

NEW_YORK = ZoneInfo("America/New_York")
TURN = time(20)  # it opens and closes at this hour of New York
SUNDAY, FRIDAY = 6, 4
FLOOR_OPEN, FLOOR_CLOSE = time(9, 30), time(16)


@dataclass(frozen=True, slots=True)
class Session:
    """Whether an instrument trades, and when that changes next (UTC; never for 24/7)."""

    is_open: bool
    next_change: datetime | None


def session_at(hours: str, now: datetime) -> Session:
    """Tell whether an instrument with these hours trades now, and until when."""
    if hours == ALWAYS:
        return Session(is_open=True, next_change=None)
    opened = _last(SUNDAY, now)
    closes = _turn_after(opened, days=5)
    if now < closes:
        return Session(is_open=True, next_change=closes)
    return Session(is_open=False, next_change=_turn_after(opened, days=7))


def is_open(hours: str, now: datetime) -> bool:
    """Tell whether an instrument with these hours trades now."""
    return session_at(hours, now).is_open


def is_regular(now: datetime) -> bool:
    """Tell whether New York's floor is open on a regular day; its calendar knows the others."""
    local = now.astimezone(NEW_YORK)
    return local.weekday() <= FRIDAY and FLOOR_OPEN <= local.time() < FLOOR_CLOSE


def open_spans(hours: str, since: datetime, until: datetime) -> list[tuple[datetime, datetime]]:
    """List the parts of [since, until) in which an instrument trades, in order."""
    spans = []
    while since < until:
        session = session_at(hours, since)
        change = min(session.next_change or until, until)
        if session.is_open:
            spans.append((since, change))
        since = change
    return spans


def rewind(hours: str, now: datetime, open_time: timedelta) -> datetime:
    """Give the moment from which an instrument has traded for so long until now."""
    left, cursor = open_time, now
    while True:
        start = _last(SUNDAY, cursor - timedelta(microseconds=1))
        spans = open_spans(hours, start, cursor)
        for since, until in reversed(spans):
            if until - since >= left:
                return until - left
            left -= until - since
        cursor = start


def _last(weekday: int, now: datetime) -> datetime:
    """Give the last turn (20:00 in New York) of a weekday, at or before now."""
    local = now.astimezone(NEW_YORK)
    days = (local.weekday() - weekday) % 7
    turn = datetime.combine(local.date() - timedelta(days=days), TURN, NEW_YORK)
    if turn > local:
        turn = datetime.combine(turn.date() - timedelta(days=7), TURN, NEW_YORK)
    return turn.astimezone(UTC)


def _turn_after(turn: datetime, *, days: int) -> datetime:
    """Give the turn so many days later by the calendar of New York, whatever its clocks do."""
    date = turn.astimezone(NEW_YORK).date() + timedelta(days=days)
    return datetime.combine(date, TURN, NEW_YORK).astimezone(UTC)


def end_of_day(day: date) -> datetime:
    """Give the moment (UTC) at which a day ends where these markets are at home, in New York."""
    return datetime.combine(day + timedelta(days=1), time.min, NEW_YORK).astimezone(UTC)
