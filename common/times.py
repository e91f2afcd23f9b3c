"""How a time is said: by the clock of who reads it, and with its name.

A page runs in the time zone of its reader (`krakapp.preferences`), a mail in that of its receiver.
"""

from datetime import datetime, tzinfo
from zoneinfo import ZoneInfo, available_timezones

from django.utils import timezone


def zone_of(name: str) -> tzinfo | None:
    """Give a time zone by its name, "Europe/Berlin"; None for what is no name of one."""
    return ZoneInfo(name) if name in available_timezones() else None


def label(moment: datetime) -> str:
    """Name the clock of a local time: CET, EST; UTC+04 where it has no letters."""
    name = moment.tzname() or ""
    return f"UTC{name}" if name[:1] in {"+", "-"} else name


def moment(at: datetime, *, seconds: bool = False) -> str:
    """Say a date and a time: 24 Dec 2026, 18:00 CET."""
    local = timezone.localtime(at)
    return f"{local:%-d %b %Y}, {local:{'%H:%M:%S' if seconds else '%H:%M'}} {label(local)}"


def weekday(at: datetime) -> str:
    """Say a time of the days that come: Monday, 23 November, 02:00 CET."""
    local = timezone.localtime(at)
    return f"{local:%A}, {local:%-d %B}, {local:%H:%M} {label(local)}"


def of_day(at: datetime, *, seconds: bool = False) -> str:
    """Say a time of the day: 18:00 CET."""
    local = timezone.localtime(at)
    return f"{local:{'%H:%M:%S' if seconds else '%H:%M'}} {label(local)}"
