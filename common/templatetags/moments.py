"""Template tags of times, built into every template: by the reader's clock, with its name."""

from datetime import UTC, datetime

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from common import times

register = template.Library()


@register.simple_tag
def time_zone() -> str:
    """Name the reader's clock for the page's scripts: Europe/Berlin."""
    return timezone.get_current_timezone_name()


@register.simple_tag
def moment(at: datetime, *, seconds: bool = False, utc: bool = False) -> SafeString:
    """Show a date and a time: 24 Dec 2026, 18:00 CET; a receipt says UTC too."""
    said = times.moment(at, seconds=seconds)
    if utc:
        with timezone.override(UTC):
            universal = times.moment(at, seconds=seconds)
        said = said if said == universal else f"{said} ({universal})"
    return _time(at, said)


@register.simple_tag
def weekday(at: datetime) -> SafeString:
    """Show a time of the days that come: Monday, 23 November, 02:00 CET."""
    return _time(at, times.weekday(at))


@register.simple_tag
def of_day(at: datetime, *, seconds: bool = False) -> SafeString:
    """Show a time of the day: 18:00 CET."""
    return _time(at, times.of_day(at, seconds=seconds))


def _time(at: datetime, said: str) -> SafeString:
    return format_html('<time datetime="{}">{}</time>', at.isoformat(), said)
